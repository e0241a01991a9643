// Where no build can run: one refusal for each thing that cannot work.

import { App, CfnParameter, Duration, Stack } from 'aws-cdk-lib';
import { ComputeType } from 'aws-cdk-lib/aws-codebuild';
import { SecurityGroup, Subnet, SubnetType } from 'aws-cdk-lib/aws-ec2';
import { Role } from 'aws-cdk-lib/aws-iam';
import { Key } from 'aws-cdk-lib/aws-kms';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { LambdaComputeType, SociBuilder, SociIndexBuild, SociIndexOptions, SociIndexV2Build } from '../src';
import { HERE, Options, vpcIn } from './build';
import { repositoryIn } from './template';

const LAMBDA = LambdaComputeType.LAMBDA_1GB;
const FUNCTION = SociBuilder.FUNCTION;

const refused: [string, Options, string][] = [
  [
    'two compute types',
    { computeType: ComputeType.LARGE, lambdaComputeType: LAMBDA },
    `'computeType' and 'lambdaComputeType' cannot be combined, got "BUILD_GENERAL1_LARGE" and "BUILD_LAMBDA_1GB"`,
  ],
  [
    'Lambda compute with a timeout',
    { lambdaComputeType: LAMBDA, timeout: Duration.minutes(10) },
    `'timeout' cannot be set with Lambda compute, which has a fixed timeout of 15 minutes, got 10 minutes: omit it, or`,
  ],
  [
    'Lambda compute with a queue timeout',
    { lambdaComputeType: LAMBDA, queuedTimeout: Duration.minutes(5) },
    `'queuedTimeout' cannot be set with Lambda compute`,
  ],
  [
    'Lambda compute in a VPC',
    (stack) => ({ lambdaComputeType: LAMBDA, vpc: vpcIn(stack) }),
    `'vpc' cannot be used with Lambda compute, which does not support VPCs, got "Stack/Vpc": omit it, or`,
  ],
  [
    'a machine of CodeBuild for a function',
    { builder: FUNCTION, computeType: ComputeType.LARGE },
    `'computeType' cannot be used with 'builder' FUNCTION, because it is a CodeBuild setting, got "BUILD_GENERAL1_LARGE": omit it`,
  ],
  [
    'Lambda compute of CodeBuild for a function',
    { builder: FUNCTION, lambdaComputeType: LAMBDA },
    `'lambdaComputeType' cannot be used with 'builder' FUNCTION, because it is a CodeBuild setting, got "BUILD_LAMBDA_1GB"`,
  ],
  [
    'a queue for a function',
    { builder: FUNCTION, queuedTimeout: Duration.minutes(5) },
    `'queuedTimeout' cannot be used with 'builder' FUNCTION, because it is a CodeBuild setting, got 5 minutes`,
  ],
  [
    'a queue of unknown length for a function',
    (stack) => ({ builder: FUNCTION, queuedTimeout: Duration.minutes(new CfnParameter(stack, 'Queue', { type: 'Number' }).valueAsNumber) }),
    `'queuedTimeout' cannot be used with 'builder' FUNCTION, because it is a CodeBuild setting, got a token`,
  ],
  [
    'the memory of a function for CodeBuild',
    { memorySize: 4_096 },
    `'memorySize' cannot be used with CodeBuild, got 4096: set 'builder' to FUNCTION, or use 'computeType' instead`,
  ],
  ...[511, 10_241, 2_048.5].map((memorySize): [string, Options, string] => [
    `a memory of ${memorySize} MB`,
    { builder: FUNCTION, memorySize },
    `'memorySize' must be a whole number of MB between 512 (required by a build) and 10240 (Lambda's limit), got ${memorySize}`,
  ]),
  ...[0, 15, 1.5].map((minutes): [string, Options, string] => [
    `a function for ${minutes} minutes`,
    { builder: FUNCTION, timeout: Duration.seconds(60 * minutes) },
    `'timeout' must be 1 to 14 whole minutes for a function, because Lambda's limit is 15, got ${minutes} minutes`,
  ]),
  [
    'a time that is known at deployment for a function',
    (stack) => ({ builder: FUNCTION, timeout: Duration.minutes(new CfnParameter(stack, 'Minutes', { type: 'Number' }).valueAsNumber) }),
    `'timeout' must be known at synth for a function, got a token: use 1 to 14 minutes, or set 'builder' to CODE_BUILD`,
  ],
  [
    'a function in public subnets',
    (stack) => ({ builder: FUNCTION, vpc: vpcIn(stack, SubnetType.PUBLIC) }),
    `'vpc' must use private subnets, got public ones`,
  ],
  [
    'another builder, from a language without enums',
    JSON.parse('{"builder":"lambda"}') as SociIndexOptions,
    `'builder' must be CODE_BUILD or FUNCTION of SociBuilder, got "lambda"`,
  ],
  [
    'a VPC with public subnets only',
    (stack) => ({ vpc: vpcIn(stack, SubnetType.PUBLIC) }),
    `'vpc' must use private subnets, got public ones (Stack/Vpc/PublicSubnet1, Stack/Vpc/PublicSubnet2)`,
  ],
  [
    'public subnets that are asked for',
    (stack) => ({ vpc: vpcIn(stack), subnetSelection: { subnetType: SubnetType.PUBLIC } }),
    `'vpc' must use private subnets, got public ones`,
  ],
  [
    'a selection of no subnet',
    (stack) => ({ vpc: vpcIn(stack), subnetSelection: { subnets: [] } }),
    `'subnetSelection' matches no subnet of the VPC "Stack/Vpc"`,
  ],
  [
    'subnets without a VPC',
    (stack) => ({ subnetSelection: { subnets: [Subnet.fromSubnetId(stack, 'Subnet', 'subnet-1')] } }),
    `'subnetSelection' requires 'vpc', got only "subnets"`,
  ],
  [
    'security groups without a VPC',
    (stack) => ({ securityGroups: [SecurityGroup.fromSecurityGroupId(stack, 'Group', 'sg-1')] }),
    `'securityGroups' requires 'vpc', got only "Stack/Group"`,
  ],
  [
    'no security group',
    (stack) => ({ vpc: vpcIn(stack), securityGroups: [] }),
    `'securityGroups' is empty: omit it to create a new security group`,
  ],
  [
    'a retention of a log group that is given',
    (stack) => ({ logGroup: new LogGroup(stack, 'Given'), logRetention: RetentionDays.ONE_YEAR }),
    `'logRetention' cannot be combined with 'logGroup', got 365 and the log group "Stack/Given"`,
  ],
  [
    'a log group in another region',
    (stack) => ({
      logGroup: LogGroup.fromLogGroupArn(stack, 'Given', 'arn:aws:logs:us-east-1:111111111111:log-group:builds:*'),
    }),
    `'logGroup' must be in the region of its stack ("eu-west-1"), got "us-east-1"`,
  ],
  [
    'a log group of another account',
    (stack) => ({
      logGroup: LogGroup.fromLogGroupArn(stack, 'Given', 'arn:aws:logs:eu-west-1:222222222222:log-group:builds:*'),
    }),
    `'logGroup' must be in the account of its stack ("111111111111"), got "222222222222"`,
  ],
  [
    'a key in another region',
    (stack) => ({ encryptionKey: Key.fromKeyArn(stack, 'Given', 'arn:aws:kms:us-east-1:111111111111:key/1') }),
    `'encryptionKey' must be in the region of its stack ("eu-west-1"), got "us-east-1"`,
  ],
  [
    'a role of another account',
    (stack) => ({ role: Role.fromRoleArn(stack, 'Given', 'arn:aws:iam::222222222222:role/builds') }),
    `'role' must be in the account of its stack ("111111111111"), got "222222222222"`,
  ],
];

test.each(refused)('refuses %s, before anything is defined', (_, options, message) => {
  const stack = new Stack(new App(), 'Stack', { env: HERE });
  const given = typeof options === 'function' ? options(stack) : options;
  const repository = repositoryIn(stack);
  const before = stack.node.children.length;

  expect(() => new SociIndexV2Build(stack, 'Index', { repository, inputImageTag: 'v1', ...given })).toThrow(message);
  expect(() => new SociIndexBuild(stack, 'V1', { repository, imageTag: 'v1', ...given })).toThrow(message);
  expect(stack.node.children).toHaveLength(before + 2);
});
