// Version 2: an image by tag or digest in, a new image with its index in, under an output tag and by digest.

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

/** The properties that say which image to index. */
const INPUT: [string, string] = ['inputImageTag', 'inputImageDigest'];

/**
 * Options of a version 2 index.
 */
export interface SociIndexV2BuildOptions extends SociIndexOptions {
  /**
   * The tag of the indexed image. It must not be the input tag.
   *
   * @default - the input tag, or the 64 digits of the input digest, and `-soci`; where `platforms`, `minLayerSize`,
   * `spanSize` or `prefetchFiles` are not their defaults, also `-` and eight characters of their hash
   */
  readonly outputImageTag?: string;
}

/**
 * Properties of a version 2 index.
 */
export interface SociIndexV2BuildProps extends SociIndexV2BuildOptions {
  /**
   * The repository that the image is in. The indexed image goes into the same one.
   */
  readonly repository: IRepository;

  /**
   * The tag of the image to index. Either this or `inputImageDigest`.
   *
   * @default - the image is given by `inputImageDigest`
   */
  readonly inputImageTag?: string;

  /**
   * The digest of the image to index (`sha256:…`). Either this or `inputImageTag`. One that is known at deployment only
   * needs `outputImageTag` too.
   *
   * @default - the image is given by `inputImageTag`
   */
  readonly inputImageDigest?: string;
}

/**
 * Builds a SOCI index, version 2, while the stack is deployed: a new image with the layers of the input image and their
 * index. The input image stays as it is.
 *
 * Whatever uses the outputs is created only after the index is there, unless `waitForIndex` is false.
 */
export class SociIndexV2Build extends Construct {
  /**
   * Indexes an image asset of this app, in the repository that the asset is pushed to.
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
   * The tag of the indexed image. Its value is known when the index is there, so whatever uses it waits for the index.
   * With `waitForIndex: false` it is the tag that the index will be under, and may not be there yet.
   */
  public readonly outputImageTag: string;

  /**
   * The digest of the indexed image (`sha256:…`). Whatever uses it waits for the index. With `waitForIndex: false` it is
   * that of the original image where the index is not there yet.
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
    addCheck(this, () => this.wrongFunctions(functions, outputImageTag, input));
    this.repository = props.repository;
    this.outputImageTag = this.index.outputImageTag;
    this.outputImageDigest = this.index.outputImageDigest;
  }

  /**
   * The indexed image for a container of an ECS task, by digest. The task definition waits for the index, and its
   * execution role may pull from the repository.
   */
  public toEcsDockerImageCode(): ContainerImage {
    return this.index.toContainerImage();
  }

  /** What is wrong with Lambda functions that would run the indexed image. */
  private wrongFunctions(functions: LambdaFunctions, outputImageTag: string, input: InputImage): string[] {
    const shown = (text: string): string => (Token.isUnresolved(text) ? 'of a tag known at deployment' : quoted(text));
    return functions.thatRun(this, this.repository.repositoryUriForTag(outputImageTag)).map(
      (path) =>
        `The Lambda function ${path} would run the indexed image ${shown(outputImageTag)}, but Lambda takes no image ` +
        `with an index of version 2: give it the image as it was, ${shown(input.tag ?? input.digest)}`,
    );
  }
}

function checkOutputTag(outputImageTag: string, input: InputImage): void {
  checkTag('outputImageTag', outputImageTag);
  if (outputImageTag === input.tag && !Token.isUnresolved(outputImageTag)) {
    throw new Error(`'outputImageTag' must not be the input tag, which stays with its image, got "${outputImageTag}"`);
  }
}
