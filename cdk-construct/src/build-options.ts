// The options that every construct of this library takes. Plain declarations: checks are in validate.ts.

import { Duration, RemovalPolicy, Size } from 'aws-cdk-lib';
import { ComputeType } from 'aws-cdk-lib/aws-codebuild';
import { ISecurityGroup, IVpc, SubnetSelection } from 'aws-cdk-lib/aws-ec2';
import { Platform } from 'aws-cdk-lib/aws-ecr-assets';
import { IRole } from 'aws-cdk-lib/aws-iam';
import { IKey } from 'aws-cdk-lib/aws-kms';
import { ILogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { IDependable } from 'constructs';

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
 * Where an index is built.
 */
export enum SociBuilder {
  /**
   * In a CodeBuild project. A build starts after CodeBuild has found a machine, often about a minute, and can take up to 49
   * minutes.
   */
  CODE_BUILD = 'code-build',

  /**
   * In a Lambda function of the stack. A build starts at once and can take up to 14 minutes. The stack gets nothing of
   * CodeBuild for it.
   */
  FUNCTION = 'function',
}

/**
 * The sizes of CodeBuild's Lambda compute, for an aws-cdk-lib whose `ComputeType` does not name them.
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
   * Paths inside the image that the container needs at once. Readers that know of this list fetch them first. All of them
   * together may have 28,000 characters; a character that is not a letter, a digit or one of `-._/:@=` counts as three or more.
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
   * Whether the deployment waits for the index. With `false`, for development stacks, the resource succeeds as soon as the
   * build has started, and the image to run is the original one where the index is not there yet: its tasks start as
   * without this library. A build that fails after that says so in its log only. The output tag may not be there yet, so
   * take the image by its digest. Not together with the removal policy `DESTROY`.
   *
   * @default true
   */
  readonly waitForIndex?: boolean;

  /**
   * Where the index is built: in a CodeBuild project, or in a Lambda function, which starts at once. It can be changed on a
   * deployed index, which is not built again for it.
   *
   * @default SociBuilder.CODE_BUILD, unless SociIndexBuildDefaults says otherwise
   */
  readonly builder?: SociBuilder;

  /**
   * The memory of the function that builds the index, in MB, from 512 to 10,240. Lambda gives a function CPU in proportion
   * to it, one vCPU for 1,769 MB. With `SociBuilder.FUNCTION` only. An account may allow functions of up to 3,008 MB only.
   *
   * @default 2048
   */
  readonly memorySize?: number;

  /**
   * The size of the CodeBuild machine that builds the index. Memory use does not grow with the image, so a larger machine only
   * makes the build of a large image faster. A `LAMBDA_…` of newer aws-cdk-lib means Lambda compute, as
   * `lambdaComputeType` does.
   *
   * @default ComputeType.SMALL
   */
  readonly computeType?: ComputeType;

  /**
   * Builds on CodeBuild's Lambda compute instead, which starts in seconds. A build takes at most 15 minutes there and
   * cannot be in a VPC, so neither `timeout`, `queuedTimeout` nor `vpc` can be given. Not every region has it.
   *
   * @default - a machine of `computeType`
   */
  readonly lambdaComputeType?: LambdaComputeType;

  /**
   * How long the build may take, in whole minutes, at least 5. Together with `queuedTimeout` it must be below 55
   * minutes, because CloudFormation waits for one hour. With `SociBuilder.FUNCTION`: from 1 to 14 minutes.
   *
   * @default Duration.minutes(20), or what `queuedTimeout` leaves of 54 minutes; 15 minutes with Lambda compute; 14 minutes in
   * a function
   */
  readonly timeout?: Duration;

  /**
   * How long the build may wait in the queue of CodeBuild, in whole minutes, at least 5. Not in a function. An account's quota may let only one
   * build run at a time: the indexes of a stack then wait for each other.
   *
   * @default Duration.minutes(30), or what `timeout` leaves of 54 minutes
   */
  readonly queuedTimeout?: Duration;

  /**
   * The VPC that the build runs in. The index waits for everything in it, such as the routes to its NAT gateways and the
   * endpoints that were added to it.
   *
   * @default - no VPC: the build reaches AWS over the network of CodeBuild or Lambda
   */
  readonly vpc?: IVpc;

  /**
   * The subnets of the VPC that the build runs in. They must be private, with a NAT gateway or with endpoints for
   * everything that a build calls: a build has no address in public ones.
   *
   * @default - the private subnets of the VPC, or its isolated ones where it has no other
   */
  readonly subnetSelection?: SubnetSelection;

  /**
   * The security groups of the build in the VPC. It needs HTTPS to the outside and nothing else.
   *
   * @default - a new security group that lets everything out and nothing in
   */
  readonly securityGroups?: ISecurityGroup[];

  /**
   * The key of the build project and of the log group that is made for it; of a function, of its log group alone. A key that was made in this app gets the
   * statement that lets CloudWatch Logs use it; any other must have it already. A log group that is given keeps its own
   * key, and so does the log group of the function that answers CloudFormation.
   *
   * @default - the keys of AWS
   */
  readonly encryptionKey?: IKey;

  /**
   * The role of the build, which `codebuild.amazonaws.com` must be allowed to assume; of a function, `lambda.amazonaws.com`. It gets the rights that a build
   * needs; where it takes none (`withoutPolicyUpdates`), it must have them already.
   *
   * @default - a new role that may do nothing else
   */
  readonly role?: IRole;

  /**
   * The log group that the build logs to.
   *
   * @default - a new log group that ends with the stack
   */
  readonly logGroup?: ILogGroup;

  /**
   * How long the log group that is made for the build keeps its lines. Not with `logGroup`, which has its own.
   *
   * @default RetentionDays.ONE_MONTH
   */
  readonly logRetention?: RetentionDays;

  /**
   * What has to be there before the index is built, such as a custom resource that pushes the image.
   *
   * @default - the index waits for nothing else
   */
  readonly dependencies?: IDependable[];
}

/**
 * Settings for the function that answers CloudFormation, one in each stack, and for the builds of all indexes that do not
 * say otherwise.
 */
export interface SociIndexBuildDefaultsProps {
  /**
   * Where indexes are built.
   *
   * @default SociBuilder.CODE_BUILD
   */
  readonly builder?: SociBuilder;

  /**
   * How long the log groups of the function and of builds keep their lines.
   *
   * @default RetentionDays.ONE_MONTH
   */
  readonly logRetention?: RetentionDays;

  /**
   * The key of the log groups of the function and of builds, and of the build projects.
   *
   * @default - the keys of AWS
   */
  readonly encryptionKey?: IKey;

  /**
   * The VPC that the function and the builds run in.
   *
   * @default - no VPC
   */
  readonly vpc?: IVpc;

  /**
   * The subnets of the VPC, which must be private.
   *
   * @default - the private subnets of the VPC, or its isolated ones where it has no other
   */
  readonly subnetSelection?: SubnetSelection;

  /**
   * The security groups of the function and of builds in the VPC. They need HTTPS to the outside and nothing else.
   *
   * @default - new security groups that let everything out and nothing in
   */
  readonly securityGroups?: ISecurityGroup[];
}
