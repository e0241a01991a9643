// The role of builds and its rights: the project's own role, or one that is given. In: what is used. Out: the role, and
// what has to be there before a build. Rights name what they are for; the exceptions are those that IAM cannot limit.

import { Stack } from 'aws-cdk-lib';
import { IRepository } from 'aws-cdk-lib/aws-ecr';
import { SelectedSubnets } from 'aws-cdk-lib/aws-ec2';
import { IRole, Policy, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { IKey } from 'aws-cdk-lib/aws-kms';
import { ILogGroup } from 'aws-cdk-lib/aws-logs';
import { Asset } from 'aws-cdk-lib/aws-s3-assets';
import { Construct, IConstruct, IDependable } from 'constructs';
import { attachedPolicy } from './attached-policy';
import { acceptFindings, resourceFinding } from './nag';
import { policiesOf } from './resources-of';
import { Right } from './rights-policy';
import { RoleRights } from './role-rights';

/** What CodeBuild does with the key for what it stores of a build (its user guide, "Configure encryption"). */
const KEY_ACTIONS = [
  'kms:Decrypt',
  'kms:DescribeKey',
  'kms:Encrypt',
  'kms:GenerateDataKey',
  'kms:ReEncryptFrom',
  'kms:ReEncryptTo',
];

/** Reading images, and pushing indexes. */
const PUSH: Right = {
  name: 'push',
  actions: [
    'ecr:BatchCheckLayerAvailability',
    'ecr:BatchGetImage',
    'ecr:CompleteLayerUpload',
    'ecr:GetDownloadUrlForLayer',
    'ecr:InitiateLayerUpload',
    'ecr:PutImage',
    'ecr:UploadLayerPart',
  ],
};

/** What a build uses wherever it works. */
export interface BuildNeeds {
  readonly logGroup: ILogGroup;
  readonly program: Asset;
  readonly encryptionKey?: IKey;
}

export class BuildRole {
  public readonly role: IRole;
  /** What every index has to depend on. A given role that takes no policies has to have its own. */
  public readonly essentials: IDependable[];
  private readonly rights: RoleRights;

  constructor(
    private readonly scope: Construct,
    private readonly given: IRole | undefined,
    needs: BuildNeeds,
  ) {
    this.role = given ?? new Role(scope, 'Role', { assumedBy: new ServicePrincipal('codebuild.amazonaws.com') });
    const policy = this.allow(statementsFor(needs));
    acceptFindings(policy?.node.defaultChild, [
      {
        id: 'AwsSolutions-IAM5',
        appliesTo: ['Resource::*'],
        reason: 'The only right on * is ecr:GetAuthorizationToken, for which IAM knows no resource',
      },
    ]);
    this.rights = new RoleRights(scope, 'Rights', { role: this.role });
    this.essentials = [policiesOf(scope), ...(given === undefined || this.rights.isAttached ? [] : [policiesOf(given)])];
  }

  /** Lets builds read images of the repository and push indexes to it. */
  public useRepository(repository: IRepository): void {
    this.rights.allow(PUSH, { arn: repository.repositoryArn, owner: repository.stack });
  }

  /**
   * Lets CodeBuild put a build into the subnets: the statements of its user guide ("Allow CodeBuild access to AWS
   * services required to create a VPC network interface"). A project can be made only after these rights, which it tries.
   */
  public useSubnets({ subnetIds }: SelectedSubnets): Policy {
    const arnOf = (resource: string, resourceName: string, account?: string): string =>
      Stack.of(this.scope).formatArn({ service: 'ec2', account, resource, resourceName });
    const anyInterface = arnOf('network-interface', '*');
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
        resources: [anyInterface],
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
        appliesTo: ['Resource::*', resourceFinding(Stack.of(this.scope), anyInterface)],
        reason: "CodeBuild's user guide asks for these rights: interfaces have no names before they are made",
      },
    ]);
    return policy;
  }

  /** In the default policy of our own role, or in a policy of its own. */
  private allow(statements: PolicyStatement[]): IConstruct | undefined {
    if (this.given !== undefined) {
      // The default policy would be in the stack of the role, and could not name what is in this one.
      return attachedPolicy(this.given, this.scope, 'Policy', statements);
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
