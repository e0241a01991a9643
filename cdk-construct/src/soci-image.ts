// A container image with a version 2 index. In: an image asset, or a tag or digest in a repository.
// Out: the indexed image by digest, and one index per image in a stack, however many containers run it.

import { basename, relative, resolve, sep } from 'path';
import { Stack, Token } from 'aws-cdk-lib';
import { IRepository } from 'aws-cdk-lib/aws-ecr';
import { DockerImageAsset, DockerImageAssetOptions, Platform, TarballImageAsset } from 'aws-cdk-lib/aws-ecr-assets';
import { ContainerDefinition, ContainerImage, ContainerImageConfig } from 'aws-cdk-lib/aws-ecs';
import { Construct, IConstruct } from 'constructs';
import { withDefaults } from './defaults-of';
import { pushedImage } from './image-asset';
import { idOf, placeOf, Source, whatIsBuilt } from './image-id';
import { isSame, Settings, settingsOf, shown } from './image-settings';
import { checkInputImage, InputImage, nameOf, tagOrDigestOf } from './input-image';
import { checkValues } from './lookups';
import { defaultOutputTag } from './output-tag';
import { SociIndexV2Build, SociIndexV2BuildOptions, SociIndexV2BuildProps } from './soci-index-v2-build';
import { pathFrom } from './stable-text';
import { taskOf } from './task';
import { checkTaskOfBuild } from './task-checks';
import { checkOptions, checkTag } from './validate';
import { checkBuild, checkBuildOptions } from './validate-build';

/** The same id as in `ContainerImage.fromAsset`. */
const ASSET_ID = 'AssetImage';

/** The same id as in `ContainerImage.fromTarball`. */
const TARBALL_ID = 'Tarball';

/**
 * Properties of an image that is built from a directory and indexed.
 */
export interface SociImageAssetProps extends SociIndexV2BuildOptions, DockerImageAssetOptions {}

/**
 * Images for ECS containers, with a version 2 SOCI index that is built during the deployment. Use it like
 * `ContainerImage`, which has factory methods with the same names:
 * `taskDefinition.addContainer('app', { image: SociImage.fromAsset('app') })`.
 *
 * The task definition waits for the index and refers to the indexed image by digest. Containers in one stack that run the
 * same image share its index.
 */
// eslint-disable-next-line @typescript-eslint/no-extraneous-class -- a class of factory methods works in all languages of jsii
export class SociImage {
  /**
   * An image that is built from a directory with a Dockerfile. The directory's path, relative to where the app runs,
   * identifies the image across deployments. If the path changes, for example for a temporary directory, use
   * `fromDockerImageAsset`.
   *
   * @param directory the directory that contains the Dockerfile
   * @param props options for building and indexing the image
   */
  public static fromAsset(directory: string, props: SociImageAssetProps = {}): ContainerImage {
    const { asset: assetOptions, index: options } = split(props);
    const assets = new WeakMap<Construct, DockerImageAsset>();
    const source = {
      name: basename(resolve(directory)),
      key: ['directory', pathFromHere(directory), whatIsBuilt(assetOptions)],
    };
    const imageIn = (scope: Construct): Image => {
      checkIn(scope, options);
      const asset = assets.get(scope) ?? new DockerImageAsset(scope, ASSET_ID, { ...assetOptions, directory });
      assets.set(scope, asset);
      return { source, ...pushedTo(asset), options };
    };
    return new IndexedImage(imageIn, assetOptions.platform);
  }

  /**
   * An image asset of this app. Other users of the asset still get the image without an index.
   */
  public static fromDockerImageAsset(asset: DockerImageAsset, props: SociIndexV2BuildOptions = {}): ContainerImage {
    checkOptionsAndTag(asset, props);
    return new IndexedImage((scope) => ({
      source: { name: asset.node.id, key: ['asset', pathFrom(Stack.of(scope), asset)] },
      ...pushedTo(asset),
      options: props,
    }));
  }

  /**
   * An image in a tarball, as `docker save` writes it. The file's path, relative to where the app runs, identifies the image
   * across deployments.
   *
   * @param tarballFile the path of the file
   * @param props options for indexing the image
   */
  public static fromTarball(tarballFile: string, props: SociIndexV2BuildOptions = {}): ContainerImage {
    const assets = new WeakMap<Construct, TarballImageAsset>();
    const source = {
      name: basename(tarballFile),
      key: ['tarball', pathFromHere(tarballFile)],
    };
    return new IndexedImage((scope) => {
      checkIn(scope, props);
      const asset = assets.get(scope) ?? new TarballImageAsset(scope, TARBALL_ID, { tarballFile });
      assets.set(scope, asset);
      return { source, ...pushedTo(asset), options: props };
    });
  }

  /**
   * An existing image in an ECR repository. The indexed image is pushed to the same repository.
   *
   * @param repository the repository of the image
   * @param tagOrDigest the image's tag, or its digest if it starts with `sha256:`
   * @param props options for indexing the image
   */
  public static fromEcrRepository(
    repository: IRepository,
    tagOrDigest: string,
    props: SociIndexV2BuildOptions = {},
  ): ContainerImage {
    const input = tagOrDigestOf(tagOrDigest);
    checkValues(repository, () => {
      checkInputImage(['tagOrDigest', 'tagOrDigest'], input);
    });
    checkOptionsAndTag(repository, props);
    // An explicit output tag stays the same when the input changes.
    const name = props.outputImageTag ?? nameOf(input);
    return new IndexedImage((scope) => ({
      source: {
        name: Token.isUnresolved(name) ? '' : name,
        key: ['tag', placeOf(Stack.of(scope), repository), Stack.of(scope).resolve(name)],
      },
      repository,
      input,
      options: props,
    }));
  }

  private constructor() {}
}

/** The image to index, and where it comes from. */
interface Image {
  readonly source: Source;
  readonly repository: IRepository;
  readonly input: InputImage;
  readonly options: SociIndexV2BuildOptions;
}

/** The same on every machine. */
function pathFromHere(path: string): string {
  return relative('.', path).split(sep).join('/');
}

function pushedTo(asset: DockerImageAsset | TarballImageAsset): Pick<Image, 'repository' | 'input'> {
  const { repository, tag } = pushedImage(asset);
  return { repository, input: { tag } };
}

/** Not `SociImage` itself: its factory methods would override those of `ContainerImage` with other parameters. */
class IndexedImage extends ContainerImage {
  constructor(
    private readonly imageIn: (scope: Construct) => Image,
    private readonly builtFor?: Platform,
  ) {
    super();
  }

  public bind(scope: Construct, containerDefinition: ContainerDefinition): ContainerImageConfig {
    const task = taskOf(scope, containerDefinition);
    const index = SharedIndex.of(scope, this.imageIn(scope));
    if (this.builtFor !== undefined) {
      checkTaskOfBuild(task, this.builtFor);
    }
    return index.toEcsDockerImageCode().bind(scope, containerDefinition);
  }
}

/** Shared by all copies of this library in an app. */
const SHARED = Symbol.for('soci-index-build.SharedIndex');

function isSharedIndex(construct: IConstruct): construct is SharedIndex {
  return SHARED in construct;
}

/** The single index of an image in a stack. */
class SharedIndex extends SociIndexV2Build {
  /** Returns the index in the scope's stack; creates it if needed. */
  public static of(scope: Construct, { source, repository, input, options }: Image): SharedIndex {
    const stack = Stack.of(scope);
    const outputImageTag = options.outputImageTag ?? defaultOutputTag(scope, input, options);
    const props = { ...options, repository, inputImageTag: input.tag, inputImageDigest: input.digest, outputImageTag };
    const settings = settingsOf(stack, props);
    const id = idOf(stack, source, options);
    // The id distinguishes sources. Two sources can be the same image, which must not get two indexes under one tag.
    const found = stack.node.children.find(
      (child): child is SharedIndex => isSharedIndex(child) && (child.node.id === id || child.isOf(settings)),
    );
    checkValues(stack, () => found?.checkSame(outputImageTag, settings));
    return found ?? new SharedIndex(stack, id, props, settings);
  }

  private constructor(
    scope: Construct,
    id: string,
    props: SociIndexV2BuildProps,
    private readonly settings: Settings,
  ) {
    super(scope, id, props);
    Object.defineProperty(this, SHARED, { value: true });
  }

  private isOf(settings: Settings): boolean {
    return ['repository', 'outputImageTag'].every((name) => isSame(this.settings[name], settings[name]));
  }

  /** Two indexes under one output tag would overwrite each other, and deleting one would delete the other's image. */
  private checkSame(outputImageTag: string, settings: Settings): void {
    for (const name of Object.keys({ ...this.settings, ...settings })) {
      const [before, now] = [this.settings[name], settings[name]];
      if (!isSame(before, now)) {
        throw new Error(
          `'${name}' must be the same for all uses of the indexed image '${outputImageTag}' in this stack, ` +
            `got ${shown(now)} after ${shown(before)}; to create two indexes, set a different 'outputImageTag' for each`,
        );
      }
    }
  }
}

/** All options of an index, so that none of them is passed to the asset, which does not accept tokens. */
const INDEX_OPTIONS: Record<keyof SociIndexV2BuildOptions, true> = {
  outputImageTag: true,
  platforms: true,
  minLayerSize: true,
  spanSize: true,
  prefetchFiles: true,
  whenTooSmall: true,
  whenUnsupported: true,
  removalPolicy: true,
  waitForIndex: true,
  builder: true,
  memorySize: true,
  computeType: true,
  lambdaComputeType: true,
  timeout: true,
  queuedTimeout: true,
  vpc: true,
  subnetSelection: true,
  securityGroups: true,
  encryptionKey: true,
  role: true,
  logGroup: true,
  logRetention: true,
  dependencies: true,
};

function split(props: SociImageAssetProps): { asset: DockerImageAssetOptions; index: SociIndexV2BuildOptions } {
  const entries = Object.entries(props);
  return {
    asset: Object.fromEntries(entries.filter(([name]) => !(name in INDEX_OPTIONS))),
    index: Object.fromEntries(entries.filter(([name]) => name in INDEX_OPTIONS)),
  };
}

/** Before an asset is defined beside its container. */
function checkIn(scope: Construct, options: SociIndexV2BuildOptions): void {
  checkOptionsAndTag(scope, options);
  checkValues(scope, () => {
    checkBuild(scope, withDefaults(scope, options));
  });
}

/** What can be said before it is known which container will run the image. */
function checkOptionsAndTag(scope: IConstruct, options: SociIndexV2BuildOptions): void {
  checkValues(scope, () => {
    checkOptions(options);
    checkBuildOptions(options);
    if (options.outputImageTag !== undefined) {
      checkTag('outputImageTag', options.outputImageTag);
    }
  });
}
