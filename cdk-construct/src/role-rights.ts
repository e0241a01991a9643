// The rights of a role on many resources, in few policies. In: the role, whatever kind it is, and one right after the other. Out:
// policies, to depend on: an inline one first, then managed ones, as IAM bounds the length of each. None is in the
// template where the role takes none: an imported one that is not to be changed, or one of `Role.customizeRoles`.

import { CfnResource, Lazy, Stack } from 'aws-cdk-lib';
import { CfnPolicy, IRole, ManagedPolicy, Policy, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { Construct } from 'constructs';
import { addCheck } from './lookups';
import { charactersOf, INLINE_CHARACTERS_MAX, inlineCharactersOf, MANAGED_CHARACTERS_MAX } from './policy-size';
import { Right, RightsPolicy } from './rights-policy';
import { shortHash } from './short-hash';
import { pathFrom, stableText } from './stable-text';

/**
 * While a stack is updated, a policy and the one in its place are both attached to the role, and the role has a few
 * rights besides: so these are less than half of what IAM allows, 10,240 characters and ten managed policies.
 */
const INLINE_CHARACTERS = 4_000;
const MANAGED_COUNT_MAX = 4;

/** A resource by its ARN, which may only name a logical id, and those of two stacks can be the same. */
export interface Target {
  readonly arn: string;
  readonly owner: Stack;
}

export interface RoleRightsProps {
  readonly role: IRole;
  /**
   * Whether a policy of other content is another policy. CloudFormation changes a policy before it deletes a resource that
   * has left the template, but keeps a policy that has left with it until that resource is deleted. So this is for
   * rights that a deletion needs.
   */
  readonly isReplaced?: boolean;
}

export class RoleRights extends Construct {
  /** Whether the role takes policies. */
  public readonly isAttached: boolean;
  private readonly stack: Stack;
  private readonly role: IRole;
  private readonly parts: RightsPolicy[];
  private readonly given = new Set<string>();

  constructor(
    scope: Construct,
    id: string,
    private readonly props: RoleRightsProps,
  ) {
    super(scope, id);
    this.stack = Stack.of(this);
    this.role = props.role;
    const policy = new Policy(this, 'Policy');
    this.role.attachInlinePolicy(policy);
    this.isAttached = this.stack.resolve((policy.node.defaultChild as CfnPolicy).roles) !== undefined;
    this.parts = [this.partOf(policy, INLINE_CHARACTERS)];
    addCheck(this, () => (this.isAttached ? this.problems() : []));
  }

  /** Allows it once, however often it is asked for. */
  public allow(right: Right, target: Target): void {
    const key = this.keyOf(right, target);
    if (this.given.has(key)) {
      return;
    }
    this.given.add(key);
    if (!this.isAttached) {
      // Asked itself, and when the statement is there: a role of customizeRoles copies it to its report, once.
      const statements = [new PolicyStatement({ actions: right.actions, resources: [target.arn] })];
      this.role.attachInlinePolicy(new Policy(this, `Policy-${shortHash(key)}`, { statements }));
      return;
    }
    const length = charactersOf(target.owner, target.owner.resolve(target.arn)) + ','.length;
    let part = this.parts.find((each) => each.hasRoom(right, length));
    if (part === undefined) {
      const policy = new ManagedPolicy(this, `Managed${this.parts.length}`, { roles: [this.role] });
      part = this.partOf(policy, MANAGED_CHARACTERS_MAX);
      this.parts.push(part);
    }
    part.add(right, target.arn, length, key);
  }

  /** Whether it is allowed already. */
  public has(right: Right, target: Target): boolean {
    return this.given.has(this.keyOf(right, target));
  }

  private keyOf({ name }: Right, { arn, owner }: Target): string {
    return JSON.stringify([name, pathFrom(this.stack, owner), stableText(this.stack, owner.resolve(arn))]);
  }

  private partOf(policy: Policy | ManagedPolicy, charactersMax: number): RightsPolicy {
    const part = new RightsPolicy(policy, charactersMax);
    if (this.props.isReplaced === true) {
      const resource = policy.node.defaultChild as CfnResource;
      const produce = (): string => `${this.stack.getLogicalId(resource)}${shortHash(part.content())}`;
      resource.overrideLogicalId(Lazy.uncachedString({ produce }));
    }
    return part;
  }

  private problems(): string[] {
    const role = `the role ${this.role.node.path}`;
    const hint = 'move some of the indexes to another stack';
    const problems = [];
    const managed = this.parts.length - 1;
    if (managed > MANAGED_COUNT_MAX) {
      problems.push(
        `The ${this.given.size} repositories and projects of ${role} need ${managed} managed policies; the limit is ` +
          `${MANAGED_COUNT_MAX}, because IAM allows 10 per role and an update needs twice as many: ${hint}`,
      );
    }
    const inline = inlineCharactersOf(this.role, this.stack);
    if (inline > INLINE_CHARACTERS_MAX) {
      problems.push(
        `The inline policies of ${role} have up to ${inline} characters, but IAM allows at most ${INLINE_CHARACTERS_MAX}: ` +
          `remove statements from the role, or ${hint}`,
      );
    }
    return problems;
  }
}
