// An image for a container that brings its version 2 index with it. In: an image asset, or a tag or digest in a repository. Out: the
// indexed image by digest, and one index for each image in a stack, however many containers run it.

import { basename, relative, resolve, sep } from 'path';
import { Duration, RemovalPolicy, Size, Stack, Stage, Token } from 'aws-cdk-lib';
import { ComputeType } from 'aws-cdk-lib/aws-codebuild';
import { IRepository } from 'aws-cdk-lib/aws-ecr';
import { DockerImageAsset, DockerImageAssetOptions, Platform } from 'aws-cdk-lib/aws-ecr-assets';
import { ContainerDefinition, ContainerImage, ContainerImageConfig } from 'aws-cdk-lib/aws-ecs';
import { RetentionDays } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { WhenNotIndexed } from './build-options';
import { InputImage, nameOf, tagOrDigestOf } from './input-image';
import { DEFAULT_MIN_LAYER_SIZE, DEFAULT_SPAN_SIZE, defaultOutputTag } from './output-tag';
import { shortHash } from './short-hash';
import { SociIndexV2Build, SociIndexV2BuildOptions, SociIndexV2BuildProps } from './soci-index-v2-build';
import { checkTaskOfBuild } from './task';
import { checkOptions, checkTag } from './validate';
import { checkBuildOptions, DEFAULT_QUEUED_TIMEOUT, DEFAULT_TIMEOUT } from './validate-build';

/** Part of the logical ids of deployed stacks: never changes. */
const ID = 'SociImage';

/** So much of a name stands in an id. */
const NAME_IN_ID = 32;

/** Where `ContainerImage.fromAsset` has its asset too. */
const ASSET_ID = 'AssetImage';

/**
 * Properties of an image that is built from a directory and indexed.
 */
export interface SociImageAssetProps extends SociIndexV2BuildOptions, DockerImageAssetOptions {}

/**
 * Images for containers of ECS tasks, with a SOCI index of version 2 that is built while the stack is deployed. They are
 * used like those of `ContainerImage`, whose makers have the same names:
 * `taskDefinition.addContainer('app', { image: SociImage.fromAsset('app') })`.
 *
 * The task definition waits for the index and takes the indexed image by digest. Containers of one stack that run the
 * same image share its index.
 */
// eslint-disable-next-line @typescript-eslint/no-extraneous-class -- a class of makers is what all languages of jsii have
export class SociImage {
  /**
   * An image that is built from a directory with a Dockerfile. The directory's path, from where the app runs, stands for
   * the image from one deployment to the next: for a directory whose path changes, such as a temporary one, use
   * `fromDockerImageAsset`.
   *
   * @param directory the directory that holds the Dockerfile
   * @param props how the image is built, and how it is indexed
   */
  public static fromAsset(directory: string, props: SociImageAssetProps = {}): ContainerImage {
    const { asset: assetOptions, index: options } = split(props);
    checkOptionsAndTag(options);
    const assets = new WeakMap<Construct, DockerImageAsset>();
    const source = {
      name: basename(resolve(directory)),
      key: ['directory', relative('.', directory).split(sep).join('/'), whatIsBuilt(assetOptions)],
    };
    const imageIn = (scope: Construct): Image => {
      const asset = assets.get(scope) ?? new DockerImageAsset(scope, ASSET_ID, { ...assetOptions, directory });
      assets.set(scope, asset);
      return { source, repository: asset.repository, input: { tag: asset.imageTag }, options };
    };
    return new IndexedImage(imageIn, assetOptions.platform);
  }

  /**
   * An image asset of this app. Whatever else uses the asset gets the image without an index, as before.
   */
  public static fromDockerImageAsset(asset: DockerImageAsset, props: SociIndexV2BuildOptions = {}): ContainerImage {
    checkOptionsAndTag(props);
    return new IndexedImage((scope) => ({
      source: { name: asset.node.id, key: ['asset', pathFrom(Stack.of(scope), asset)] },
      repository: asset.repository,
      input: { tag: asset.imageTag },
      options: props,
    }));
  }

  /**
   * An image that is in a repository already. The indexed image goes into the same one.
   *
   * @param repository the repository of the image
   * @param tagOrDigest the digest of the image where it begins with `sha256:`, else its tag
   * @param props how the image is indexed
   */
  public static fromEcrRepository(
    repository: IRepository,
    tagOrDigest: string,
    props: SociIndexV2BuildOptions = {},
  ): ContainerImage {
    const input = tagOrDigestOf('tagOrDigest', tagOrDigest);
    checkOptionsAndTag(props);
    // An output tag of the user's own is what stays where the input changes.
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

/** What is to be indexed, and where it comes from. */
interface Image {
  readonly source: Source;
  readonly repository: IRepository;
  readonly input: InputImage;
  readonly options: SociIndexV2BuildOptions;
}

/**
 * Where an image comes from: the same when its content changes, so that the index is updated and not replaced. An update
 * reuses what the index before knows of layers that are still there.
 */
interface Source {
  /** For readers. */
  readonly name: string;
  /** Another for each source of a stack. The same on every machine and in every stage. */
  readonly key: unknown[];
}

/** `SociImage` cannot be this class: its makers would override those of `ContainerImage` with other parameters. */
class IndexedImage extends ContainerImage {
  constructor(
    private readonly imageIn: (scope: Construct) => Image,
    private readonly builtFor?: Platform,
  ) {
    super();
  }

  public bind(scope: Construct, containerDefinition: ContainerDefinition): ContainerImageConfig {
    const index = SharedIndex.of(scope, this.imageIn(scope));
    if (this.builtFor !== undefined) {
      checkTaskOfBuild(containerDefinition, this.builtFor);
    }
    return index.toEcsDockerImageCode().bind(scope, containerDefinition);
  }
}

/** The one index of an image in a stack. */
class SharedIndex extends SociIndexV2Build {
  /** The index in the scope's stack; made where there is none yet. */
  public static of(scope: Construct, { source, repository, input, options }: Image): SharedIndex {
    const stack = Stack.of(scope);
    const outputImageTag = options.outputImageTag ?? defaultOutputTag(scope, input, options);
    const props = { ...options, repository, inputImageTag: input.tag, inputImageDigest: input.digest, outputImageTag };
    const settings = settingsOf(stack, props);
    const id = idOf(stack, source, options);
    // The id tells sources apart. Two sources can be one image, too, which must not get two indexes under one tag.
    const found = stack.node.children.find(
      (child): child is SharedIndex => child instanceof SharedIndex && (child.node.id === id || child.isOf(settings)),
    );
    found?.checkSame(outputImageTag, settings);
    return found ?? new SharedIndex(stack, id, props, settings);
  }

  private constructor(
    scope: Construct,
    id: string,
    props: SociIndexV2BuildProps,
    private readonly settings: Settings,
  ) {
    super(scope, id, props);
  }

  private isOf(settings: Settings): boolean {
    return ['repository', 'outputImageTag'].every((name) => isSame(this.settings[name], settings[name]));
  }

  /** Two indexes under one output tag would overwrite each other, and the end of one would delete the other's image. */
  private checkSame(outputImageTag: string, settings: Settings): void {
    for (const name of Object.keys({ ...this.settings, ...settings })) {
      const [before, now] = [this.settings[name], settings[name]];
      if (!isSame(before, now)) {
        throw new Error(
          `'${name}' must be the same wherever this stack uses the indexed image '${outputImageTag}', ` +
            `got ${JSON.stringify(now)} after ${JSON.stringify(before)}; for two indexes give each its own 'outputImageTag'`,
        );
      }
    }
  }
}

/**
 * What only says where to build or what to delete stays out: it then changes the index in its place. A new index beside
 * the old one would lose its image with it.
 */
function idOf(stack: Stack, source: Source, options: SociIndexV2BuildOptions): string {
  const kind = options.outputImageTag ?? defaultOutputTag(stack, { tag: '' }, options);
  const hash = shortHash(stack.resolve(plain([source.key, kind])));
  return [ID, source.name.slice(0, NAME_IN_ID), hash].filter((part) => part !== '').join('-');
}

/** What stands above the stack or its stage stays out: ids are the same in every stage. */
function pathFrom(stack: Stack, construct: Construct): string {
  const owner = Stack.of(construct);
  const above = owner === stack ? stack : Stage.of(owner);
  return construct.node.path.slice(above?.node.path.length ?? 0);
}

/** The environment stays out where it is that of the stack. */
function placeOf(stack: Stack, { repositoryName, stack: owner, env }: IRepository): unknown[] {
  const elsewhere = (place: string, own: string): string => (place === own || Token.isUnresolved(place) ? '' : place);
  return [
    pathFrom(stack, owner),
    owner.resolve(repositoryName),
    elsewhere(env.account, stack.account),
    elsewhere(env.region, stack.region),
  ];
}

/** The options that make another image: a cache or a name does not. */
function whatIsBuilt(options: DockerImageAssetOptions): unknown {
  const others = ['assetName', 'cacheDisabled', 'cacheFrom', 'cacheTo', 'displayName', 'invalidation'];
  const entries = Object.entries(options).filter(([name, value]) => !others.includes(name) && value !== undefined);
  return plain(Object.fromEntries(entries.sort(([one], [other]) => (one < other ? -1 : 1))));
}

type Settings = Record<string, unknown>;

/** What is asked for, in plain values that can be compared, with the defaults where nothing is given. */
function settingsOf(stack: Stack, image: SociIndexV2BuildProps): Settings {
  const given = Object.entries(image).filter(([, value]) => value !== undefined);
  const settings = { ...DEFAULTS, ...Object.fromEntries(given), platforms: namesOf(image.platforms) };
  return stack.resolve(plain({ ...settings, repository: placeOf(stack, image.repository) })) as Settings;
}

const DEFAULTS: SociIndexV2BuildOptions = {
  minLayerSize: DEFAULT_MIN_LAYER_SIZE,
  spanSize: DEFAULT_SPAN_SIZE,
  prefetchFiles: [],
  whenTooSmall: WhenNotIndexed.USE_ORIGINAL,
  whenUnsupported: WhenNotIndexed.FAIL,
  removalPolicy: RemovalPolicy.RETAIN,
  waitForIndex: true,
  computeType: ComputeType.SMALL,
  timeout: DEFAULT_TIMEOUT,
  queuedTimeout: DEFAULT_QUEUED_TIMEOUT,
  logRetention: RetentionDays.ONE_MONTH,
};

/** Order and repetition make no other index. */
function namesOf(platforms?: Platform[]): string[] | undefined {
  return platforms && [...new Set(platforms.map(({ platform }) => platform))].sort();
}

function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

function plain(value: unknown): unknown {
  if (value instanceof Size) {
    return value.toBytes();
  }
  if (value instanceof Duration) {
    return value.toMinutes();
  }
  if (Array.isArray(value)) {
    return value.map(plain);
  }
  if (value instanceof Construct) {
    return value.node.path;
  }
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, plain(inner)]));
  }
  return value;
}

/** All options of an index, so that none of them gets to the asset, which takes no tokens. */
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
};

function split(props: SociImageAssetProps): { asset: DockerImageAssetOptions; index: SociIndexV2BuildOptions } {
  const entries = Object.entries(props);
  return {
    asset: Object.fromEntries(entries.filter(([name]) => !(name in INDEX_OPTIONS))),
    index: Object.fromEntries(entries.filter(([name]) => name in INDEX_OPTIONS)),
  };
}

function checkOptionsAndTag(options: SociIndexV2BuildOptions): void {
  checkOptions(options);
  checkBuildOptions(options);
  if (options.outputImageTag !== undefined) {
    checkTag('outputImageTag', options.outputImageTag);
  }
}
