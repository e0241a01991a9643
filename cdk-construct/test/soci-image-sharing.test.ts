// SociImage: an image has one index in a stack, and all its uses ask for the same.

import { App, Duration, RemovalPolicy, Size, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { ComputeType } from 'aws-cdk-lib/aws-codebuild';
import { DockerImageAsset, Platform } from 'aws-cdk-lib/aws-ecr-assets';
import { ContainerImage, FargateTaskDefinition } from 'aws-cdk-lib/aws-ecs';
import { LambdaComputeType, SociBuilder, SociImage, SociIndexV2BuildOptions, WhenNotIndexed } from '../src';
import { DIRECTORY, dockerImagesOf, expectOneIndexFor, indexesOfContainers, task } from './task-images';
import { INDEX, repositoryIn, resourcesOf, templateOf } from './template';

describe('one image is one index', () => {
  test('in several containers of a task', () => {
    const template = templateOf((stack) => {
      const image = SociImage.fromAsset(DIRECTORY);
      task(stack, 'Task', image, image, SociImage.fromAsset(DIRECTORY));
    });

    expectOneIndexFor(template, 3);
  });

  test('twice for the same container', () => {
    const template = templateOf((stack) => {
      const image = SociImage.fromAsset(DIRECTORY);
      const container = new FargateTaskDefinition(stack, 'Task').addContainer('app', { image });
      const [first, second] = [1, 2].map(() => stack.resolve(image.bind(container, container)) as unknown);
      expect(second).toEqual(first);
    });

    expectOneIndexFor(template, 1);
  });

  test('in two tasks, however the image is given', () => {
    const app = new App();
    const stack = new Stack(app, 'Stack');
    const asset = new DockerImageAsset(stack, 'Image', { directory: DIRECTORY });
    task(stack, 'A', SociImage.fromAsset(DIRECTORY));
    task(stack, 'B', SociImage.fromDockerImageAsset(asset));
    task(stack, 'C', SociImage.fromEcrRepository(asset.repository, asset.imageTag));

    expectOneIndexFor(Template.fromStack(stack), 3);
    expect(dockerImagesOf(app)).toHaveLength(1);
  });

  test('with the defaults given or not, and platforms in any order', () => {
    const { LINUX_AMD64, LINUX_ARM64 } = Platform;
    const template = templateOf((stack) => {
      const repository = repositoryIn(stack);
      const image = (tag: string, options: SociIndexV2BuildOptions): ContainerImage =>
        SociImage.fromEcrRepository(repository, tag, options);
      task(stack, 'A', image('v1', {}), image('v2', { platforms: [LINUX_AMD64, LINUX_ARM64] }));
      const defaults: SociIndexV2BuildOptions = {
        outputImageTag: 'v1-soci',
        platforms: undefined,
        minLayerSize: Size.mebibytes(10),
        spanSize: Size.kibibytes(4096),
        prefetchFiles: [],
        whenTooSmall: WhenNotIndexed.USE_ORIGINAL,
        whenUnsupported: WhenNotIndexed.FAIL,
        removalPolicy: RemovalPolicy.RETAIN,
        waitForIndex: true,
        computeType: ComputeType.SMALL,
        timeout: Duration.seconds(20 * 60),
        queuedTimeout: Duration.minutes(30),
      };
      task(stack, 'B', image('v1', defaults), image('v2', { platforms: [LINUX_ARM64, LINUX_AMD64, LINUX_ARM64] }));
    });

    const [a1, a2, b1, b2] = indexesOfContainers(template);
    template.resourceCountIs(INDEX, 2);
    expect([b1, b2]).toEqual([a1, a2]);
    expect(a1).not.toEqual(a2);
  });

  test('and another with other options, another tag or another repository', () => {
    const template = templateOf((stack) => {
      const repository = repositoryIn(stack);
      task(
        stack,
        'Task',
        SociImage.fromEcrRepository(repository, 'v1'),
        SociImage.fromEcrRepository(repository, 'v1', { spanSize: Size.mebibytes(1) }),
        SociImage.fromEcrRepository(repository, 'v1', { outputImageTag: 'fast' }),
        SociImage.fromEcrRepository(repository, 'v2'),
        SociImage.fromEcrRepository(repositoryIn(stack, 'other'), 'v1'),
        ContainerImage.fromRegistry('example/plain'),
      );
    });

    template.resourceCountIs(INDEX, 5);
    const indexes = indexesOfContainers(template);
    expect(new Set(indexes.slice(0, 5))).toEqual(new Set(Object.keys(resourcesOf(template, INDEX))));
    expect(indexes[5]).toBe('example/plain');
  });
});

describe('refuses', () => {
  test.each<[string, SociIndexV2BuildOptions, string]>([
    ['removal policies', { removalPolicy: RemovalPolicy.DESTROY }, `got "destroy" after "retain"`],
    ['machines', { computeType: ComputeType.LARGE }, `got "BUILD_GENERAL1_LARGE" after "BUILD_GENERAL1_SMALL"`],
    ['ways to wait', { waitForIndex: false }, `got false after true`],
    ['kinds of compute', { lambdaComputeType: LambdaComputeType.LAMBDA_1GB }, `got "BUILD_LAMBDA_1GB" after nothing`],
    ['builders', { builder: SociBuilder.FUNCTION }, `got "function" after "code-build"`],
    ['timeouts', { timeout: Duration.minutes(25) }, `got 25 after 20`],
  ])('two %s for one image in a stack', (_, options, message) => {
    const stack = new Stack();
    task(stack, 'A', SociImage.fromAsset(DIRECTORY));
    const other = SociImage.fromAsset(DIRECTORY, options);

    const name = Object.keys(options)[0];
    expect(() => task(stack, 'B', other)).toThrow(new RegExp(`^'${name}' must be the same for all uses .*${message}`));
    expect(() => task(new Stack(), 'B', other)).not.toThrow();
  });

  test('two images under one output tag', () => {
    const stack = new Stack();
    const repository = repositoryIn(stack);
    task(stack, 'A', SociImage.fromEcrRepository(repository, 'v1', { outputImageTag: 'fast' }));

    expect(() => task(stack, 'B', SociImage.fromEcrRepository(repository, 'v2', { outputImageTag: 'fast' }))).toThrow(
      `'inputImageTag' must be the same for all uses of the indexed image 'fast' in this stack, got "v2" after "v1"`,
    );
  });
});
