// The options of all constructs. Declarations only; validation is in validate.ts.

import { Duration, RemovalPolicy, Size } from 'aws-cdk-lib';
import { ComputeType } from 'aws-cdk-lib/aws-codebuild';
import { ISecurityGroup, IVpc, SubnetSelection } from 'aws-cdk-lib/aws-ec2';
import { Platform } from 'aws-cdk-lib/aws-ecr-assets';
import { IRole } from 'aws-cdk-lib/aws-iam';
import { IKey } from 'aws-cdk-lib/aws-kms';
import { ILogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { IDependable } from 'constructs';

/**
 * What to do with an image that cannot be indexed.
 */
export enum WhenNotIndexed {
  /**
   * Succeed and use the original image, which is downloaded in full before it starts.
   */
  USE_ORIGINAL = 'use-original',

  /**
   * Fail the deployment, with the reason in the stack's events.
   */
  FAIL = 'fail',
}

/**
 * Where an index is built.
 */
export enum SociBuilder {
  /**
   * In a CodeBuild project. A build starts when CodeBuild has provisioned a machine, often after about a minute, and can take
   * up to 49 minutes.
   */
  CODE_BUILD = 'code-build',

  /**
   * In a Lambda function of the stack. A build starts immediately and can take up to 14 minutes. No CodeBuild resources are
   * created.
   */
  FUNCTION = 'function',
}

/**
 * The sizes of CodeBuild's Lambda compute, for versions of aws-cdk-lib whose `ComputeType` lacks them.
 */
export enum LambdaComputeType {
  /**
   * 1 GB of memory.
   */
  LAMBDA_1GB = 'BUILD_LAMBDA_1GB',

  /**
   * 2 GB of memory.
   */
  LAMBDA_2GB = 'BUILD_LAMBDA_2GB',

  /**
   * 4 GB of memory.
   */
  LAMBDA_4GB = 'BUILD_LAMBDA_4GB',

  /**
   * 8 GB of memory.
   */
  LAMBDA_8GB = 'BUILD_LAMBDA_8GB',

  /**
   * 10 GB of memory.
   */
  LAMBDA_10GB = 'BUILD_LAMBDA_10GB',
}

/**
 * What to index, and how and where to build the index.
 */
export interface SociIndexOptions {
  /**
   * The platforms to index. The deployment fails if the image does not have one of them.
   *
   * @default - all platforms of the image
   */
  readonly platforms?: Platform[];

  /**
   * Layers whose compressed size is below this are not indexed. They are downloaded in full, which is faster for small
   * layers.
   *
   * @default Size.mebibytes(10)
   */
  readonly minLayerSize?: Size;

  /**
   * Uncompressed bytes per span, the unit in which a layer is fetched. With smaller spans a container fetches less before
   * it starts, but the index is larger.
   *
   * @default Size.mebibytes(4)
   */
  readonly spanSize?: Size;

  /**
   * Paths in the image that the container needs at startup. Readers that support this list fetch them first. The limit is
   * 28,000 characters in total, including 17 for each path; each byte other than a letter, a digit or one of `-._/:@=`
   * counts as three.
   *
   * @default - no files are prefetched
   */
  readonly prefetchFiles?: string[];

  /**
   * What to do if every layer of the image is smaller than `minLayerSize`.
   *
   * @default WhenNotIndexed.USE_ORIGINAL
   */
  readonly whenTooSmall?: WhenNotIndexed;

  /**
   * What to do if no layer of the image can be indexed, for example because all use zstd compression.
   *
   * @default WhenNotIndexed.FAIL
   */
  readonly whenUnsupported?: WhenNotIndexed;

  /**
   * Whether to delete the index from the repository when this construct is removed, and when an update has built a newer
   * index. After such an update, a rollback of the ECS service alone finds no image. `DESTROY` gives the provider function
   * permission to delete images in the repository. It deletes only what this construct has created and no other tag uses,
   * never the input image.
   *
   * @default RemovalPolicy.RETAIN
   */
  readonly removalPolicy?: RemovalPolicy;

  /**
   * Whether the deployment waits for the index. With `false`, for development stacks, the resource completes as soon as the
   * build has started. If the index does not exist yet, tasks run the original image, as without this library. A failed
   * build is visible only in its log. The output tag may not exist yet, so refer to the image by digest. Cannot be combined
   * with the removal policy `DESTROY`.
   *
   * @default true
   */
  readonly waitForIndex?: boolean;

  /**
   * Where the index is built: in a CodeBuild project, or in a Lambda function, which starts immediately. Changing it does not
   * rebuild a deployed index.
   *
   * @default SociBuilder.CODE_BUILD, or the value in SociIndexBuildDefaults
   */
  readonly builder?: SociBuilder;

  /**
   * The memory of the function that builds the index, in MB, from 512 to 10,240. Lambda allocates CPU in proportion to it,
   * one vCPU per 1,769 MB. Only with `SociBuilder.FUNCTION`. Some accounts allow at most 3,008 MB.
   *
   * @default 2048
   */
  readonly memorySize?: number;

  /**
   * The size of the CodeBuild machine. Memory use does not grow with the image; a larger machine only speeds up the build of
   * large images. The `LAMBDA_…` sizes of newer versions of aws-cdk-lib select Lambda compute, like `lambdaComputeType`.
   *
   * @default ComputeType.SMALL
   */
  readonly computeType?: ComputeType;

  /**
   * Use CodeBuild's Lambda compute, which starts in seconds. It is not the same as `SociBuilder.FUNCTION`. It has a fixed
   * timeout of 15 minutes and no VPC support, so `timeout`, `queuedTimeout` and `vpc` cannot be set. Not available in every
   * region.
   *
   * @default - EC2 compute of size `computeType`
   */
  readonly lambdaComputeType?: LambdaComputeType;

  /**
   * The timeout of the build, in whole minutes. In CodeBuild: at least 5, and the sum with `queuedTimeout` must be below 55
   * minutes, because CloudFormation waits at most one hour. With `SociBuilder.FUNCTION`: from 1 to 14 minutes.
   *
   * @default Duration.minutes(20), or less if `queuedTimeout` requires it; 15 minutes with Lambda compute; 14 minutes in a
   * function
   */
  readonly timeout?: Duration;

  /**
   * How long the build may be queued in CodeBuild, in whole minutes, at least 5. If the account's quota allows only one
   * build at a time, the builds of a stack wait for each other. Not supported with `SociBuilder.FUNCTION`.
   *
   * @default Duration.minutes(30), or less if `timeout` requires it
   */
  readonly queuedTimeout?: Duration;

  /**
   * The VPC in which the build runs. The index depends on the routes, NAT gateways and endpoints that are defined in this
   * VPC construct.
   *
   * @default - no VPC: the build uses the network of CodeBuild or Lambda
   */
  readonly vpc?: IVpc;

  /**
   * The subnets in which the build runs. They must be private, with a NAT gateway or VPC endpoints for all services that a
   * build calls: in public subnets a build gets no public IP address.
   *
   * @default - the private subnets of the VPC, or its isolated ones if it has no others
   */
  readonly subnetSelection?: SubnetSelection;

  /**
   * The security groups of the build. It needs only outbound HTTPS.
   *
   * @default - a new security group that allows all outbound and no inbound traffic
   */
  readonly securityGroups?: ISecurityGroup[];

  /**
   * The KMS key of the build project and of the new log group; with `SociBuilder.FUNCTION`, of the log group only. A key that
   * is defined in this app gets the policy statement that lets CloudWatch Logs use it; any other key must already have it.
   * It does not apply to `logGroup`, nor to the log group of the provider function.
   *
   * @default - AWS owned and AWS managed keys
   */
  readonly encryptionKey?: IKey;

  /**
   * The role of the build, which must trust `codebuild.amazonaws.com`, or `lambda.amazonaws.com` with `SociBuilder.FUNCTION`.
   * It is granted the permissions that a build needs; an immutable role (`withoutPolicyUpdates`) must already have them.
   *
   * @default - a new role with only these permissions
   */
  readonly role?: IRole;

  /**
   * The log group of the build.
   *
   * @default - a new log group that is deleted with the stack
   */
  readonly logGroup?: ILogGroup;

  /**
   * The retention of the new log group. Cannot be combined with `logGroup`.
   *
   * @default RetentionDays.ONE_MONTH
   */
  readonly logRetention?: RetentionDays;

  /**
   * Constructs that must be deployed before the index is built, such as a custom resource that pushes the image.
   *
   * @default - no additional dependencies
   */
  readonly dependencies?: IDependable[];
}

/**
 * Settings for the provider function of each stack, and defaults for the builds of all indexes.
 */
export interface SociIndexBuildDefaultsProps {
  /**
   * Where indexes are built.
   *
   * @default SociBuilder.CODE_BUILD
   */
  readonly builder?: SociBuilder;

  /**
   * The retention of the log groups of the provider function and of builds.
   *
   * @default RetentionDays.ONE_MONTH
   */
  readonly logRetention?: RetentionDays;

  /**
   * The KMS key of the log groups of the provider function and of builds, and of the build projects.
   *
   * @default - AWS owned and AWS managed keys
   */
  readonly encryptionKey?: IKey;

  /**
   * The VPC in which the provider function and the builds run.
   *
   * @default - no VPC
   */
  readonly vpc?: IVpc;

  /**
   * The subnets of the VPC. They must be private.
   *
   * @default - the private subnets of the VPC, or its isolated ones if it has no others
   */
  readonly subnetSelection?: SubnetSelection;

  /**
   * The security groups of the provider function and of builds. They need only outbound HTTPS.
   *
   * @default - new security groups that allow all outbound and no inbound traffic
   */
  readonly securityGroups?: ISecurityGroup[];
}
