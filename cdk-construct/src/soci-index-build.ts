// Version 1: the image keeps its tag and digest; the index is a separate artifact that refers to it.

import { IRepository } from 'aws-cdk-lib/aws-ecr';
import { DockerImageAsset } from 'aws-cdk-lib/aws-ecr-assets';
import { ContainerImage } from 'aws-cdk-lib/aws-ecs';
import { Construct } from 'constructs';
import { SociIndexOptions } from './build-options';
import { withDefaults } from './defaults-of';
import { pushedImage } from './image-asset';
import { IndexResource } from './index-resource';
import { checkInputImage, inputImageOf } from './input-image';
import { checkValues } from './lookups';
import { checkOptions } from './validate';
import { checkBuild, checkRepository } from './validate-build';
import { warn } from './warnings';

/** The properties that select the image to index. */
const INPUT: [string, string] = ['imageTag', 'imageDigest'];

const WARNING =
  'Fargate uses version 1 SOCI indexes only in accounts that AWS has enabled for them; in all other accounts the image is ' +
  'downloaded in full, without an error. The index has no tag, so a lifecycle rule for untagged images can delete it. ' +
  'Use SociIndexV2Build unless you know that your account is enabled.';

/**
 * Properties of a version 1 index.
 */
export interface SociIndexBuildProps extends SociIndexOptions {
  /**
   * The repository of the image. The index is pushed to the same repository.
   */
  readonly repository: IRepository;

  /**
   * The tag of the image to index. Set either this or `imageDigest`.
   *
   * @default - the image is given by `imageDigest`
   */
  readonly imageTag?: string;

  /**
   * The digest of the image to index (`sha256:…`). Set either this or `imageTag`.
   *
   * @default - the image is given by `imageTag`
   */
  readonly imageDigest?: string;
}

/**
 * Builds a version 1 SOCI index during the deployment. The image keeps its tag and digest.
 *
 * Fargate uses version 1 only in accounts that AWS has enabled for it: prefer `SociIndexV2Build`. A service that uses the
 * image by tag needs an explicit dependency: `service.node.addDependency(index)`.
 */
export class SociIndexBuild extends Construct {
  /**
   * Indexes an image asset of this app, in the repository to which the asset is pushed.
   */
  public static fromDockerImageAsset(
    scope: Construct,
    id: string,
    imageAsset: DockerImageAsset,
    options: SociIndexOptions = {},
  ): SociIndexBuild {
    const { repository, tag } = pushedImage(imageAsset);
    return new SociIndexBuild(scope, id, { ...options, repository, imageTag: tag });
  }

  /**
   * The repository of the image and of its index.
   */
  public readonly repository: IRepository;

  /**
   * The digest of the image (`sha256:…`). Resources that use it wait for the index, unless `waitForIndex` is false.
   */
  public readonly outputImageDigest: string;

  private readonly index: IndexResource;

  constructor(scope: Construct, id: string, props: SociIndexBuildProps) {
    super(scope, id);

    const input = inputImageOf(INPUT, props.imageTag, props.imageDigest);
    checkValues(this, () => {
      checkInputImage(INPUT, input);
      checkOptions(props);
      checkBuild(this, withDefaults(this, props));
      checkRepository(this, props.repository);
    });

    this.index = new IndexResource(this, {
      version: 'v1',
      repository: props.repository,
      input,
      options: props,
    });
    this.repository = props.repository;
    this.outputImageDigest = this.index.outputImageDigest;
    warn(this, 'soci-index-build:version1', WARNING);
  }

  /**
   * The image for an ECS container, by digest. The task definition waits for the index, and its execution role may pull
   * from the repository.
   */
  public toEcsDockerImageCode(): ContainerImage {
    return this.index.toContainerImage();
  }
}
