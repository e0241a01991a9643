// The role of builds and its rights: the project's own role, or one that is given. In: what is used. Out: the role, and
// what has to be there before a build. Rights name what they are for; the exceptions are those that IAM cannot limit.

import { Stack } from 'aws-cdk-lib';
import { IRepository } from 'aws-cdk-lib/aws-ecr';
import { SelectedSubnets } from 'aws-cdk-lib/aws-ec2';
import { IRole, Policy, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Construct, IConstruct } from 'constructs';
import { acceptFindings } from './nag';

export class BuildRole {
  public readonly role: IRole;
  private readonly policy: () => IConstruct | undefined;
  private readonly addStatement: (statement: PolicyStatement) => void;

  constructor(
    private readonly scope: Construct,
    given?: IRole,
  ) {
    if (given === undefined) {
      const role = new Role(scope, 'Role', { assumedBy: new ServicePrincipal('codebuild.amazonaws.com') });
      this.role = role;
      this.policy = () => role.node.tryFindChild('DefaultPolicy')?.node.defaultChild;
      this.addStatement = (statement) => role.addToPolicy(statement);
    } else {
      // A policy of ours, as a policy in the stack of the role could not name what is in this one.
      const policy = new Policy(scope, 'Policy');
      given.attachInlinePolicy(policy);
      this.role = given;
      this.policy = () => policy.node.defaultChild;
      this.addStatement = (statement) => {
        policy.addStatements(statement);
      };
    }
  }

  public allow(actions: string[], resource: string): void {
    this.addStatement(new PolicyStatement({ actions, resources: [resource] }));
  }

  /** Lets builds ask for the registry's password. */
  public useRegistry(): void {
    this.allow(['ecr:GetAuthorizationToken'], '*');
    const reason = 'The only right on * is ecr:GetAuthorizationToken, for which IAM knows no resource';
    acceptFindings(this.policy(), [{ id: 'AwsSolutions-IAM5', appliesTo: ['Resource::*'], reason }]);
  }

  /** Lets builds read images of the repository and push indexes to it. */
  public useRepository(repository: IRepository): void {
    this.allow(
      [
        'ecr:BatchCheckLayerAvailability',
        'ecr:BatchGetImage',
        'ecr:CompleteLayerUpload',
        'ecr:GetDownloadUrlForLayer',
        'ecr:InitiateLayerUpload',
        'ecr:PutImage',
        'ecr:UploadLayerPart',
      ],
      repository.repositoryArn,
    );
  }

  /** Lets CodeBuild use the key for what it stores of a build (its user guide, "Configure encryption"). */
  public useKey(keyArn: string): void {
    this.allow(
      ['kms:Decrypt', 'kms:DescribeKey', 'kms:Encrypt', 'kms:GenerateDataKey', 'kms:ReEncryptFrom', 'kms:ReEncryptTo'],
      keyArn,
    );
  }

  /**
   * Lets CodeBuild put a build into the subnets: the statements of its user guide ("Allow CodeBuild access to AWS
   * services required to create a VPC network interface"). A project can be made only after these rights, which it tries.
   */
  public useSubnets({ subnetIds }: SelectedSubnets): Policy {
    const arnOf = (resource: string, resourceName: string): string =>
      Stack.of(this.scope).formatArn({ service: 'ec2', resource, resourceName });
    const policy = new Policy(this.scope, 'NetworkPolicy', {
      statements: [
        // The interfaces have no names before they are made, and what describes takes nothing but everything.
        new PolicyStatement({
          actions: [
            'ec2:CreateNetworkInterface',
            'ec2:DeleteNetworkInterface',
            'ec2:DescribeDhcpOptions',
            'ec2:DescribeNetworkInterfaces',
            'ec2:DescribeSecurityGroups',
            'ec2:DescribeSubnets',
            'ec2:DescribeVpcs',
          ],
          resources: ['*'],
        }),
        new PolicyStatement({
          actions: ['ec2:CreateNetworkInterfacePermission'],
          resources: [arnOf('network-interface', '*')],
          conditions: {
            StringEquals: { 'ec2:AuthorizedService': 'codebuild.amazonaws.com' },
            ArnEquals: { 'ec2:Subnet': subnetIds.map((id) => arnOf('subnet', id)) },
          },
        }),
      ],
    });
    acceptFindings(policy.node.defaultChild, [
      {
        id: 'AwsSolutions-IAM5',
        reason: "CodeBuild's user guide asks for these rights: interfaces have no names before they are made",
      },
    ]);
    this.role.attachInlinePolicy(policy);
    return policy;
  }
}
