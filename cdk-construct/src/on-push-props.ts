// The options of SociIndexOnPush. Declarations only; validation is in validate-on-push.ts.

import { Duration, Size } from 'aws-cdk-lib';
import { ISecurityGroup, IVpc, SubnetSelection } from 'aws-cdk-lib/aws-ec2';
import { IRepository } from 'aws-cdk-lib/aws-ecr';
import { Platform } from 'aws-cdk-lib/aws-ecr-assets';
import { IRole } from 'aws-cdk-lib/aws-iam';
import { IKey } from 'aws-cdk-lib/aws-kms';
import { ILogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { ITopic } from 'aws-cdk-lib/aws-sns';
import { WhenNotIndexed } from './build-options';

/**
 * The version of a SOCI index.
 */
export enum SociIndexVersion {
  /**
   * An artifact that refers to the image, which keeps its tag and digest. Fargate uses it only in accounts that AWS has enabled
   * for version 1.
   */
  V1 = 'v1',

  /**
   * A new image with the layers of the pushed image and their index, under a tag of its own. Fargate uses it in every account.
   */
  V2 = 'v2',
}

/**
 * Properties of SociIndexOnPush.
 */
export interface SociIndexOnPushProps {
  /**
   * Which images are indexed: `repository` for all tags, or `repository:tag`. In both parts, `*` stands for any number of any
   * characters, also slashes: `team/*:v*`. A tag that ends in the output suffix never matches. `['*']` is every image of the
   * account and region.
   *
   * @default - only the images of `repositories`
   */
  readonly filters?: string[];

  /**
   * Repositories of which every tag is indexed, in addition to the filters. They must be in the account and region of the stack.
   *
   * @default - only the images that match `filters`
   */
  readonly repositories?: IRepository[];

  /**
   * The version of the index.
   *
   * @default SociIndexVersion.V2
   */
  readonly version?: SociIndexVersion;

  /**
   * What is appended to the tag of a pushed image for the tag of the indexed image. Cannot be combined with version 1, which has
   * no tag.
   *
   * @default '-soci'
   */
  readonly outputSuffix?: string;

  /**
   * The platforms to index. An image that does not have one of them fails.
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
   * Paths in the images that their containers need at startup. Readers that support this list fetch them first.
   *
   * @default - no files are prefetched
   */
  readonly prefetchFiles?: string[];

  /**
   * What to do with an image of which every layer is smaller than `minLayerSize`: put the output tag on the image as it is, or
   * fail, so that the image ends in the queue.
   *
   * @default WhenNotIndexed.USE_ORIGINAL
   */
  readonly whenTooSmall?: WhenNotIndexed;

  /**
   * What to do with an image of which no layer can be indexed, for example because all use zstd compression: put the output tag
   * on the image as it is, or fail, so that the image ends in the queue.
   *
   * @default - the image gets no output tag and is recorded as unsupported, without a failure
   */
  readonly whenUnsupported?: WhenNotIndexed;

  /**
   * The memory of the function in MB, from 512 to 10,240. Lambda allocates CPU in proportion to it, one vCPU per 1,769 MB. Some
   * accounts allow at most 3,008 MB.
   *
   * @default 2048
   */
  readonly memorySize?: number;

  /**
   * How long indexing one image may take, in whole minutes from 1 to 14. In 14 minutes it indexes about 58 GB, assuming 70 MB/s
   * for Lambda's network.
   *
   * @default Duration.minutes(14)
   */
  readonly timeout?: Duration;

  /**
   * The VPC in which the function runs.
   *
   * @default - no VPC
   */
  readonly vpc?: IVpc;

  /**
   * The subnets in which the function runs. They must be private, with a NAT gateway or with VPC endpoints for `ecr.api`,
   * `ecr.dkr`, `lambda` and `s3`.
   *
   * @default - the private subnets of the VPC, or its isolated ones if it has no others
   */
  readonly subnetSelection?: SubnetSelection;

  /**
   * The security groups of the function. It needs only outbound HTTPS.
   *
   * @default - a new security group that allows all outbound and no inbound traffic
   */
  readonly securityGroups?: ISecurityGroup[];

  /**
   * The KMS key of the queue and of the new log group. A key that is defined in this app gets the policy statements that let
   * CloudWatch Logs and EventBridge use it; any other key must already have them. It does not apply to `logGroup`.
   *
   * @default - keys of AWS
   */
  readonly encryptionKey?: IKey;

  /**
   * The role of the function, which must trust `lambda.amazonaws.com`. It is granted the permissions that the function needs; an
   * immutable role (`withoutPolicyUpdates`) must already have them.
   *
   * @default - a new role with only these permissions
   */
  readonly role?: IRole;

  /**
   * The log group of the function: one line of JSON for each image, from which CloudWatch makes the metrics.
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
   * How many images are indexed at the same time. Lambda reserves this part of the account's concurrency for the function, so
   * that a burst of pushes takes nothing from other functions, nor they from it. Lambda keeps at least 100 unreserved, and
   * rejects a reservation in an account that has no more.
   *
   * @default - not limited: the function shares the account's concurrency
   */
  readonly maxConcurrency?: number;

  /**
   * How often Lambda repeats an invocation that failed, from 0 to 2.
   *
   * @default 2
   */
  readonly retryAttempts?: number;

  /**
   * How long an event may wait, from 60 seconds to 6 hours. Events wait while the function is throttled, for example by
   * `maxConcurrency`. One that waited longer ends in the queue.
   *
   * @default Duration.hours(6)
   */
  readonly maxEventAge?: Duration;

  /**
   * The topic to which the alarm sends a message when an image could not be indexed.
   *
   * @default - the alarm has no action
   */
  readonly alarmTopic?: ITopic;

  /**
   * Whether to create a CloudWatch dashboard: images by outcome and repository, bytes and seconds, and what failed.
   *
   * @default false
   */
  readonly dashboard?: boolean;
}
