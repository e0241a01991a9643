// Every property of every construct: a value, and where it must be seen in the template. The types of the tables have all
// properties, so that the compiler (`npm run lint`) asks for a row where there is one more.

import { Arn, CfnWaitConditionHandle, Duration, RemovalPolicy, Size, Stack } from 'aws-cdk-lib';
import { Match } from 'aws-cdk-lib/assertions';
import { ComputeType } from 'aws-cdk-lib/aws-codebuild';
import { IVpc, SecurityGroup, Vpc } from 'aws-cdk-lib/aws-ec2';
import { Platform } from 'aws-cdk-lib/aws-ecr-assets';
import { Cluster } from 'aws-cdk-lib/aws-ecs';
import { Role } from 'aws-cdk-lib/aws-iam';
import { Key } from 'aws-cdk-lib/aws-kms';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { Construct } from 'constructs';
import {
  LambdaComputeType,
  SociBuilder,
  SociIndexBuildProps,
  SociIndexOnPushProps,
  SociIndexOptions,
  SociIndexV2BuildOptions,
  SociIndexV2BuildProps,
  SociIndexVersion,
  SociStartTimesProps,
  WhenNotIndexed,
} from 'soci-index-build';
import { INDEX, repositoryIn } from './template';

const PROJECT = 'AWS::CodeBuild::Project';

type Given<Props> = Partial<Props> | ((scope: Construct) => Partial<Props>);

/** What is given, and where it must be seen. */
export interface Row<Props> {
  readonly given: Given<Props>;
  readonly type: string;
  readonly properties: object;
}

type Table<Props, Others = unknown> = { readonly [Name in Exclude<keyof Props, keyof Others>]-?: Row<Props> };

const inIndex = <Props>(given: Given<Props>, properties: object): Row<Props> => ({
  given,
  type: INDEX,
  properties,
});
const inProject = <Props>(given: Given<Props>, properties: object): Row<Props> => ({
  given,
  type: PROJECT,
  properties,
});

// In the forms that AWS gives them: cfn-lint asks for these.
const SUBNETS = ['subnet-0123456789abcdef0', 'subnet-0123456789abcdef1'];
const GROUP = 'sg-0123456789abcdef0';
const VPC = 'vpc-0123456789abcdef0';
const UUID = '01234567-89ab-cdef-0123-456789abcdef';

const vpcIn = (scope: Construct): IVpc =>
  Vpc.fromVpcAttributes(scope, 'Vpc', {
    vpcId: VPC,
    availabilityZones: ['a', 'b'],
    privateSubnetIds: SUBNETS,
  });
const LAMBDA = { Type: 'LINUX_LAMBDA_CONTAINER', ComputeType: 'BUILD_LAMBDA_2GB' };
/** Of the stack's own partition, account and region. */
const arnOf = (scope: Construct, service: string, resource: string, region?: string): string =>
  Arn.format({ service, resource, resourceName: UUID, region }, Stack.of(scope));
const topicIn = (scope: Construct): string => Arn.format({ service: 'sns', resource: 'alarms' }, Stack.of(scope));
const ARN = Match.objectLike({ 'Fn::Join': ['', Match.arrayWith([Match.stringLikeRegexp(`/${UUID}$`)])] });
const DIGEST = `sha256:${'0'.repeat(64)}`;

export const OPTIONS: Table<SociIndexOptions> = {
  platforms: inIndex({ platforms: [Platform.LINUX_AMD64] }, { Platforms: ['linux/amd64'] }),
  minLayerSize: inIndex({ minLayerSize: Size.bytes(0) }, { MinLayerSize: '0' }),
  spanSize: inIndex({ spanSize: Size.mebibytes(1) }, { SpanSize: '1048576' }),
  prefetchFiles: inIndex({ prefetchFiles: ['/app'] }, { PrefetchFiles: ['/app'] }),
  whenTooSmall: inIndex({ whenTooSmall: WhenNotIndexed.FAIL }, { WhenTooSmall: 'fail' }),
  whenUnsupported: inIndex({ whenUnsupported: WhenNotIndexed.USE_ORIGINAL }, { WhenUnsupported: 'use-original' }),
  removalPolicy: inIndex({ removalPolicy: RemovalPolicy.DESTROY }, { RemovalPolicy: 'destroy' }),
  waitForIndex: inIndex({ waitForIndex: false }, { WaitForIndex: 'false' }),
  builder: inIndex({ builder: SociBuilder.FUNCTION }, { BuilderFunction: Match.anyValue(), ProjectName: Match.absent() }),
  memorySize: {
    given: { builder: SociBuilder.FUNCTION, memorySize: 3_008 },
    type: 'AWS::Lambda::Function',
    properties: { MemorySize: 3_008 },
  },
  computeType: inProject({ computeType: ComputeType.LARGE }, { Environment: { ComputeType: 'BUILD_GENERAL1_LARGE' } }),
  lambdaComputeType: inProject({ lambdaComputeType: LambdaComputeType.LAMBDA_2GB }, { Environment: LAMBDA }),
  timeout: inProject({ timeout: Duration.minutes(25) }, { TimeoutInMinutes: 25 }),
  queuedTimeout: inProject({ queuedTimeout: Duration.minutes(8) }, { QueuedTimeoutInMinutes: 8 }),
  vpc: inProject((scope) => ({ vpc: vpcIn(scope) }), {
    VpcConfig: { VpcId: VPC, Subnets: SUBNETS },
  }),
  subnetSelection: inProject(
    (scope) => ({ vpc: vpcIn(scope), subnetSelection: { availabilityZones: ['b'] } }),
    { VpcConfig: { Subnets: [SUBNETS[1]] } },
  ),
  securityGroups: inProject(
    (scope) => ({ vpc: vpcIn(scope), securityGroups: [SecurityGroup.fromSecurityGroupId(scope, 'Group', GROUP)] }),
    { VpcConfig: { SecurityGroupIds: [GROUP] } },
  ),
  encryptionKey: inProject((scope) => ({ encryptionKey: Key.fromKeyArn(scope, 'Key', arnOf(scope, 'kms', 'key')) }), { EncryptionKey: ARN }),
  role: inProject((scope) => ({ role: Role.fromRoleArn(scope, 'Role', arnOf(scope, 'iam', 'role', '')) }), { ServiceRole: ARN }),
  logGroup: inProject((scope) => ({ logGroup: LogGroup.fromLogGroupName(scope, 'Log', 'builds') }), {
    LogsConfig: { CloudWatchLogs: { GroupName: 'builds' } },
  }),
  logRetention: {
    given: { logRetention: RetentionDays.ONE_YEAR },
    type: 'AWS::Logs::LogGroup',
    properties: { RetentionInDays: 365 },
  },
  // Not a property of any resource; that the index waits is in dependencies.test.ts.
  dependencies: {
    given: (scope) => ({ dependencies: [new CfnWaitConditionHandle(scope, 'Pushed')] }),
    type: 'AWS::CloudFormation::WaitConditionHandle',
    properties: {},
  },
};

export const V2_OPTIONS: Table<SociIndexV2BuildOptions, SociIndexOptions> = {
  outputImageTag: inIndex({ outputImageTag: 'fast' }, { OutputImageTag: 'fast' }),
};

const OTHER = Match.objectLike({ 'Fn::Join': ['', Match.arrayWith([Match.stringLikeRegexp('/other$')])] });

export const V2: Table<SociIndexV2BuildProps, SociIndexV2BuildOptions> = {
  repository: inIndex((scope) => ({ repository: repositoryIn(scope, 'other') }), { RepositoryUri: OTHER }),
  inputImageTag: inIndex({ inputImageTag: 'v2' }, { InputImageTag: 'v2' }),
  inputImageDigest: inIndex({ inputImageTag: undefined, inputImageDigest: DIGEST }, { InputImageDigest: DIGEST }),
};

export const V1: Table<SociIndexBuildProps, SociIndexOptions> = {
  repository: inIndex((scope) => ({ repository: repositoryIn(scope, 'other') }), { RepositoryUri: OTHER }),
  imageTag: inIndex({ imageTag: 'v2' }, { InputImageTag: 'v2' }),
  imageDigest: inIndex({ imageTag: undefined, imageDigest: DIGEST }, { InputImageDigest: DIGEST }),
};

const FUNCTION = 'AWS::Lambda::Function';

const inFunction = <Props>(given: Given<Props>, properties: object): Row<Props> => ({ given, type: FUNCTION, properties });

/** In the JSON that the function reads. */
const inSettings = <Props>(given: Given<Props>, text: string): Row<Props> =>
  inFunction(given, { Environment: { Variables: { SOCI_ON_PUSH: Match.stringLikeRegexp(text.replace(/[[\]*]/g, '\\$&')) } } });

const inPattern = <Props>(given: Given<Props>, detail: object): Row<Props> => ({
  given,
  type: 'AWS::Events::Rule',
  properties: { EventPattern: { detail } },
});

const inFailures = <Props>(given: Given<Props>, properties: object): Row<Props> => ({
  given,
  type: 'AWS::Lambda::EventInvokeConfig',
  properties,
});

/** Where a function runs and what it logs to. */
const FUNCTION_PLACE = {
  vpc: inFunction((scope) => ({ vpc: vpcIn(scope) }), { VpcConfig: { SubnetIds: SUBNETS } }),
  subnetSelection: inFunction((scope) => ({ vpc: vpcIn(scope), subnetSelection: { availabilityZones: ['b'] } }), {
    VpcConfig: { SubnetIds: [SUBNETS[1]] },
  }),
  securityGroups: inFunction(
    (scope) => ({ vpc: vpcIn(scope), securityGroups: [SecurityGroup.fromSecurityGroupId(scope, 'Group', GROUP)] }),
    { VpcConfig: { SecurityGroupIds: [GROUP] } },
  ),
  logGroup: inFunction((scope) => ({ logGroup: LogGroup.fromLogGroupName(scope, 'Log', 'images') }), {
    LoggingConfig: { LogGroup: 'images' },
  }),
  logRetention: OPTIONS.logRetention,
} satisfies Partial<Table<SociIndexOnPushProps & SociStartTimesProps>>;

export const ON_PUSH: Table<SociIndexOnPushProps> = {
  filters: inPattern({ filters: ['team/*:v*'] }, { 'repository-name': [{ prefix: 'team/' }], 'image-tag': [{ prefix: 'v' }] }),
  repositories: inPattern((scope) => ({ repositories: [repositoryIn(scope, 'other')] }), {
    'repository-name': Match.arrayWith(['other']),
  }),
  version: inSettings({ version: SociIndexVersion.V1 }, '"IndexVersion":"v1"'),
  outputSuffix: inSettings({ outputSuffix: '.fast' }, '"OutputSuffix":".fast"'),
  platforms: inSettings({ platforms: [Platform.LINUX_AMD64] }, '"Platforms":["linux/amd64"]'),
  minLayerSize: inSettings({ minLayerSize: Size.bytes(0) }, '"MinLayerSize":"0"'),
  spanSize: inSettings({ spanSize: Size.mebibytes(1) }, '"SpanSize":"1048576"'),
  prefetchFiles: inSettings({ prefetchFiles: ['/app'] }, '"PrefetchFiles":["/app"]'),
  whenTooSmall: inSettings({ whenTooSmall: WhenNotIndexed.FAIL }, '"WhenTooSmall":"fail"'),
  whenUnsupported: inSettings({ whenUnsupported: WhenNotIndexed.USE_ORIGINAL }, '"WhenUnsupported":"use-original"'),
  memorySize: inFunction({ memorySize: 3_008 }, { MemorySize: 3_008 }),
  timeout: inFunction({ timeout: Duration.minutes(7) }, { Timeout: 8 * 60 }),
  ...FUNCTION_PLACE,
  encryptionKey: {
    given: (scope) => ({ encryptionKey: Key.fromKeyArn(scope, 'Key', arnOf(scope, 'kms', 'key')) }),
    type: 'AWS::SQS::Queue',
    properties: { KmsMasterKeyId: ARN },
  },
  role: inFunction((scope) => ({ role: Role.fromRoleArn(scope, 'Role', arnOf(scope, 'iam', 'role', '')) }), { Role: ARN }),
  maxConcurrency: inFunction({ maxConcurrency: 10 }, { ReservedConcurrentExecutions: 10 }),
  retryAttempts: inFailures({ retryAttempts: 0 }, { MaximumRetryAttempts: 0 }),
  maxEventAge: inFailures({ maxEventAge: Duration.hours(1) }, { MaximumEventAgeInSeconds: 3_600 }),
  alarmTopic: {
    given: (scope) => ({ alarmTopic: Topic.fromTopicArn(scope, 'Topic', topicIn(scope)) }),
    type: 'AWS::CloudWatch::Alarm',
    properties: { AlarmActions: [Match.objectLike({ 'Fn::Join': ['', Match.arrayWith([Match.stringLikeRegexp(':alarms$')])] })] },
  },
  dashboard: { given: { dashboard: true }, type: 'AWS::CloudWatch::Dashboard', properties: {} },
};

export const START_TIMES: Table<SociStartTimesProps> = {
  cluster: inPattern(
    (scope) => ({ cluster: Cluster.fromClusterArn(scope, 'Cluster', arnOf(scope, 'ecs', 'cluster')) }),
    { clusterArn: [ARN] },
  ),
  repositories: {
    given: (scope) => ({ repositories: [repositoryIn(scope, 'other')] }),
    type: 'AWS::IAM::Policy',
    properties: { PolicyDocument: { Statement: [Match.objectLike({ Resource: OTHER })] } },
  },
  dashboard: { given: { dashboard: true }, type: 'AWS::CloudWatch::Dashboard', properties: {} },
  ...FUNCTION_PLACE,
  encryptionKey: {
    given: (scope) => ({ encryptionKey: Key.fromKeyArn(scope, 'Key', arnOf(scope, 'kms', 'key')) }),
    type: 'AWS::Logs::LogGroup',
    properties: { KmsKeyId: ARN },
  },
};
