// The function that answers CloudFormation: one per stack, whatever number of indexes the stack has. Gives out its
// ARN, and takes the repositories and projects that it works with. Knows nothing of the custom resource's properties.

import { Duration, Stack } from 'aws-cdk-lib';
import { IRepository } from 'aws-cdk-lib/aws-ecr';
import { PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Architecture, CfnFunction, Code, Function, Runtime, RuntimeFamily } from 'aws-cdk-lib/aws-lambda';
import { Construct, IDependable } from 'constructs';
import { programArchitecture, providerZip } from './assets';
import { attachedPolicy } from './attached-policy';
import { defaultsOf, PROVIDER_ID } from './defaults-of';
import { logGroupIn } from './log-group';
import { acceptFindings } from './nag';
import { connectionsOf, policiesOf, rulesOf } from './resources-of';
import { Right } from './rights-policy';
import { RoleRights, Target } from './role-rights';

/** Reading covers the referrers of an image too (ECR's API reference, ListImageReferrers). */
const READ: Right = {
  name: 'read',
  actions: ['ecr:BatchCheckLayerAvailability', 'ecr:BatchGetImage', 'ecr:GetDownloadUrlForLayer'],
};
const READ_AND_DELETE: Right = {
  name: 'delete',
  actions: [...READ.actions, 'ecr:BatchDeleteImage', 'ecr:DescribeImages'],
};
const BUILD: Right = {
  name: 'build',
  actions: [
    'codebuild:BatchGetBuilds',
    'codebuild:ListBuildsForProject',
    'codebuild:StartBuild',
    'codebuild:StopBuild',
  ],
};

export class ProviderFunction extends Construct {
  /** The function of the scope's stack; made where there is none yet. */
  public static of(scope: Construct): ProviderFunction {
    const stack = Stack.of(scope);
    return (stack.node.tryFindChild(PROVIDER_ID) as ProviderFunction | undefined) ?? new ProviderFunction(stack, PROVIDER_ID);
  }

  public readonly functionArn: string;
  /** What every index has to depend on, beside the function: the rights of it. */
  public readonly essentials: IDependable[];
  private readonly rights: RoleRights;
  private readonly role: Role;

  private constructor(scope: Construct, id: string) {
    super(scope, id);

    const defaults = defaultsOf(this);
    const { vpc, subnetSelection, securityGroups } = defaults;
    const logGroup = logGroupIn(this, defaults);
    this.role = new Role(this, 'Role', { assumedBy: new ServicePrincipal('lambda.amazonaws.com') });
    this.role.addToPolicy(
      new PolicyStatement({
        actions: ['logs:CreateLogStream', 'logs:PutLogEvents'],
        resources: [logGroup.logGroupArn],
      }),
    );

    if (vpc !== undefined) {
      this.allowNetwork();
    }

    const handler = new Function(this, 'Function', {
      description: 'Builds SOCI indexes through CodeBuild and answers CloudFormation',
      runtime: new Runtime('provided.al2023', RuntimeFamily.OTHER),
      architecture: programArchitecture() === 'aarch64' ? Architecture.ARM_64 : Architecture.X86_64,
      handler: 'bootstrap',
      code: Code.fromAsset(providerZip()),
      memorySize: 128,
      timeout: Duration.minutes(15),
      role: this.role,
      vpc,
      vpcSubnets: subnetSelection,
      securityGroups,
      // Newer than the oldest aws-cdk-lib that we work with. Without it, a feature flag makes a second group, which stays.
      ...{ logGroup },
    });
    // For an older aws-cdk-lib. A group named after the function could not be named in the role, on which the function
    // depends.
    (handler.node.defaultChild as CfnFunction).addPropertyOverride('LoggingConfig', {
      LogGroup: logGroup.logGroupName,
    });
    this.functionArn = handler.functionArn;

    // A policy of its own: the role's default policy is made before the function, and cannot name it.
    attachedPolicy(this.role, this, 'InvokeItself', [
      new PolicyStatement({ actions: ['lambda:InvokeFunction'], resources: [this.functionArn] }),
    ]);
    this.rights = new RoleRights(this, 'Rights', { role: this.role, isReplaced: true });
    this.essentials = [policiesOf(this)];
    if (vpc !== undefined) {
      // On delete, the function must reach AWS until the last index is gone.
      this.essentials.push(...[vpc, ...vpc.selectSubnets(subnetSelection).subnets].map(connectionsOf));
      this.essentials.push(...handler.connections.securityGroups.map(rulesOf));
    }
  }

  /** Lambda makes the network interfaces with the role of the function, and makes no function whose role may not. */
  private allowNetwork(): void {
    this.role.addToPolicy(
      new PolicyStatement({
        actions: [
          'ec2:AssignPrivateIpAddresses',
          'ec2:CreateNetworkInterface',
          'ec2:DeleteNetworkInterface',
          'ec2:DescribeNetworkInterfaces',
          'ec2:DescribeSubnets',
          'ec2:UnassignPrivateIpAddresses',
        ],
        resources: ['*'],
      }),
    );
    acceptFindings(this.role.node.tryFindChild('DefaultPolicy')?.node.defaultChild, [
      {
        id: 'AwsSolutions-IAM5',
        appliesTo: ['Resource::*'],
        reason: "Lambda's developer guide asks for these rights: interfaces have no names before they are made",
      },
    ]);
  }

  /** Lets the function read images of the repository, and see and delete indexes where that is wanted. */
  public useRepository(repository: IRepository, { isDestroyed }: { readonly isDestroyed: boolean }): void {
    const target: Target = { arn: repository.repositoryArn, owner: repository.stack };
    if (isDestroyed || !this.rights.has(READ_AND_DELETE, target)) {
      this.rights.allow(isDestroyed ? READ_AND_DELETE : READ, target);
    }
  }

  /** Lets the function run builds of the project. */
  public useProject(projectArn: string): void {
    this.rights.allow(BUILD, { arn: projectArn, owner: Stack.of(this) });
  }
}
