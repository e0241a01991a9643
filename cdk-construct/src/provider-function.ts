// The function that answers CloudFormation: one per stack, whatever number of indexes the stack has. Gives out its
// ARN, and takes the repositories that it works with and what it starts builds with. Knows nothing of the custom resource's
// properties.

import { Duration, Stack } from 'aws-cdk-lib';
import { IRepository } from 'aws-cdk-lib/aws-ecr';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Construct, IDependable } from 'constructs';
import { attachedPolicy } from './attached-policy';
import { defaultsOf } from './defaults-of';
import { logGroupIn } from './log-group';
import { acceptFindings } from './nag';
import { NETWORK_FINDING, networkOf, networkStatement, programFunction, ProgramFunctionProps } from './program-function';
import { READ, READ_AND_DELETE } from './repository-rights';
import { policiesOf } from './resources-of';
import { Right } from './rights-policy';
import { RoleRights, Target } from './role-rights';
import { allow } from './statement';

/** Part of the logical ids of deployed stacks; must not change. */
const ID = 'SociIndexBuildProvider';

export class ProviderFunction extends Construct {
  /** Returns the function of the scope's stack; creates it if needed. */
  public static of(scope: Construct): ProviderFunction {
    const stack = Stack.of(scope);
    return (stack.node.tryFindChild(ID) as ProviderFunction | undefined) ?? new ProviderFunction(stack, ID);
  }

  public readonly functionArn: string;
  /** What every index has to depend on, beside the function: the rights of it. */
  public readonly essentials: IDependable[];
  private readonly rights: RoleRights;

  private constructor(scope: Construct, id: string) {
    super(scope, id);

    const { vpc, subnetSelection, securityGroups, ...defaults } = defaultsOf(this);
    const logGroup = logGroupIn(this, defaults);
    const role = new Role(this, 'Role', { assumedBy: new ServicePrincipal('lambda.amazonaws.com') });
    role.addToPolicy(allow(['logs:CreateLogStream', 'logs:PutLogEvents'], logGroup.logGroupArn));
    if (vpc !== undefined) {
      role.addToPolicy(networkStatement());
      acceptFindings(role.node.tryFindChild('DefaultPolicy')?.node.defaultChild, [NETWORK_FINDING]);
    }

    const settings: ProgramFunctionProps = {
      description: 'Responds to CloudFormation and starts builds of SOCI indexes',
      memorySize: 128,
      timeout: Duration.minutes(15),
      role,
      logGroup,
      vpc,
      subnetSelection,
      securityGroups,
    };
    const handler = programFunction(this, settings);
    this.functionArn = handler.functionArn;

    // A policy of its own: the role's default policy is made before the function, and cannot name it.
    attachedPolicy(role, this, 'InvokeItself', [allow(['lambda:InvokeFunction'], this.functionArn)]);
    this.rights = new RoleRights(this, 'Rights', { role, isReplaced: true });
    // On delete, the function must reach AWS until the last index is gone.
    this.essentials = [policiesOf(this), ...networkOf(handler, settings)];
  }

  /** Lets the function read images of the repository, and see and delete indexes where that is wanted. */
  public useRepository(repository: IRepository, { isDestroyed }: { readonly isDestroyed: boolean }): void {
    const target: Target = { arn: repository.repositoryArn, owner: repository.stack };
    if (isDestroyed || !this.rights.has(READ_AND_DELETE, target)) {
      this.rights.allow(isDestroyed ? READ_AND_DELETE : READ, target);
    }
  }

  /** Lets the function have indexes built, by what is in its stack. */
  public allow(right: Right, arn: string): void {
    this.rights.allow(right, { arn, owner: Stack.of(this) });
  }
}
