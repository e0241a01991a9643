// SociImage: the task waits for the index and runs it; what cannot be is refused where the image is made.

import { join } from 'path';
import { App, CfnParameter, Duration, RemovalPolicy, Size, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { ComputeType } from 'aws-cdk-lib/aws-codebuild';
import { Repository } from 'aws-cdk-lib/aws-ecr';
import { DockerImageAsset, NetworkMode, Platform } from 'aws-cdk-lib/aws-ecr-assets';
import { CpuArchitecture, FargateTaskDefinition } from 'aws-cdk-lib/aws-ecs';
import { SociImage, SociIndexV2BuildOptions, WhenNotIndexed } from '../src';
import { DIRECTORY, dockerImagesOf, expectOneIndexFor, task } from './task-images';
import { repositoryIn, requestOf, resourcesOf, templateOf } from './template';

describe('a task waits for the index and runs it by digest', () => {
  test('of a directory', () => {
    const template = templateOf((stack) => task(stack, 'Task', SociImage.fromAsset(DIRECTORY)));

    expectOneIndexFor(template, 1);
    const request = requestOf(template);
    expect(request['InputImageTag']).toMatch(/^[0-9a-f]{64}$/);
    expect(request).toEqual({
      IndexVersion: 'v2',
      InputImageTag: request['InputImageTag'],
      OutputImageTag: `${request['InputImageTag'] as string}-soci`,
    });
  });

  test('of an image asset', () => {
    const template = templateOf((stack) => {
      const asset = new DockerImageAsset(stack, 'Image', { directory: DIRECTORY });
      task(stack, 'Task', SociImage.fromDockerImageAsset(asset));
    });

    expectOneIndexFor(template, 1);
    expect(requestOf(template)['InputImageTag']).toMatch(/^[0-9a-f]{64}$/);
  });

  test('of a repository', () => {
    const template = templateOf((stack) => task(stack, 'Task', SociImage.fromEcrRepository(repositoryIn(stack), 'v1')));

    expectOneIndexFor(template, 1);
    expect(requestOf(template)).toEqual({ IndexVersion: 'v2', InputImageTag: 'v1', OutputImageTag: 'v1-soci' });
  });

  test('of a repository of this stack, with tags that are known at deployment', () => {
    const template = templateOf((stack) => {
      const tag = new CfnParameter(stack, 'Tag').valueAsString;
      const repository = new Repository(stack, 'Repository');
      const options = { outputImageTag: new CfnParameter(stack, 'Output').valueAsString };
      task(stack, 'A', SociImage.fromEcrRepository(repository, tag, options));
      task(stack, 'B', SociImage.fromEcrRepository(repository, tag, options));
    });

    expectOneIndexFor(template, 2);
    expect(requestOf(template)).toMatchObject({ InputImageTag: { Ref: 'Tag' }, OutputImageTag: { Ref: 'Output' } });
  });

  test('of a directory, with an output tag that is known at deployment: the asset’s own options take none', () => {
    const template = templateOf((stack) => {
      const outputImageTag = new CfnParameter(stack, 'Output').valueAsString;
      task(stack, 'Task', SociImage.fromAsset(DIRECTORY, { outputImageTag }));
    });

    expectOneIndexFor(template, 1);
    expect(requestOf(template)).toMatchObject({ OutputImageTag: { Ref: 'Output' } });
  });

  test('and may pull it', () => {
    const template = templateOf((stack) => task(stack, 'Task', SociImage.fromEcrRepository(repositoryIn(stack), 'v1')));

    const policies = Object.entries(resourcesOf(template, 'AWS::IAM::Policy'));
    const policy = JSON.stringify(policies.find(([id]) => id.startsWith('TaskExecutionRole')));
    expect(policy).toContain('ecr:BatchGetImage');
    expect(policy).toContain('repository/app');
  });
});

test('takes the options of the index and those of the asset', () => {
  const app = new App();
  const stack = new Stack(app, 'Stack');
  const file = new CfnParameter(stack, 'File').valueAsString;
  const image = SociImage.fromAsset(DIRECTORY, {
    platform: Platform.LINUX_ARM64,
    buildArgs: { A: 'b' },
    networkMode: NetworkMode.HOST,
    outputImageTag: 'fast',
    platforms: [Platform.LINUX_ARM64],
    minLayerSize: Size.mebibytes(20),
    spanSize: Size.mebibytes(1),
    prefetchFiles: [file],
    whenTooSmall: WhenNotIndexed.FAIL,
    whenUnsupported: WhenNotIndexed.USE_ORIGINAL,
    removalPolicy: RemovalPolicy.DESTROY,
    computeType: ComputeType.LARGE,
    timeout: Duration.minutes(30),
    queuedTimeout: Duration.minutes(10),
  });
  const runtimePlatform = { cpuArchitecture: CpuArchitecture.ARM64 };
  new FargateTaskDefinition(stack, 'Task', { runtimePlatform }).addContainer('app', { image });

  const template = Template.fromStack(stack);
  expect(requestOf(template)).toMatchObject({
    OutputImageTag: 'fast',
    Platforms: ['linux/arm64'],
    MinLayerSize: '20971520',
    SpanSize: '1048576',
    PrefetchFiles: [{ Ref: 'File' }],
    WhenTooSmall: 'fail',
    WhenUnsupported: 'use-original',
    RemovalPolicy: 'destroy',
  });
  template.hasResourceProperties('AWS::CodeBuild::Project', { TimeoutInMinutes: 30, QueuedTimeoutInMinutes: 10 });
  expect(dockerImagesOf(app)).toEqual([
    expect.objectContaining({ platform: 'linux/arm64', dockerBuildArgs: { A: 'b' }, networkMode: 'host' }),
  ]);
});

describe('refuses', () => {
  const bad: [string, SociIndexV2BuildOptions, string][] = [
    ['a bad output tag', { outputImageTag: 'a:b' }, `'outputImageTag' must contain only letters`],
    ['an empty list of platforms', { platforms: [] }, "'platforms' is empty"],
    ['Windows', { platforms: [Platform.custom('windows/amd64')] }, "'platforms' must not contain Windows"],
    ['spans of nothing', { spanSize: Size.bytes(0) }, "'spanSize' must be between 1"],
    ['not to wait for what it deletes', { waitForIndex: false, removalPolicy: RemovalPolicy.DESTROY }, "'waitForIndex'"],
    ['long timeouts', { timeout: Duration.minutes(50) }, 'together must be below 55 minutes'],
  ];

  test.each(bad)('%s, before anything is defined', (_, options, message) => {
    const stack = new Stack();
    const asset = new DockerImageAsset(stack, 'Image', { directory: DIRECTORY });
    expect(() => task(stack, 'Task', SociImage.fromAsset(DIRECTORY, options))).toThrow(message);
    expect(() => SociImage.fromDockerImageAsset(asset, options)).toThrow(message);
    expect(() => SociImage.fromEcrRepository(asset.repository, 'v1', options)).toThrow(message);
  });

  test('a bad tag', () => {
    expect(() => SociImage.fromEcrRepository(repositoryIn(new Stack()), 'a/b')).toThrow(/^'tagOrDigest' must contain only.*got "a\/b"$/);
  });

  test('to put the index on the input tag', () => {
    const image = SociImage.fromEcrRepository(repositoryIn(new Stack()), 'v1', { outputImageTag: 'v1' });
    expect(() => task(new Stack(), 'Task', image)).toThrow(`'outputImageTag' must differ from the input tag`);
  });

  test('a directory that is not there', () => {
    const image = SociImage.fromAsset(join(DIRECTORY, 'none'));
    expect(() => task(new Stack(), 'Task', image)).toThrow('Cannot find image directory at');
  });
});
