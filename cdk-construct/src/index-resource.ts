// The custom resource: properties out to the provider, attributes back. What is asked for has been checked before.

import { CfnResource, RemovalPolicy, Size, Token, Tokenization } from 'aws-cdk-lib';
import { IRepository } from 'aws-cdk-lib/aws-ecr';
import { Platform } from 'aws-cdk-lib/aws-ecr-assets';
import { ContainerDefinition, ContainerImage, ContainerImageConfig } from 'aws-cdk-lib/aws-ecs';
import { Construct } from 'constructs';
import { SociBuilder, SociIndexOptions } from './build-options';
import { Builder } from './builder';
import { BuilderFunction } from './builder-function';
import { BuilderProject } from './builder-project';
import { withDefaults } from './defaults-of';
import { waitForAsset } from './image-asset';
import { InputImage } from './input-image';
import { ProviderFunction } from './provider-function';
import { checkTaskOfIndex } from './task-checks';
import { taskOf } from './task';
import { buildWarnings } from './validate-build';
import { warn } from './warnings';

/** Part of deployed stacks: never changes. */
const RESOURCE_TYPE = 'Custom::SociIndexBuild';

/**
 * Part of the logical ids of deployed stacks: never changes. Not `Resource`, which leaves no trace in a logical id: the
 * resource would then have that of deploy-time-build's, and CloudFormation changes no resource to another type.
 */
const ID = 'SociIndex';

/** CloudFormation's longest wait, in seconds. The provider answers before. */
const SERVICE_TIMEOUT = '3600';

export interface IndexRequest {
  readonly version: 'v1' | 'v2';
  readonly repository: IRepository;
  readonly input: InputImage;
  /** Version 2 only. */
  readonly outputImageTag?: string;
  readonly options: SociIndexOptions;
}

export class IndexResource {
  private readonly repository: IRepository;
  private readonly platforms?: Platform[];
  private readonly resource: CfnResource;

  constructor(scope: Construct, request: IndexRequest) {
    const { repository } = request;
    const options = withDefaults(scope, request.options);
    const isDestroyed = options.removalPolicy === RemovalPolicy.DESTROY;
    const provider = ProviderFunction.of(scope);
    const builder = builderOf(scope, options);
    builder.useRepository(repository);
    provider.useRepository(repository, { isDestroyed });
    provider.allow(builder.right, builder.arn);

    waitForAsset(scope, repository);

    for (const warning of buildWarnings(options)) {
      warn(scope, 'soci-index-build:noInternet', warning);
    }

    this.repository = repository;
    this.platforms = options.platforms;
    // Not the CustomResource construct: the oldest aws-cdk-lib has no other way to give ServiceTimeout than among the
    // properties, of which newer ones warn.
    this.resource = new CfnResource(scope, ID, {
      type: RESOURCE_TYPE,
      properties: {
        ServiceToken: provider.functionArn,
        ServiceTimeout: SERVICE_TIMEOUT,
        ...builder.property,
        RepositoryUri: repository.repositoryUri,
        IndexVersion: request.version,
        InputImageTag: request.input.tag,
        InputImageDigest: request.input.digest,
        OutputImageTag: request.outputImageTag,
        Platforms: options.platforms?.map(({ platform }) => platform),
        MinLayerSize: bytesOf(options.minLayerSize),
        SpanSize: bytesOf(options.spanSize),
        PrefetchFiles: options.prefetchFiles?.length ? options.prefetchFiles : undefined,
        WhenTooSmall: options.whenTooSmall,
        WhenUnsupported: options.whenUnsupported,
        RemovalPolicy: isDestroyed ? 'destroy' : undefined,
        WaitForIndex: options.waitForIndex === false ? 'false' : undefined,
      },
    });
    // References alone do not wait for the policies of the two roles: without them the first calls would be denied. On
    // delete, they keep the rights until the resource is gone.
    this.resource.node.addDependency(...builder.essentials, ...provider.essentials, ...(options.dependencies ?? []));
  }

  /** The tag, known when the resource is there: who uses it waits. */
  public get outputImageTag(): string {
    return Token.asString(this.resource.getAtt('OutputImageTag'));
  }

  /** The digest, known when the resource is there: who uses it waits. */
  public get outputImageDigest(): string {
    return Token.asString(this.resource.getAtt('OutputImageDigest'));
  }

  /** The image for a container: by digest, so that a task never gets anything else. */
  public toContainerImage(): ContainerImage {
    return new DigestImage(this.repository, this.outputImageDigest, this.platforms);
  }
}

function builderOf(scope: Construct, options: SociIndexOptions): Builder {
  const kind = options.builder === SociBuilder.FUNCTION ? BuilderFunction : BuilderProject;
  return kind.of(scope, options);
}

/** `EcrImage` takes a digest only where its text is known at synth. */
class DigestImage extends ContainerImage {
  constructor(
    private readonly repository: IRepository,
    private readonly digest: string,
    private readonly platforms?: Platform[],
  ) {
    super();
  }

  public bind(scope: Construct, container: ContainerDefinition): ContainerImageConfig {
    const task = taskOf(scope, container);
    checkTaskOfIndex(task, this.platforms);
    this.repository.grantPull(task.obtainExecutionRole());
    return { imageName: `${this.repository.repositoryUri}@${this.digest}` };
  }
}

function bytesOf(size?: Size): string | undefined {
  return size && Tokenization.stringifyNumber(size.toBytes());
}
