// SociImage: wherever a container image can stand, the task waits for the index and runs it, and an image has one index in
// a stack.

import { mkdtempSync, rmSync, writeFileSync } from 'fs';
import { tmpdir } from 'os';
import { join } from 'path';
import { App, AssetStaging, CfnParameter, Duration, NestedStack, RemovalPolicy, Size, Stack, Stage } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { Schedule } from 'aws-cdk-lib/aws-applicationautoscaling';
import { ComputeType } from 'aws-cdk-lib/aws-codebuild';
import { Repository as CodeRepository } from 'aws-cdk-lib/aws-codecommit';
import { Repository } from 'aws-cdk-lib/aws-ecr';
import { DockerImageAsset, NetworkMode, Platform } from 'aws-cdk-lib/aws-ecr-assets';
import { ContainerImage, CpuArchitecture, FargateTaskDefinition } from 'aws-cdk-lib/aws-ecs';
import {
  ApplicationLoadBalancedFargateService,
  NetworkLoadBalancedFargateService,
  QueueProcessingFargateService,
  ScheduledFargateTask,
} from 'aws-cdk-lib/aws-ecs-patterns';
import { CodePipeline, CodePipelineSource, ShellStep } from 'aws-cdk-lib/pipelines';
import { Construct } from 'constructs';
import { SociImage, SociIndexV2BuildOptions, WhenNotIndexed } from '../src';
import { INDEX, onlyResource, repositoryIn, requestOf, resourcesOf, templateOf } from './template';

const DIRECTORY = join(__dirname, 'programs', 'image');

/** A task with these images in its containers: the first is called `app`. */
function task(scope: Construct, id: string, ...images: ContainerImage[]): FargateTaskDefinition {
  const definition = new FargateTaskDefinition(scope, id);
  images.forEach((image, at) => definition.addContainer(at === 0 ? 'app' : `app-${at}`, { image }));
  return definition;
}

/** For each container of all tasks, the index whose digest it runs; what is no such digest stays as it is. */
function indexesOfContainers(template: Template): unknown[] {
  return Object.values(resourcesOf(template, 'AWS::ECS::TaskDefinition')).flatMap(({ Properties }) =>
    (Properties['ContainerDefinitions'] as { Image: unknown }[]).map(({ Image }) => {
      const digest = /@",\{"Fn::GetAtt":\["(\w+)","OutputImageDigest"\]\}\]\]\}$/.exec(JSON.stringify(Image));
      return digest ? digest[1] : Image;
    }),
  );
}

/** Every container waits for the only index of the stack. */
function expectOneIndexFor(template: Template, containers: number): void {
  const { id } = onlyResource(template, INDEX);
  expect(indexesOfContainers(template)).toEqual(Array.from({ length: containers }, () => id));
}

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

/** What `cdk deploy` builds and pushes. */
function dockerImagesOf(scope: App | Stage): unknown[] {
  return scope.synth().artifacts.flatMap((artifact) => {
    const { contents } = artifact as { contents?: { dockerImages?: Record<string, { source: unknown }> } };
    return Object.values(contents?.dockerImages ?? {}).map(({ source }) => source);
  });
}

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
        timeout: Duration.seconds(45 * 60),
        queuedTimeout: Duration.minutes(5),
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

describe('ids', () => {
  /** The index's logical id. */
  const idIn = (stack: Stack): string => onlyResource(Template.fromStack(stack), INDEX).id;
  const stackIn = (scope: Construct, env = {}): Stack => {
    const stack = new Stack(scope, 'Stack', { env });
    task(stack, 'Task', SociImage.fromEcrRepository(repositoryIn(stack), 'v1'));
    return stack;
  };

  test('do not change from release to release', () => {
    const ids = templateOf((stack) => {
      const repository = repositoryIn(stack);
      const asset = new DockerImageAsset(stack, 'Image', { directory: DIRECTORY, extraHash: 'other' });
      task(
        stack,
        'Task',
        SociImage.fromAsset(DIRECTORY),
        SociImage.fromAsset(DIRECTORY, { buildArgs: { A: 'b' }, platform: Platform.LINUX_AMD64 }),
        SociImage.fromDockerImageAsset(asset),
        SociImage.fromDockerImageAsset(asset, { spanSize: Size.mebibytes(1) }),
        SociImage.fromEcrRepository(repository, 'v1'),
        SociImage.fromEcrRepository(repository, 'v1', { outputImageTag: 'fast' }),
        SociImage.fromEcrRepository(repository, 'x'.repeat(100)),
        SociImage.fromEcrRepository(repository, new CfnParameter(stack, 'Tag').valueAsString),
      );
    });
    expect(indexesOfContainers(ids)).toEqual([
      'SociImageimage97532593SociIndex0F753DB8',
      'SociImageimage638033fbSociIndex134E619C',
      'SociImageImage159e7061SociIndexDF149D48',
      'SociImageImageeef0eee1SociIndex8310EE12',
      'SociImagev1ce8f62b9SociIndex2B1A4F31',
      'SociImagefast5e9aec99SociIndex75E38132',
      'SociImagexxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx91838cd9SociIndexBB12FF32',
      'SociImage8bc7a2dcSociIndex91254A0C',
    ]);
  });

  test('stay where the content changes, so that the index is updated and reuses what has not changed', () => {
    const directory = mkdtempSync(join(tmpdir(), 'soci-image-'));
    try {
      const [before, after] = ['alpine:1', 'alpine:2'].map((base) => {
        writeFileSync(join(directory, 'Dockerfile'), `FROM ${base}\n`);
        AssetStaging.clearAssetHashCache();
        const template = templateOf((stack) => {
          const asset = new DockerImageAsset(stack, 'Image', { directory, buildArgs: { A: 'b' } });
          task(stack, 'Task', SociImage.fromAsset(directory), SociImage.fromDockerImageAsset(asset));
        });
        const indexes = Object.values(resourcesOf(template, INDEX));
        return {
          ids: indexesOfContainers(template),
          tags: indexes.map(({ Properties }) => Properties['InputImageTag'] as string),
        };
      });
      expect(after.ids).toEqual(before.ids);
      expect(new Set([...before.tags, ...after.tags]).size).toBe(4);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  test('stay with an output tag of the user’s own where the input tag changes', () => {
    const ids = ['v1', 'v2'].map((tag) =>
      templateOf((stack) => {
        const image = SociImage.fromEcrRepository(repositoryIn(stack), tag, { outputImageTag: 'fast' });
        task(stack, 'Task', image);
      }),
    );
    expect(indexesOfContainers(ids[1])).toEqual(indexesOfContainers(ids[0]));
  });

  test('stay where only a cache of the build changes', () => {
    const template = templateOf((stack) => {
      task(stack, 'A', SociImage.fromAsset(DIRECTORY), SociImage.fromAsset(DIRECTORY, { cacheTo: { type: 'inline' } }));
    });
    const alone = templateOf((stack) => task(stack, 'A', SociImage.fromAsset(DIRECTORY, { cacheTo: { type: 'gha' } })));
    expect(onlyResource(alone, INDEX).id).toBe(onlyResource(template, INDEX).id);
  });

  test('are the same in every stage and environment', () => {
    const ids = [
      stackIn(new App()),
      stackIn(new App(), { account: '111111111111', region: 'eu-west-1' }),
      stackIn(new Stage(new App(), 'Prod')),
      stackIn(new Stage(new App(), 'Beta', { env: { account: '222222222222', region: 'us-east-1' } })),
    ].map(idIn);
    expect(new Set(ids).size).toBe(1);
  });

  test('do not depend on the order of containers, nor on what else is there', () => {
    const ids = [
      ['v1', 'v2'],
      ['v2', 'v1'],
      ['v0', 'v1', 'v2'],
    ].map((tags) => {
      const template = templateOf((stack) => {
        const repository = new Repository(stack, 'Repository');
        task(stack, 'Task', ...tags.map((tag) => SociImage.fromEcrRepository(repository, tag)));
      });
      const indexes = Object.entries(resourcesOf(template, INDEX));
      return Object.fromEntries(indexes.map(([id, { Properties }]) => [Properties['InputImageTag'] as string, id]));
    });
    expect(ids[1]).toEqual(ids[0]);
    expect(ids[2]).toMatchObject(ids[0]);
  });

  test.each<[string, SociIndexV2BuildOptions]>([
    ['the removal policy', { removalPolicy: RemovalPolicy.DESTROY }],
    ['the machine', { computeType: ComputeType.LARGE, timeout: Duration.minutes(20) }],
    ['whether to wait', { waitForIndex: false }],
    ['what happens without an index', { whenTooSmall: WhenNotIndexed.FAIL }],
  ])('stay where only %s changes: a new index would lose its image when the old one ends', (_, options) => {
    const idsWith = (given: SociIndexV2BuildOptions): unknown[] =>
      indexesOfContainers(
        templateOf((stack) => {
          const image = SociImage.fromEcrRepository(repositoryIn(stack), 'v1', given);
          task(stack, 'Task', image, SociImage.fromAsset(DIRECTORY, given));
        }),
      );
    expect(idsWith(options)).toEqual(idsWith({}));
  });
});

describe('works in', () => {
  const image = (): ContainerImage => SociImage.fromAsset(DIRECTORY);
  const patterns: [string, (stack: Stack) => void][] = [
    [
      'a load-balanced service',
      (stack) =>
        new ApplicationLoadBalancedFargateService(stack, 'Service', {
          taskImageOptions: { image: image(), containerPort: 80 },
        }),
    ],
    [
      'a service with a network load balancer',
      (stack) => new NetworkLoadBalancedFargateService(stack, 'Service', { taskImageOptions: { image: image() } }),
    ],
    ['a service of a queue', (stack) => new QueueProcessingFargateService(stack, 'Service', { image: image() })],
    [
      'a scheduled task',
      (stack) =>
        new ScheduledFargateTask(stack, 'Service', {
          schedule: Schedule.rate(Duration.hours(1)),
          scheduledFargateTaskImageOptions: { image: image() },
        }),
    ],
  ];

  test.each(patterns)('%s', (_, define) => {
    expectOneIndexFor(templateOf(define), 1);
  });

  test('a nested stack, which has its own index', () => {
    const parent = new Stack(new App(), 'Parent');
    const nested = new NestedStack(parent, 'Nested');
    const asset = new DockerImageAsset(parent, 'Image', { directory: DIRECTORY });
    task(nested, 'A', SociImage.fromDockerImageAsset(asset));
    task(nested, 'B', SociImage.fromDockerImageAsset(asset), SociImage.fromDockerImageAsset(asset));
    task(parent, 'Task', image());

    expectOneIndexFor(Template.fromStack(nested), 3);
    expectOneIndexFor(Template.fromStack(parent), 1);
  });

  test('a nested stack, from a repository of its parent', () => {
    const parent = new Stack(new App(), 'Parent');
    const nested = new NestedStack(parent, 'Nested');
    task(nested, 'Task', SociImage.fromEcrRepository(new Repository(parent, 'Repository'), 'v1'));

    expectOneIndexFor(Template.fromStack(nested), 1);
    const uri = JSON.stringify(onlyResource(Template.fromStack(nested), INDEX).Properties['RepositoryUri']);
    expect(uri).toContain('{"Ref":"referencetoParentRepository');
  });

  test('two stages, each with its index and its asset', () => {
    const app = new App();
    for (const name of ['Beta', 'Prod']) {
      const stage = new Stage(app, name);
      const stack = new Stack(stage, 'Stack');
      task(stack, 'Task', image());
      expectOneIndexFor(Template.fromStack(stack), 1);
      expect(dockerImagesOf(stage)).toHaveLength(1);
    }
  });

  test('a pipeline, which publishes the image before it deploys the stack', () => {
    const app = new App();
    const stack = new Stack(app, 'Pipeline', { env: { account: '111111111111', region: 'eu-west-1' } });
    const code = CodeRepository.fromRepositoryName(stack, 'Code', 'code');
    const source = CodePipelineSource.codeCommit(code, 'main');
    const pipeline = new CodePipeline(stack, 'Pipeline', {
      synth: new ShellStep('Synth', { input: source, commands: ['npx cdk synth'] }),
    });
    const stage = new Stage(app, 'Prod', { env: { account: '111111111111', region: 'eu-west-1' } });
    const service = new Stack(stage, 'Service');
    task(service, 'Task', image());
    pipeline.addStage(stage);

    const stages = onlyResource(Template.fromStack(stack), 'AWS::CodePipeline::Pipeline').Properties['Stages'] as {
      Name: string;
      Actions: { Name: string }[];
    }[];
    expect(stages.map(({ Name }) => Name).slice(-2)).toEqual(['Assets', 'Prod']);
    const published = stages.find(({ Name }) => Name === 'Assets')?.Actions.map(({ Name }) => Name);
    expect(published).toEqual(expect.arrayContaining(['DockerAsset1', 'FileAsset1', 'FileAsset2']));
    expectOneIndexFor(Template.fromStack(service), 1);
  });

  test('a stack that is not that of the repository', () => {
    const app = new App();
    const repository = new Repository(new Stack(app, 'Images'), 'Repository');
    const other = new Repository(new Stack(app, 'Others'), 'Repository');
    const stack = new Stack(app, 'Service');
    task(stack, 'A', SociImage.fromEcrRepository(repository, 'v1'), SociImage.fromEcrRepository(other, 'v1'));
    task(stack, 'B', SociImage.fromEcrRepository(repository, 'v1'));

    const template = Template.fromStack(stack);
    template.resourceCountIs(INDEX, 2);
    const [a, ofOther, b] = indexesOfContainers(template);
    expect(b).toBe(a);
    expect(ofOther).not.toBe(a);
    const indexes = resourcesOf(template, INDEX);
    expect(JSON.stringify(indexes[a as string].Properties['RepositoryUri'])).toContain('{"Fn::ImportValue":"Images:');
  });
});

describe('refuses', () => {
  const bad: [string, SociIndexV2BuildOptions, string][] = [
    ['a bad output tag', { outputImageTag: 'a:b' }, `'outputImageTag' must be letters`],
    ['an empty list of platforms', { platforms: [] }, "'platforms' is empty"],
    ['Windows', { platforms: [Platform.custom('windows/amd64')] }, "'platforms' cannot be Windows"],
    ['spans of nothing', { spanSize: Size.bytes(0) }, "'spanSize' must be from 1"],
    ['not to wait for what it deletes', { waitForIndex: false, removalPolicy: RemovalPolicy.DESTROY }, "'waitForIndex'"],
    ['long timeouts', { timeout: Duration.minutes(50) }, 'together must be below 55 minutes'],
  ];

  test.each(bad)('%s, where the image is made', (_, options, message) => {
    const stack = new Stack();
    const asset = new DockerImageAsset(stack, 'Image', { directory: DIRECTORY });
    expect(() => SociImage.fromAsset(DIRECTORY, options)).toThrow(message);
    expect(() => SociImage.fromDockerImageAsset(asset, options)).toThrow(message);
    expect(() => SociImage.fromEcrRepository(asset.repository, 'v1', options)).toThrow(message);
  });

  test('a bad tag', () => {
    expect(() => SociImage.fromEcrRepository(repositoryIn(new Stack()), 'a/b')).toThrow(/^'tagOrDigest' must be.*got "a\/b"$/);
  });

  test('to put the index on the input tag', () => {
    const image = SociImage.fromEcrRepository(repositoryIn(new Stack()), 'v1', { outputImageTag: 'v1' });
    expect(() => task(new Stack(), 'Task', image)).toThrow(`'outputImageTag' must not be the input tag`);
  });

  test('a directory that is not there', () => {
    const image = SociImage.fromAsset(join(DIRECTORY, 'none'));
    expect(() => task(new Stack(), 'Task', image)).toThrow('Cannot find image directory at');
  });

  test.each<[string, SociIndexV2BuildOptions, string]>([
    ['removal policies', { removalPolicy: RemovalPolicy.DESTROY }, `got "destroy" after "retain"`],
    ['machines', { computeType: ComputeType.LARGE }, `got "BUILD_GENERAL1_LARGE" after "BUILD_GENERAL1_SMALL"`],
    ['ways to wait', { waitForIndex: false }, `got false after true`],
    ['timeouts', { timeout: Duration.minutes(20) }, `got 20 after 45`],
  ])('two %s for one image in a stack', (_, options, message) => {
    const stack = new Stack();
    task(stack, 'A', SociImage.fromAsset(DIRECTORY));
    const other = SociImage.fromAsset(DIRECTORY, options);

    const name = Object.keys(options)[0];
    expect(() => task(stack, 'B', other)).toThrow(new RegExp(`^'${name}' must be the same wherever .*${message}`));
    expect(() => task(new Stack(), 'B', other)).not.toThrow();
  });

  test('two images under one output tag', () => {
    const stack = new Stack();
    const repository = repositoryIn(stack);
    task(stack, 'A', SociImage.fromEcrRepository(repository, 'v1', { outputImageTag: 'fast' }));

    expect(() => task(stack, 'B', SociImage.fromEcrRepository(repository, 'v2', { outputImageTag: 'fast' }))).toThrow(
      `'inputImageTag' must be the same wherever this stack uses the indexed image 'fast', got "v2" after "v1"`,
    );
  });
});
