// Version 2. In: an image by tag or digest. Out: a new image with its index, by output tag and digest.

import { Token } from 'aws-cdk-lib';
import { IRepository } from 'aws-cdk-lib/aws-ecr';
import { DockerImageAsset } from 'aws-cdk-lib/aws-ecr-assets';
import { ContainerImage } from 'aws-cdk-lib/aws-ecs';
import { Construct } from 'constructs';
import { SociIndexOptions } from './build-options';
import { withDefaults } from './defaults-of';
import { pushedImage } from './image-asset';
import { IndexResource } from './index-resource';
import { checkInputImage, InputImage, inputImageOf } from './input-image';
import { LambdaFunctions } from './lambda-functions';
import { addCheck, checkValues } from './lookups';
import { defaultOutputTag } from './output-tag';
import { takeOutputTag } from './output-tags';
import { checkOptions, checkTag, quoted } from './validate';
import { checkBuild, checkRepository } from './validate-build';

/** The properties that select the image to index. */
const INPUT: [string, string] = ['inputImageTag', 'inputImageDigest'];

/**
 * Options of a version 2 index.
 */
export interface SociIndexV2BuildOptions extends SociIndexOptions {
  /**
   * The tag of the indexed image. It must differ from the input tag.
   *
   * @default - the input tag, or the 64 digits of the input digest, followed by `-soci`, and by an eight-character hash if
   * `platforms`, `minLayerSize`, `spanSize` or `prefetchFiles` are set
   */
  readonly outputImageTag?: string;
}

/**
 * Properties of a version 2 index.
 */
export interface SociIndexV2BuildProps extends SociIndexV2BuildOptions {
  /**
   * The repository of the image. The indexed image is pushed to the same repository.
   */
  readonly repository: IRepository;

  /**
   * The tag of the image to index. Set either this or `inputImageDigest`.
   *
   * @default - the image is given by `inputImageDigest`
   */
  readonly inputImageTag?: string;

  /**
   * The digest of the image to index (`sha256:…`). Set either this or `inputImageTag`. If the digest is known only at
   * deployment, set `outputImageTag` too.
   *
   * @default - the image is given by `inputImageTag`
   */
  readonly inputImageDigest?: string;
}

/**
 * Builds a version 2 SOCI index during the deployment: a new image with the layers of the input image and their index. The
 * input image is not changed.
 *
 * Resources that use the attributes are created after the index exists, unless `waitForIndex` is false.
 */
export class SociIndexV2Build extends Construct {
  /**
   * Indexes an image asset of this app, in the repository to which the asset is pushed.
   */
  public static fromDockerImageAsset(
    scope: Construct,
    id: string,
    imageAsset: DockerImageAsset,
    options: SociIndexV2BuildOptions = {},
  ): SociIndexV2Build {
    const { repository, tag } = pushedImage(imageAsset);
    return new SociIndexV2Build(scope, id, { ...options, repository, inputImageTag: tag });
  }

  /**
   * The repository of the image and of the indexed image.
   */
  public readonly repository: IRepository;

  /**
   * The tag of the indexed image. Resources that use it wait for the index. With `waitForIndex: false` the tag may not
   * exist yet.
   */
  public readonly outputImageTag: string;

  /**
   * The digest of the indexed image (`sha256:…`). Resources that use it wait for the index. With `waitForIndex: false` it
   * is the digest of the original image if the index does not exist yet.
   */
  public readonly outputImageDigest: string;

  private readonly index: IndexResource;

  constructor(scope: Construct, id: string, props: SociIndexV2BuildProps) {
    super(scope, id);

    const input = inputImageOf(INPUT, props.inputImageTag, props.inputImageDigest);
    checkValues(this, () => {
      checkInputImage(INPUT, input);
      checkOptions(props);
      checkBuild(this, withDefaults(this, props));
      checkRepository(this, props.repository);
    });
    const outputImageTag = props.outputImageTag ?? defaultOutputTag(this, input, props);
    checkValues(this, () => {
      checkOutputTag(outputImageTag, input);
      takeOutputTag(this, {
        imageUri: props.repository.repositoryUriForTag(outputImageTag),
        content: [input, defaultOutputTag(this, { tag: '' }, props)],
        removalPolicy: props.removalPolicy,
      });
    });

    this.index = new IndexResource(this, {
      version: 'v2',
      repository: props.repository,
      input,
      outputImageTag,
      options: props,
    });
    const functions = LambdaFunctions.around(this);
    addCheck(this, () => this.functionErrors(functions, outputImageTag, input));
    this.repository = props.repository;
    this.outputImageTag = this.index.outputImageTag;
    this.outputImageDigest = this.index.outputImageDigest;
  }

  /**
   * The indexed image for an ECS container, by digest. The task definition waits for the index, and its execution role
   * may pull from the repository.
   */
  public toEcsDockerImageCode(): ContainerImage {
    return this.index.toContainerImage();
  }

  /** Errors for Lambda functions that use the indexed image. */
  private functionErrors(functions: LambdaFunctions, outputImageTag: string, input: InputImage): string[] {
    const shown = (text: string): string => (Token.isUnresolved(text) ? 'with a tag known at deployment' : quoted(text));
    return functions.thatRun(this, this.repository.repositoryUriForTag(outputImageTag)).map(
      (path) =>
        `The Lambda function ${path} uses the indexed image ${shown(outputImageTag)}, but Lambda does not support images ` +
        `with a version 2 index: use the original image, ${shown(input.tag ?? input.digest)}`,
    );
  }
}

function checkOutputTag(outputImageTag: string, input: InputImage): void {
  checkTag('outputImageTag', outputImageTag);
  if (outputImageTag === input.tag && !Token.isUnresolved(outputImageTag)) {
    throw new Error(`'outputImageTag' must differ from the input tag, got "${outputImageTag}"`);
  }
}
