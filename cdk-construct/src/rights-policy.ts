// One of the policies that hold the rights of a role. In: a right and a resource. Out: whether there is room for it; a statement for
// each right, with all its resources.

import { ManagedPolicy, Policy, PolicyStatement } from 'aws-cdk-lib/aws-iam';

/** Actions that are allowed together. */
export interface Right {
  /** Part of the logical ids of deployed stacks: never changes. */
  readonly name: string;
  readonly actions: string[];
}

export class RightsPolicy {
  private readonly statements = new Map<string, PolicyStatement>();
  private readonly keys: string[] = [];
  private characters = '{"Version":"2012-10-17","Statement":[]}'.length;

  constructor(
    public readonly policy: Policy | ManagedPolicy,
    private readonly charactersMax: number,
  ) {}

  public hasRoom(right: Right, length: number): boolean {
    return this.characters + this.startOf(right) + length <= this.charactersMax;
  }

  public add(right: Right, arn: string, length: number, key: string): void {
    this.characters += this.startOf(right) + length;
    this.keys.push(key);
    const statement = this.statements.get(right.name);
    if (statement !== undefined) {
      statement.addResources(arn);
      return;
    }
    const first = new PolicyStatement({ actions: right.actions, resources: [arn] });
    this.statements.set(right.name, first);
    this.policy.addStatements(first);
  }

  /** The same for the same rights, in whatever order they came. */
  public content(): string[] {
    return [...this.keys].sort();
  }

  /** The length of a statement without its resources, where there is none yet. */
  private startOf({ name, actions }: Right): number {
    return this.statements.has(name) ? 0 : JSON.stringify({ Effect: 'Allow', Action: actions, Resource: [] }).length + 1;
  }
}
