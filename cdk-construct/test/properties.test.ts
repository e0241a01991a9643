// Every property of every construct reaches the template. The types of the tables have all properties, so that the compiler
// (`npm run lint`) asks for a row where there is one more.

import { Duration, RemovalPolicy, Size, Stack } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import { ComputeType } from 'aws-cdk-lib/aws-codebuild';
import { IVpc, SecurityGroup, Vpc } from 'aws-cdk-lib/aws-ec2';
import { Platform } from 'aws-cdk-lib/aws-ecr-assets';
import { Role } from 'aws-cdk-lib/aws-iam';
import { Key } from 'aws-cdk-lib/aws-kms';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import {
  LambdaComputeType,
  SociImage,
  SociIndexBuild,
  SociIndexBuildProps,
  SociIndexOptions,
  SociIndexV2Build,
  SociIndexV2BuildOptions,
  SociIndexV2BuildProps,
  WhenNotIndexed,
} from '../src';
import { PROJECT } from './build';
import { task } from './task-images';
import { INDEX, repositoryIn, templateOf } from './template';

/** What is given, and where it must be seen. */
interface Row<Props> {
  readonly given: Partial<Props> | ((stack: Stack) => Partial<Props>);
  readonly type: string;
  readonly properties: object;
}

type Table<Props, Others = unknown> = { readonly [Name in Exclude<keyof Props, keyof Others>]-?: Row<Props> };

const inIndex = <Props>(given: Row<Props>['given'], properties: object): Row<Props> => ({
  given,
  type: INDEX,
  properties,
});
const inProject = <Props>(given: Row<Props>['given'], properties: object): Row<Props> => ({
  given,
  type: PROJECT,
  properties,
});

const vpcIn = (stack: Stack): IVpc =>
  Vpc.fromVpcAttributes(stack, 'Vpc', {
    vpcId: 'vpc-1',
    availabilityZones: ['a', 'b'],
    privateSubnetIds: ['subnet-a', 'subnet-b'],
  });
const LAMBDA = { Type: 'LINUX_LAMBDA_CONTAINER', ComputeType: 'BUILD_LAMBDA_2GB' };
const KEY = 'arn:aws:kms:eu-west-1:111111111111:key/1';
const ROLE = 'arn:aws:iam::111111111111:role/builds';
const DIGEST = `sha256:${'0'.repeat(64)}`;

const OPTIONS: Table<SociIndexOptions> = {
  platforms: inIndex({ platforms: [Platform.LINUX_AMD64] }, { Platforms: ['linux/amd64'] }),
  minLayerSize: inIndex({ minLayerSize: Size.bytes(0) }, { MinLayerSize: '0' }),
  spanSize: inIndex({ spanSize: Size.mebibytes(1) }, { SpanSize: '1048576' }),
  prefetchFiles: inIndex({ prefetchFiles: ['/app'] }, { PrefetchFiles: ['/app'] }),
  whenTooSmall: inIndex({ whenTooSmall: WhenNotIndexed.FAIL }, { WhenTooSmall: 'fail' }),
  whenUnsupported: inIndex({ whenUnsupported: WhenNotIndexed.USE_ORIGINAL }, { WhenUnsupported: 'use-original' }),
  removalPolicy: inIndex({ removalPolicy: RemovalPolicy.DESTROY }, { RemovalPolicy: 'destroy' }),
  waitForIndex: inIndex({ waitForIndex: false }, { WaitForIndex: 'false' }),
  computeType: inProject({ computeType: ComputeType.LARGE }, { Environment: { ComputeType: 'BUILD_GENERAL1_LARGE' } }),
  lambdaComputeType: inProject({ lambdaComputeType: LambdaComputeType.LAMBDA_2GB }, { Environment: LAMBDA }),
  timeout: inProject({ timeout: Duration.minutes(20) }, { TimeoutInMinutes: 20 }),
  queuedTimeout: inProject({ queuedTimeout: Duration.minutes(8) }, { QueuedTimeoutInMinutes: 8 }),
  vpc: inProject((stack) => ({ vpc: vpcIn(stack) }), {
    VpcConfig: { VpcId: 'vpc-1', Subnets: ['subnet-a', 'subnet-b'] },
  }),
  subnetSelection: inProject(
    (stack) => ({ vpc: vpcIn(stack), subnetSelection: { availabilityZones: ['b'] } }),
    { VpcConfig: { Subnets: ['subnet-b'] } },
  ),
  securityGroups: inProject(
    (stack) => ({ vpc: vpcIn(stack), securityGroups: [SecurityGroup.fromSecurityGroupId(stack, 'Group', 'sg-1')] }),
    { VpcConfig: { SecurityGroupIds: ['sg-1'] } },
  ),
  encryptionKey: inProject((stack) => ({ encryptionKey: Key.fromKeyArn(stack, 'Key', KEY) }), { EncryptionKey: KEY }),
  role: inProject((stack) => ({ role: Role.fromRoleArn(stack, 'Role', ROLE) }), { ServiceRole: ROLE }),
  logGroup: inProject((stack) => ({ logGroup: LogGroup.fromLogGroupName(stack, 'Log', 'builds') }), {
    LogsConfig: { CloudWatchLogs: { GroupName: 'builds' } },
  }),
  logRetention: {
    given: { logRetention: RetentionDays.ONE_YEAR },
    type: 'AWS::Logs::LogGroup',
    properties: { RetentionInDays: 365 },
  },
};

const V2_OPTIONS: Table<SociIndexV2BuildOptions, SociIndexOptions> = {
  outputImageTag: inIndex({ outputImageTag: 'fast' }, { OutputImageTag: 'fast' }),
};

const OTHER = Match.objectLike({ 'Fn::Join': ['', Match.arrayWith([Match.stringLikeRegexp('/other$')])] });

const V2: Table<SociIndexV2BuildProps, SociIndexV2BuildOptions> = {
  repository: inIndex((stack) => ({ repository: repositoryIn(stack, 'other') }), { RepositoryUri: OTHER }),
  inputImageTag: inIndex({ inputImageTag: 'v2' }, { InputImageTag: 'v2' }),
  inputImageDigest: inIndex({ inputImageTag: undefined, inputImageDigest: DIGEST }, { InputImageDigest: DIGEST }),
};

const V1: Table<SociIndexBuildProps, SociIndexOptions> = {
  repository: inIndex((stack) => ({ repository: repositoryIn(stack, 'other') }), { RepositoryUri: OTHER }),
  imageTag: inIndex({ imageTag: 'v2' }, { InputImageTag: 'v2' }),
  imageDigest: inIndex({ imageTag: undefined, imageDigest: DIGEST }, { InputImageDigest: DIGEST }),
};

/** The template with what a row gives, and the one without. */
function templates<Props>({ given }: Row<Props>, define: (stack: Stack, props: Partial<Props>) => void): Template[] {
  return [
    templateOf((stack) => {
      define(stack, typeof given === 'function' ? given(stack) : given);
    }),
    templateOf((stack) => {
      define(stack, {});
    }),
  ];
}

function expectToReach<Props>(row: Row<Props>, define: (stack: Stack, props: Partial<Props>) => void): void {
  const [withIt, without] = templates(row, define);
  withIt.hasResourceProperties(row.type, row.properties);
  expect(() => {
    without.hasResourceProperties(row.type, row.properties);
  }).toThrow();
}

test.each(Object.entries({ ...OPTIONS, ...V2_OPTIONS, ...V2 }))('SociIndexV2Build: %s', (_, row) => {
  expectToReach<SociIndexV2BuildProps>(row, (stack, props) => {
    new SociIndexV2Build(stack, 'Index', { repository: repositoryIn(stack), inputImageTag: 'v1', ...props });
  });
});

test.each(Object.entries({ ...OPTIONS, ...V1 }))('SociIndexBuild: %s', (_, row) => {
  expectToReach<SociIndexBuildProps>(row, (stack, props) => {
    new SociIndexBuild(stack, 'Index', { repository: repositoryIn(stack), imageTag: 'v1', ...props });
  });
});

test.each(Object.entries({ ...OPTIONS, ...V2_OPTIONS }))('SociImage: %s', (_, row) => {
  expectToReach<SociIndexV2BuildOptions>(row, (stack, props) => {
    task(stack, 'Task', SociImage.fromEcrRepository(repositoryIn(stack), 'v1', props));
  });
});
