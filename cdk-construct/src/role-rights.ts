// The permissions of a role on many resources, in few policies. In: any kind of role, and permissions one by one. Out:
// policies to depend on: first an inline one, then managed ones, because IAM limits the size of each. None is in the
// template if the role is immutable: an imported role without updates, or one of `Role.customizeRoles`.

import { CfnResource, Lazy, Stack } from 'aws-cdk-lib';
import { CfnPolicy, IRole, ManagedPolicy, Policy } from 'aws-cdk-lib/aws-iam';
import { Construct } from 'constructs';
import { addCheck } from './lookups';
import { acceptFindings, resourceFinding } from './nag';
import { charactersOf, INLINE_CHARACTERS_MAX, inlineCharactersOf, MANAGED_CHARACTERS_MAX } from './policy-size';
import { Right, RightsPolicy } from './rights-policy';
import { shortHash } from './short-hash';
import { pathFrom, stableText } from './stable-text';
import { allow } from './statement';

/**
 * During an update the old and the new policies are both attached to the role, which has a few more permissions:
 * these limits are less than half of IAM's, 10,240 characters and ten managed policies.
 */
const INLINE_CHARACTERS = 4_000;
const MANAGED_COUNT_MAX = 4;

/** Identifies a resource by ARN and stack, because an ARN may contain only a logical id, which two stacks can share. */
export interface Target {
  readonly arn: string;
  readonly owner: Stack;
}

export interface RoleRightsProps {
  readonly role: IRole;
  /**
   * Whether changed content creates a new policy. CloudFormation updates a policy before it deletes resources that were
   * removed from the template, but keeps a removed policy until those resources are deleted. Required for
   * permissions that a deletion needs.
   */
  readonly isReplaced?: boolean;
}

export class RoleRights extends Construct {
  /** Whether policies can be attached to the role. */
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

  /** Adds the permission unless it was already added. */
  public allow(right: Right, target: Target): void {
    const key = this.keyOf(right, target);
    if (this.given.has(key)) {
      return;
    }
    this.given.add(key);
    if (!this.isAttached) {
      // Attach directly, after adding the statement: a role of customizeRoles copies it to its report only once.
      const statements = [allow(right.actions, target.arn)];
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

  /** Suppresses the findings of cdk-nag for resources with wildcards. */
  public acceptWildcards(reason: string): void {
    for (const { policy, arns } of this.parts) {
      const wildcards = new Set(arns.filter((arn) => arn.includes('*')).map((arn) => resourceFinding(this.stack, arn)));
      if (wildcards.size > 0) {
        acceptFindings(policy.node.defaultChild, [{ id: 'AwsSolutions-IAM5', appliesTo: [...wildcards], reason }]);
      }
    }
  }

  /** Whether the permission was already added. */
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
