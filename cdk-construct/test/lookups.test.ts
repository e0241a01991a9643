// Values that are looked up in the account. The first synth has others in their place, and has to write what is missing.

import { App, Stack } from 'aws-cdk-lib';
import { SecurityGroup, Vpc } from 'aws-cdk-lib/aws-ec2';
import { Repository } from 'aws-cdk-lib/aws-ecr';
import { DockerImageAsset, Platform } from 'aws-cdk-lib/aws-ecr-assets';
import { CpuArchitecture, FargateTaskDefinition } from 'aws-cdk-lib/aws-ecs';
import { Role } from 'aws-cdk-lib/aws-iam';
import { DockerImageCode, DockerImageFunction } from 'aws-cdk-lib/aws-lambda';
import { StringParameter } from 'aws-cdk-lib/aws-ssm';
import { SociImage, SociIndexBuild, SociIndexV2Build } from '../src';
import { HERE } from './build';
import { DIRECTORY, task } from './task-images';
import { repositoryIn } from './template';

type Define = (stack: Stack, lookUp: (name: string) => string) => void;

/** A stack with values that are looked up: from this context, else missing. */
function synthOf(define: Define, context: Record<string, string> = {}): { readonly missing: string[] } {
  const entries = Object.entries(context).map(([name, value]) => [keyOf(name), value]);
  const app = new App({ context: Object.fromEntries(entries) as Record<string, string> });
  const stack = new Stack(app, 'Stack', { env: HERE });
  define(stack, (name) => StringParameter.valueFromLookup(stack, name));
  return { missing: (app.synth().manifest.missing ?? []).map(({ key }) => key) };
}

function keyOf(name: string): string {
  return `ssm:account=${HERE.account}:parameterName=${name}:region=${HERE.region}`;
}

const v2: Define = (stack, lookUp) => {
  new SociIndexV2Build(stack, 'Index', { repository: repositoryIn(stack), inputImageTag: lookUp('/v') });
};

const sameImage: Define = (stack, lookUp) => {
  const [one, other] = [lookUp('/v'), lookUp('/v')];
  const repository = repositoryIn(stack);
  task(stack, 'A', SociImage.fromEcrRepository(repository, one));
  task(stack, 'B', SociImage.fromEcrRepository(repository, other, { waitForIndex: false }));
};

const ofAFunction: Define = (stack, lookUp) => {
  const repository = repositoryIn(stack);
  const [tag, outputImageTag] = [lookUp('/v'), lookUp('/w').replace('/w', 'fast')];
  new SociIndexV2Build(stack, 'Index', { repository, inputImageTag: tag, outputImageTag });
  new DockerImageFunction(stack, 'F', { code: DockerImageCode.fromEcr(repository, { tagOrDigest: outputImageTag }) });
};

/** What a user puts in the place of a value that is not known yet may be anything that cannot be right. */
const placeholder = (lookUp: (name: string) => string, found: string): string =>
  lookUp('/v').startsWith('dummy') ? 'none/yet' : found;

test.each<[string, Define]>([
  ['an input tag', v2],
  [
    'an input digest',
    (stack, lookUp) => {
      new SociIndexV2Build(stack, 'Index', { repository: repositoryIn(stack), inputImageDigest: lookUp('/v') });
    },
  ],
  [
    'an output tag that is the input tag',
    (stack, lookUp) => {
      const tag = lookUp('/v');
      new SociIndexV2Build(stack, 'Index', { repository: repositoryIn(stack), inputImageTag: tag, outputImageTag: tag });
    },
  ],
  [
    'a tag too long',
    (stack, lookUp) => {
      new SociIndexV2Build(stack, 'Index', {
        repository: repositoryIn(stack),
        inputImageTag: lookUp(`/${'long/'.repeat(30)}v`),
      });
    },
  ],
  [
    'a tag of version 1',
    (stack, lookUp) => {
      new SociIndexBuild(stack, 'Index', { repository: repositoryIn(stack), imageTag: lookUp('/v') });
    },
  ],
  [
    'what SociImage takes',
    (stack, lookUp) => {
      const asset = new DockerImageAsset(stack, 'Image', { directory: DIRECTORY });
      const outputImageTag = placeholder(lookUp, 'v1');
      task(
        stack,
        'Task',
        SociImage.fromEcrRepository(repositoryIn(stack), lookUp('/v')),
        SociImage.fromEcrRepository(repositoryIn(stack, 'other'), 'v1', { outputImageTag }),
        SociImage.fromAsset(DIRECTORY, { outputImageTag }),
        SociImage.fromDockerImageAsset(asset, { outputImageTag, platforms: [Platform.custom(placeholder(lookUp, 'a/b'))] }),
      );
    },
  ],
  ['two uses of one image that ask for different things', sameImage],
  ['a function that seems to run the indexed image', ofAFunction],
  [
    'the architecture of a task',
    (stack, lookUp) => {
      const cpuArchitecture = CpuArchitecture.of(lookUp('/v').startsWith('dummy') ? 'ARM64' : 'X86_64');
      const definition = new FargateTaskDefinition(stack, 'Task', { runtimePlatform: { cpuArchitecture } });
      definition.addContainer('app', { image: SociImage.fromAsset(DIRECTORY, { platform: Platform.LINUX_AMD64 }) });
    },
  ],
  [
    'a role, in the account that CDK puts in its place',
    (stack, lookUp) => {
      lookUp('/v');
      const role = Role.fromRoleArn(stack, 'Role', 'arn:aws:iam::123456789012:role/DUMMY_ARN');
      new SociIndexV2Build(stack, 'Index', { repository: repositoryIn(stack), inputImageTag: 'v1', role });
    },
  ],
  [
    'a repository, in the partition that stands in its place',
    (stack, lookUp) => {
      lookUp('/v');
      const repository = Repository.fromRepositoryArn(stack, 'R', 'arn:aws-cn:ecr:cn-north-1:123456789012:repository/app');
      new SociIndexV2Build(stack, 'Index', { repository, inputImageTag: 'v1' });
    },
  ],
  [
    'a VPC with its security groups',
    (stack) => {
      const vpc = Vpc.fromLookup(stack, 'Vpc', { vpcName: 'main' });
      const securityGroups = [SecurityGroup.fromLookupByName(stack, 'Group', 'builds', vpc)];
      const subnetSelection = { subnetGroupName: 'Public' };
      task(stack, 'Task', SociImage.fromAsset(DIRECTORY, { vpc, securityGroups, subnetSelection }));
    },
  ],
])('the first synth takes %s', (_, define) => {
  expect(synthOf(define).missing).not.toEqual([]);
});

test.each<[string, Define, Record<string, string>, string]>([
  ['a tag', v2, { '/v': 'a/b' }, `'inputImageTag' must contain only letters`],
  ['two uses of one image', sameImage, { '/v': 'v1' }, `'waitForIndex' must be the same for all uses`],
  ['a function', ofAFunction, { '/v': 'v1', '/w': 'fast' }, 'uses the indexed image "fast"'],
])('what is wrong with %s is said when it was looked up', (_, define, context, message) => {
  expect(() => synthOf(define, context)).toThrow(message);
});

test('a lookup of another stack is waited for, too', () => {
  const app = new App();
  const tag = StringParameter.valueFromLookup(new Stack(app, 'Other', { env: HERE }), '/v');
  const stack = new Stack(app, 'Stack', { env: HERE });
  task(stack, 'Task', SociImage.fromEcrRepository(repositoryIn(stack), tag));
  expect(() => app.synth()).not.toThrow();
});
