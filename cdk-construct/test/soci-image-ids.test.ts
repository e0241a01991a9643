// The ids of the indexes that SociImage makes: a contract with deployed stacks.

import { mkdtempSync, rmSync, writeFileSync } from 'fs';
import { tmpdir } from 'os';
import { join } from 'path';
import { App, AssetStaging, CfnParameter, Duration, RemovalPolicy, Size, Stack, Stage } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { ComputeType } from 'aws-cdk-lib/aws-codebuild';
import { Repository } from 'aws-cdk-lib/aws-ecr';
import { DockerImageAsset, Platform } from 'aws-cdk-lib/aws-ecr-assets';
import { ContainerImage } from 'aws-cdk-lib/aws-ecs';
import { Construct } from 'constructs';
import { SociImage, SociImageAssetProps, SociIndexV2BuildOptions, WhenNotIndexed } from '../src';
import { DIRECTORY, indexesOfContainers, task } from './task-images';
import { INDEX, onlyResource, repositoryIn, resourcesOf, templateOf } from './template';

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

  describe('with a name for the asset', () => {
    // A property of newer aws-cdk-libs.
    const named = (assetName: string, props: SociImageAssetProps = {}): ContainerImage =>
      SociImage.fromAsset(DIRECTORY, { ...props, assetName } as SociImageAssetProps);
    const idOf = (image: ContainerImage): string => onlyResource(templateOf((stack) => task(stack, 'Task', image)), INDEX).id;

    test('stay where only build arguments change', () => {
      const [before, after] = ['a', 'b'].map((SHA) => idOf(named('app', { buildArgs: { SHA } })));
      expect(after).toBe(before);
      expect(idOf(named('app', { target: 'other' }))).not.toBe(before);
    });

    test('are others for another name, which can be another repository', () => {
      expect(idOf(named('one'))).not.toBe(idOf(named('two')));
    });
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
