// The settings of an index in a comparable form, to compare two uses of one image. In: properties of a version 2 index.
// Out: plain values, completed with the defaults.

import { RemovalPolicy, Stack } from 'aws-cdk-lib';
import { ComputeType } from 'aws-cdk-lib/aws-codebuild';
import { Platform } from 'aws-cdk-lib/aws-ecr-assets';
import { RetentionDays } from 'aws-cdk-lib/aws-logs';
import { SociBuilder, WhenNotIndexed } from './build-options';
import { defaultsOf } from './defaults-of';
import { placeOf } from './image-id';
import { DEFAULT_MIN_LAYER_SIZE, DEFAULT_SPAN_SIZE } from './output-tag';
import { plain } from './plain';
import { SociIndexV2BuildOptions, SociIndexV2BuildProps } from './soci-index-v2-build';
import { DEFAULT_FUNCTION_TIMEOUT, DEFAULT_MEMORY_SIZE } from './validate-function';
import { DEFAULT_QUEUED_TIMEOUT, DEFAULT_TIMEOUT } from './validate-project';

export type Settings = Record<string, unknown>;

/** The settings as comparable plain values, completed with the defaults. */
export function settingsOf(stack: Stack, image: SociIndexV2BuildProps): Settings {
  const given = Object.fromEntries(Object.entries(image).filter(([, value]) => value !== undefined));
  const builder = image.builder ?? defaultsOf(stack).builder ?? SociBuilder.CODE_BUILD;
  const settings = { ...DEFAULTS, builder, ...DEFAULTS_OF[builder], ...given, platforms: namesOf(image.platforms) };
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
  logRetention: RetentionDays.ONE_MONTH,
};

const DEFAULTS_OF: Record<SociBuilder, SociIndexV2BuildOptions> = {
  [SociBuilder.CODE_BUILD]: {
    computeType: ComputeType.SMALL,
    timeout: DEFAULT_TIMEOUT,
    queuedTimeout: DEFAULT_QUEUED_TIMEOUT,
  },
  [SociBuilder.FUNCTION]: { memorySize: DEFAULT_MEMORY_SIZE, timeout: DEFAULT_FUNCTION_TIMEOUT },
};

/** Order and duplicates do not matter. */
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
