// The function that answers CloudFormation: one per stack, whatever number of indexes the stack has. Gives out its
// ARN, and the rights that each index needs. Knows nothing of the custom resource's properties.

import { Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { IRepository } from 'aws-cdk-lib/aws-ecr';
import { Policy, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Architecture, CfnFunction, Code, Function, Runtime, RuntimeFamily } from 'aws-cdk-lib/aws-lambda';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { Construct, IDependable } from 'constructs';
import { programArchitecture, providerZip } from './assets';
import { attachedPolicy } from './attached-policy';
import { shortHash } from './short-hash';

/** Part of the logical ids of deployed stacks: never changes. */
const ID = 'SociIndexBuildProvider';

export class ProviderFunction extends Construct {
  /** The function of the scope's stack; made where there is none yet. */
  public static of(scope: Construct): ProviderFunction {
    const stack = Stack.of(scope);
    return (stack.node.tryFindChild(ID) as ProviderFunction | undefined) ?? new ProviderFunction(stack, ID);
  }

  public readonly functionArn: string;
  /** What every index has to depend on. */
  public readonly essentials: IDependable[];
  private readonly role: Role;

  private constructor(scope: Construct, id: string) {
    super(scope, id);

    const logGroup = new LogGroup(this, 'LogGroup', {
      retention: RetentionDays.ONE_MONTH,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    this.role = new Role(this, 'Role', { assumedBy: new ServicePrincipal('lambda.amazonaws.com') });
    this.role.addToPolicy(
      new PolicyStatement({
        actions: ['logs:CreateLogStream', 'logs:PutLogEvents'],
        resources: [logGroup.logGroupArn],
      }),
    );

    const handler = new Function(this, 'Function', {
      description: 'Builds SOCI indexes through CodeBuild and answers CloudFormation',
      runtime: new Runtime('provided.al2023', RuntimeFamily.OTHER),
      architecture: programArchitecture() === 'aarch64' ? Architecture.ARM_64 : Architecture.X86_64,
      handler: 'bootstrap',
      code: Code.fromAsset(providerZip()),
      memorySize: 128,
      timeout: Duration.minutes(15),
      role: this.role,
    });
    // The construct's own property for this is newer than the oldest aws-cdk-lib that we work with. A group named after
    // the function could not be named in the role, on which the function depends.
    (handler.node.defaultChild as CfnFunction).addPropertyOverride('LoggingConfig', {
      LogGroup: logGroup.logGroupName,
    });
    this.functionArn = handler.functionArn;

    // A policy of its own: the role's default policy is made before the function, and cannot name it.
    const invokeItself = attachedPolicy(this.role, this, 'InvokeItself', [
      new PolicyStatement({ actions: ['lambda:InvokeFunction'], resources: [this.functionArn] }),
    ]);
    this.essentials = [logGroup, this.role, handler, invokeItself];
  }

  /**
   * Lets the function read images of the repository, and see and delete indexes where that is wanted. The index must
   * depend on what this returns: CloudFormation updates policies first and deletes what has left the template last, so a
   * right that only this index needs has to stand in a policy that leaves with it.
   */
  public rightsIn(repository: IRepository, { isDestroyed }: { readonly isDestroyed: boolean }): IDependable[] {
    const allow = (right: string, ...actions: string[]): IDependable =>
      this.policy(right, repository.stack, repository.repositoryArn, actions);

    // Reading covers the referrers of an image too (ECR's API reference, ListImageReferrers).
    const rights = [
      allow('Read', 'ecr:BatchCheckLayerAvailability', 'ecr:BatchGetImage', 'ecr:GetDownloadUrlForLayer'),
    ];
    if (isDestroyed) {
      rights.push(allow('Delete', 'ecr:BatchDeleteImage', 'ecr:DescribeImages'));
    }
    return rights;
  }

  /** Lets the function run builds of the project. The index must depend on what this returns, as for a repository. */
  public rightsOn(projectArn: string): IDependable {
    return this.policy('Build', Stack.of(this), projectArn, [
      'codebuild:BatchGetBuilds',
      'codebuild:ListBuildsForProject',
      'codebuild:StartBuild',
      'codebuild:StopBuild',
    ]);
  }

  /** The policy that allows this on the resource; made where there is none yet. */
  private policy(right: string, owner: Stack, arn: string, actions: string[]): Policy {
    // An ARN may only name a logical id, and those of two stacks can be the same.
    const id = `${right}-${shortHash([owner.node.addr, owner.resolve(arn)])}`;
    return attachedPolicy(this.role, this, id, [new PolicyStatement({ actions, resources: [arn] })]);
  }
}
