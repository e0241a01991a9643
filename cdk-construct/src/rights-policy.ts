// One of the policies of a role. In: a permission and a resource. Out: whether it fits; one statement per
// permission, with all its resources.

import { ManagedPolicy, Policy, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { allow } from './statement';

/** Actions that are allowed together. */
export interface Right {
  /** Part of the logical ids of deployed stacks; must not change. */
  readonly name: string;
  readonly actions: string[];
}

export class RightsPolicy {
  /** The resources of all statements. */
  public readonly arns: string[] = [];
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
    this.arns.push(arn);
    const statement = this.statements.get(right.name);
    if (statement !== undefined) {
      statement.addResources(arn);
      return;
    }
    const first = allow(right.actions, arn);
    this.statements.set(right.name, first);
    this.policy.addStatements(first);
  }

  /** Independent of the order in which permissions were added. */
  public content(): string[] {
    return [...this.keys].sort();
  }

  /** The size of a new statement without its resources. */
  private startOf({ name, actions }: Right): number {
    return this.statements.has(name) ? 0 : JSON.stringify({ Effect: 'Allow', Action: actions, Resource: [] }).length + 1;
  }
}
