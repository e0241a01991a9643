// The custom resource: properties for the provider, attributes from it. The properties are already validated.

import { CfnResource, RemovalPolicy, Token } from 'aws-cdk-lib';
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
import { indexProperties } from './index-properties';
import { InputImage } from './input-image';
import { ProviderFunction } from './provider-function';
import { checkTaskOfIndex } from './task-checks';
import { taskOf } from './task';
import { buildWarnings } from './validate-build';
import { warn } from './warnings';

/** Part of deployed stacks; must not change. */
const RESOURCE_TYPE = 'Custom::SociIndexBuild';

/**
 * Part of the logical ids of deployed stacks: never changes. Not `Resource`, which leaves no trace in a logical id: the
 * resource would then have that of deploy-time-build's, and CloudFormation changes no resource to another type.
 */
const ID = 'SociIndex';

/** CloudFormation's maximum timeout, in seconds. The provider responds earlier. */
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
    // Not the CustomResource construct: in the oldest aws-cdk-lib, ServiceTimeout could only be set as a property, about
    // which newer versions warn.
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
        ...indexProperties(options),
        RemovalPolicy: isDestroyed ? 'destroy' : undefined,
        WaitForIndex: options.waitForIndex === false ? 'false' : undefined,
      },
    });
    // References do not include the policies of the two roles; without them the first calls would be denied. On
    // delete, the dependency keeps the permissions until the resource is deleted.
    this.resource.node.addDependency(...builder.essentials, ...provider.essentials, ...(options.dependencies ?? []));
  }

  /** The tag; a reference, so its users wait for the resource. */
  public get outputImageTag(): string {
    return Token.asString(this.resource.getAtt('OutputImageTag'));
  }

  /** The digest; a reference, so its users wait for the resource. */
  public get outputImageDigest(): string {
    return Token.asString(this.resource.getAtt('OutputImageDigest'));
  }

  /** The image for a container, by digest, so that tasks never run another image. */
  public toContainerImage(): ContainerImage {
    return new DigestImage(this.repository, this.outputImageDigest, this.platforms);
  }
}

function builderOf(scope: Construct, options: SociIndexOptions): Builder {
  const kind = options.builder === SociBuilder.FUNCTION ? BuilderFunction : BuilderProject;
  return kind.of(scope, options);
}

/** `EcrImage` accepts a digest only if it is known at synth. */
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
