// What a build in CodeBuild may do, beside its work in repositories. In: what it uses. Out: statements. Rights name what they
// are for; the exceptions are those that IAM cannot limit.

import { Stack } from 'aws-cdk-lib';
import { SelectedSubnets } from 'aws-cdk-lib/aws-ec2';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { IKey } from 'aws-cdk-lib/aws-kms';
import { Asset } from 'aws-cdk-lib/aws-s3-assets';
import { allow } from './statement';

/** What CodeBuild does with the key for what it stores of a build (its user guide, "Configure encryption"). */
const KEY_ACTIONS = [
  'kms:Decrypt',
  'kms:DescribeKey',
  'kms:Encrypt',
  'kms:GenerateDataKey',
  'kms:ReEncryptFrom',
  'kms:ReEncryptTo',
];

/** The program, in the bucket of the CDK's assets. */
export function programStatements(program: Asset): PolicyStatement[] {
  const bucketKey = program.bucket.encryptionKey;
  return [
    allow(['s3:GetObject', 's3:GetObjectVersion'], program.bucket.arnForObjects(program.s3ObjectKey)),
    allow(['s3:GetBucketAcl', 's3:GetBucketLocation'], program.bucket.bucketArn),
    ...(bucketKey === undefined ? [] : [allow(['kms:Decrypt', 'kms:DescribeKey'], bucketKey.keyArn)]),
  ];
}

export function keyStatements(encryptionKey: IKey | undefined): PolicyStatement[] {
  return encryptionKey === undefined ? [] : [allow(KEY_ACTIONS, encryptionKey.keyArn)];
}

/** Every network interface of the stack's account and region. */
export function anyInterfaceOf(stack: Stack): string {
  return ec2ArnOf(stack, 'network-interface', '*');
}

/** The statements of CodeBuild's user guide ("Allow CodeBuild access to AWS services required to create a VPC network interface"). */
export function networkStatements(stack: Stack, { subnetIds }: SelectedSubnets): PolicyStatement[] {
  return [
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
      resources: [anyInterfaceOf(stack)],
      conditions: {
        StringEquals: { 'ec2:AuthorizedService': 'codebuild.amazonaws.com' },
        // A subnet that is shared has the account of its owner, which is not known here; its id is unique.
        ArnEquals: { 'ec2:Subnet': subnetIds.map((id) => ec2ArnOf(stack, 'subnet', id, '*')) },
      },
    }),
  ];
}

function ec2ArnOf(stack: Stack, resource: string, resourceName: string, account?: string): string {
  return stack.formatArn({ service: 'ec2', account, resource, resourceName });
}
