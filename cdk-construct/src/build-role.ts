// The role of builds and its rights: the project's own role, or one that is given. In: what is used. Out: the role, and
// what has to be there before a build. Rights name what they are for; the exceptions are those that IAM cannot limit.

import { Stack } from 'aws-cdk-lib';
import { IRepository } from 'aws-cdk-lib/aws-ecr';
import { SelectedSubnets } from 'aws-cdk-lib/aws-ec2';
import { IRole, Policy, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { IKey } from 'aws-cdk-lib/aws-kms';
import { ILogGroup } from 'aws-cdk-lib/aws-logs';
import { Asset } from 'aws-cdk-lib/aws-s3-assets';
import { Construct, IConstruct } from 'constructs';
import { attachedPolicy } from './attached-policy';
import { acceptFindings } from './nag';
import { shortHash } from './short-hash';

/** What CodeBuild does with the key for what it stores of a build (its user guide, "Configure encryption"). */
const KEY_ACTIONS = [
  'kms:Decrypt',
  'kms:DescribeKey',
  'kms:Encrypt',
  'kms:GenerateDataKey',
  'kms:ReEncryptFrom',
  'kms:ReEncryptTo',
];

/** What a build uses wherever it works. */
export interface BuildNeeds {
  readonly logGroup: ILogGroup;
  readonly program: Asset;
  readonly encryptionKey?: IKey;
}

export class BuildRole {
  public readonly role: IRole;

  constructor(
    private readonly scope: Construct,
    private readonly given: IRole | undefined,
    needs: BuildNeeds,
  ) {
    this.role = given ?? new Role(scope, 'Role', { assumedBy: new ServicePrincipal('codebuild.amazonaws.com') });
    const policy = this.allow('Policy', statementsFor(needs));
    acceptFindings(policy?.node.defaultChild, [
      {
        id: 'AwsSolutions-IAM5',
        appliesTo: ['Resource::*'],
        reason: 'The only right on * is ecr:GetAuthorizationToken, for which IAM knows no resource',
      },
    ]);
  }

  /** Lets builds read images of the repository and push indexes to it. */
  public useRepository(repository: IRepository): void {
    const actions = [
      'ecr:BatchCheckLayerAvailability',
      'ecr:BatchGetImage',
      'ecr:CompleteLayerUpload',
      'ecr:GetDownloadUrlForLayer',
      'ecr:InitiateLayerUpload',
      'ecr:PutImage',
      'ecr:UploadLayerPart',
    ];
    const { stack, repositoryArn } = repository;
    this.allow(`Policy-${shortHash([stack.node.addr, stack.resolve(repositoryArn)])}`, [allow(actions, repositoryArn)]);
  }

  /**
   * Lets CodeBuild put a build into the subnets: the statements of its user guide ("Allow CodeBuild access to AWS
   * services required to create a VPC network interface"). A project can be made only after these rights, which it tries.
   */
  public useSubnets({ subnetIds }: SelectedSubnets): Policy {
    const arnOf = (resource: string, resourceName: string, account?: string): string =>
      Stack.of(this.scope).formatArn({ service: 'ec2', account, resource, resourceName });
    const policy = attachedPolicy(this.role, this.scope, 'NetworkPolicy', [
      // The interfaces have no names before they are made, and what describes takes nothing but everything.
      allow(
        [
          'ec2:CreateNetworkInterface',
          'ec2:DeleteNetworkInterface',
          'ec2:DescribeDhcpOptions',
          'ec2:DescribeNetworkInterfaces',
          'ec2:DescribeSecurityGroups',
          'ec2:DescribeSubnets',
          'ec2:DescribeVpcs',
        ],
        '*',
      ),
      new PolicyStatement({
        actions: ['ec2:CreateNetworkInterfacePermission'],
        resources: [arnOf('network-interface', '*')],
        conditions: {
          StringEquals: { 'ec2:AuthorizedService': 'codebuild.amazonaws.com' },
          // A subnet that is shared has the account of its owner, which is not known here; its id is unique.
          ArnEquals: { 'ec2:Subnet': subnetIds.map((id) => arnOf('subnet', id, '*')) },
        },
      }),
    ]);
    acceptFindings(policy.node.defaultChild, [
      {
        id: 'AwsSolutions-IAM5',
        reason: "CodeBuild's user guide asks for these rights: interfaces have no names before they are made",
      },
    ]);
    return policy;
  }

  /** In the policy by this id, or in the default policy of our own role. */
  private allow(id: string, statements: PolicyStatement[]): IConstruct | undefined {
    if (this.given !== undefined) {
      // The default policy would be in the stack of the role, and could not name what is in this one.
      return attachedPolicy(this.given, this.scope, id, statements);
    }
    statements.forEach((statement) => this.role.addToPrincipalPolicy(statement));
    return this.role.node.tryFindChild('DefaultPolicy');
  }
}

function statementsFor({ logGroup, program, encryptionKey }: BuildNeeds): PolicyStatement[] {
  const bucketKey = program.bucket.encryptionKey;
  return [
    allow(['logs:CreateLogStream', 'logs:PutLogEvents'], logGroup.logGroupArn),
    allow(['s3:GetObject', 's3:GetObjectVersion'], program.bucket.arnForObjects(program.s3ObjectKey)),
    allow(['s3:GetBucketAcl', 's3:GetBucketLocation'], program.bucket.bucketArn),
    ...(bucketKey === undefined ? [] : [allow(['kms:Decrypt', 'kms:DescribeKey'], bucketKey.keyArn)]),
    // The registry's password.
    allow(['ecr:GetAuthorizationToken'], '*'),
    ...(encryptionKey === undefined ? [] : [allow(KEY_ACTIONS, encryptionKey.keyArn)]),
  ];
}

function allow(actions: string[], resource: string): PolicyStatement {
  return new PolicyStatement({ actions, resources: [resource] });
}
