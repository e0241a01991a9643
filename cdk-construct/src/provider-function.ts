// The function that answers CloudFormation: one per stack, whatever number of indexes the stack has. Gives out its
// ARN, and takes the rights that each index needs. Knows nothing of the custom resource's properties.

import { Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { IRepository } from 'aws-cdk-lib/aws-ecr';
import { Policy, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Architecture, CfnFunction, Code, Function, Runtime, RuntimeFamily } from 'aws-cdk-lib/aws-lambda';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { providerDirectory } from './assets';

/** Part of the logical ids of deployed stacks: never changes. */
const ID = 'SociIndexBuildProvider';

/** What one index needs the function to do in the repository. */
export interface RepositoryUse {
  /** Version 1 indexes are found through the image that they refer to. */
  readonly hasReferrers: boolean;
  /** The index is deleted with its resource. */
  readonly isDestroyed: boolean;
}

export class ProviderFunction extends Construct {
  /** The function of the scope's stack; made where there is none yet. */
  public static of(scope: Construct): ProviderFunction {
    const stack = Stack.of(scope);
    return (stack.node.tryFindChild(ID) as ProviderFunction | undefined) ?? new ProviderFunction(stack, ID);
  }

  public readonly functionArn: string;
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
      architecture: Architecture.X86_64,
      handler: 'bootstrap',
      code: Code.fromAsset(providerDirectory()),
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
    new Policy(this, 'InvokeItself', {
      roles: [this.role],
      statements: [new PolicyStatement({ actions: ['lambda:InvokeFunction'], resources: [this.functionArn] })],
    });
  }

  /** Lets the function read images of the repository, and see and delete indexes where that is wanted. */
  public useRepository(repository: IRepository, use: RepositoryUse): void {
    repository.grant(
      this.role,
      'ecr:BatchCheckLayerAvailability',
      'ecr:BatchGetImage',
      'ecr:GetDownloadUrlForLayer',
    );
    if (use.hasReferrers) {
      repository.grant(this.role, 'ecr:ListImageReferrers');
    }
    if (use.isDestroyed) {
      repository.grant(this.role, 'ecr:BatchDeleteImage', 'ecr:DescribeImages');
    }
  }

  /** Lets the function run builds of the project. */
  public useProject(projectArn: string): void {
    this.role.addToPolicy(
      new PolicyStatement({
        actions: [
          'codebuild:BatchGetBuilds',
          'codebuild:ListBuildsForProject',
          'codebuild:StartBuild',
          'codebuild:StopBuild',
        ],
        resources: [projectArn],
      }),
    );
  }
}
