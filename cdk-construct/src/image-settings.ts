// What is asked of an index, in a form in which two uses of one image can be compared. In: properties of a version 2 index.
// Out: plain values, with the defaults where nothing is given.

import { RemovalPolicy, Stack } from 'aws-cdk-lib';
import { ComputeType } from 'aws-cdk-lib/aws-codebuild';
import { Platform } from 'aws-cdk-lib/aws-ecr-assets';
import { RetentionDays } from 'aws-cdk-lib/aws-logs';
import { WhenNotIndexed } from './build-options';
import { placeOf } from './image-id';
import { DEFAULT_MIN_LAYER_SIZE, DEFAULT_SPAN_SIZE } from './output-tag';
import { plain } from './plain';
import { SociIndexV2BuildOptions, SociIndexV2BuildProps } from './soci-index-v2-build';
import { DEFAULT_QUEUED_TIMEOUT, DEFAULT_TIMEOUT } from './validate-build';

export type Settings = Record<string, unknown>;

/** What is asked for, in plain values that can be compared, with the defaults where nothing is given. */
export function settingsOf(stack: Stack, image: SociIndexV2BuildProps): Settings {
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

export function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** A setting in a message. */
export function shown(value: unknown): string {
  return value === undefined ? 'nothing' : JSON.stringify(value);
}
