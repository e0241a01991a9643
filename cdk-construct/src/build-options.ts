// The options that every construct of this library takes. Plain declarations: checks are in validate.ts.

import { Duration, RemovalPolicy, Size } from 'aws-cdk-lib';
import { ComputeType } from 'aws-cdk-lib/aws-codebuild';
import { Platform } from 'aws-cdk-lib/aws-ecr-assets';

/**
 * What to do with an image that gets no index.
 */
export enum WhenNotIndexed {
  /**
   * Succeed with the original image. It runs as it would without this library: fully downloaded first.
   */
  USE_ORIGINAL = 'use-original',

  /**
   * Fail the deployment, with the reason in the stack's events.
   */
  FAIL = 'fail',
}

/**
 * What is indexed, how, and where that is done.
 */
export interface SociIndexOptions {
  /**
   * The platforms of the image that get an index. A platform that the image does not have fails the deployment.
   *
   * @default - all platforms of the image
   */
  readonly platforms?: Platform[];

  /**
   * Layers smaller than this, as stored in the registry, get no index: they are downloaded whole, which is faster for
   * small ones.
   *
   * @default Size.mebibytes(10)
   */
  readonly minLayerSize?: Size;

  /**
   * Plain bytes between two places where reading a layer can start. Smaller spans let a container read less before it
   * starts, and make a larger index.
   *
   * @default Size.mebibytes(4)
   */
  readonly spanSize?: Size;

  /**
   * Paths inside the image that the container needs at once. Readers that know of this list fetch them first.
   *
   * @default - no list; files are fetched when they are read
   */
  readonly prefetchFiles?: string[];

  /**
   * What to do where every layer of the image is smaller than `minLayerSize`.
   *
   * @default WhenNotIndexed.USE_ORIGINAL
   */
  readonly whenTooSmall?: WhenNotIndexed;

  /**
   * What to do where no layer of the image can be indexed, for example because all are compressed with zstd.
   *
   * @default WhenNotIndexed.FAIL
   */
  readonly whenUnsupported?: WhenNotIndexed;

  /**
   * Whether the index is deleted from the repository when this construct leaves the stack or makes another index
   * instead. With `DESTROY` the deployment may delete images in the repository, but deletes only what this construct
   * has made and no other tag uses; the input image always stays.
   *
   * @default RemovalPolicy.RETAIN
   */
  readonly removalPolicy?: RemovalPolicy;

  /**
   * The size of the machine that builds the index. Memory use does not grow with the image, so a larger machine only
   * makes the build of a large image faster.
   *
   * @default ComputeType.SMALL
   */
  readonly computeType?: ComputeType;

  /**
   * How long the build may take, in whole minutes, at least 5. Together with `queuedTimeout` it must be below 55
   * minutes, because CloudFormation waits for one hour.
   *
   * @default Duration.minutes(45)
   */
  readonly timeout?: Duration;

  /**
   * How long the build may wait for a machine, in whole minutes, at least 5.
   *
   * @default Duration.minutes(5)
   */
  readonly queuedTimeout?: Duration;
}
