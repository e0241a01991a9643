// Validates properties before anything is defined. In: values by property name. Out: nothing, or an error that
// quotes the value and says what is expected. Tokens are accepted. Defines no construct.

import { Duration, RemovalPolicy, Size, Token } from 'aws-cdk-lib';
import { SociIndexOptions } from './build-options';
import { IndexContent } from './index-properties';

/** The maximum length of a tag. */
export const TAG_MAX = 128;

/**
 * What fits into the environment variables of a build: eight of 4,096 characters (see the provider), minus the space for the
 * image, the tags, the platforms and the other arguments.
 */
const PREFETCH_FILES_MAX = 28_000;

/** What precedes each path. */
const OPTION = ',--prefetch-file=';

const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]*$/;
const DIGEST = /^sha256:[0-9a-f]{64}$/;
const PLATFORM = /^[^/\s]+\/[^/\s]+(\/[^/\s]+)?$/;

/** A tag of an image. */
export function checkTag(property: string, tag: string): void {
  if (Token.isUnresolved(tag)) {
    return;
  }
  if (!TAG.test(tag)) {
    throw new Error(
      `'${property}' must contain only letters, digits, '_', '.' and '-', and must not start with '.' or '-', got ${quoted(tag)}`,
    );
  }
  if (tag.length > TAG_MAX) {
    throw new Error(`'${property}' must have at most ${TAG_MAX} characters, got ${tag.length}: ${quoted(tag)}`);
  }
}

/** A digest of an image. */
export function checkDigest(property: string, digest: string): void {
  if (!Token.isUnresolved(digest) && !DIGEST.test(digest)) {
    throw new Error(`'${property}' must be 'sha256:' followed by 64 lowercase hex digits, got ${quoted(digest)}`);
  }
}

/** Validates the options that the constructs of a deployment share and that define the index. */
export function checkOptions(options: SociIndexOptions): void {
  checkContent(options);
  checkPrefetchSize(options.prefetchFiles);
  checkRemovalPolicy(options.removalPolicy);
  checkWaiting(options);
}

/** Validates what defines an index, wherever it is built. */
export function checkContent(options: IndexContent): void {
  checkPlatforms(options);
  checkSize('minLayerSize', 0, options.minLayerSize);
  checkSize('spanSize', 1, options.spanSize);
  checkPrefetchFiles(options.prefetchFiles);
}

function checkPlatforms({ platforms }: IndexContent): void {
  if (platforms === undefined) {
    return;
  }
  if (platforms.length === 0) {
    throw new Error("'platforms' is empty: omit it to index all platforms of the image");
  }
  for (const { platform } of platforms) {
    if (Token.isUnresolved(platform)) {
      continue;
    }
    if (!PLATFORM.test(platform)) {
      throw new Error(`'platforms' must be like 'linux/amd64' or 'linux/arm/v7', got ${quoted(platform)}`);
    }
    if (platform.startsWith('windows/')) {
      throw new Error(`'platforms' must not contain Windows platforms: SOCI supports only Linux images, got ${quoted(platform)}`);
    }
  }
}

function checkSize(property: string, least: number, size?: Size): void {
  if (size === undefined || size.isUnresolved()) {
    return;
  }
  const bytes = size.toBytes();
  if (bytes < least || !Number.isSafeInteger(bytes)) {
    throw new Error(`'${property}' must be between ${least} and ${Number.MAX_SAFE_INTEGER} bytes, got ${bytes}`);
  }
}

function checkPrefetchFiles(paths: string[] = []): void {
  for (const path of paths) {
    if (Token.isUnresolved(path)) {
      continue;
    }
    if (path === '' || /[\r\n]/.test(path)) {
      throw new Error(`'prefetchFiles' must contain non-empty, single-line paths, got ${quoted(path)}`);
    }
  }
}

function checkPrefetchSize(paths: string[] = []): void {
  const length = paths.map(encodedLength).reduce((sum, one) => sum + one, 0);
  if (length > PREFETCH_FILES_MAX) {
    throw new Error(
      `'prefetchFiles' must have at most ${PREFETCH_FILES_MAX} characters in total, as CodeBuild receives them (${OPTION.length} more per ` +
        `path, special characters encoded), got ${length} in ${paths.length} paths: use fewer or shorter paths`,
    );
  }
}

/** The length after the provider's percent-encoding, which takes three characters per byte for all other characters. */
function encodedLength(path: string): number {
  const plain = Token.isUnresolved(path) ? '' : path.replace(/[^A-Za-z0-9._/:@=-]/gu, (other) => '%00'.repeat(Buffer.byteLength(other)));
  return OPTION.length + plain.length;
}

function checkRemovalPolicy(policy?: RemovalPolicy): void {
  if (policy !== undefined && policy !== RemovalPolicy.DESTROY && policy !== RemovalPolicy.RETAIN) {
    throw new Error(`'removalPolicy' must be DESTROY or RETAIN, got ${quoted(policy)}`);
  }
}

function checkWaiting({ waitForIndex, removalPolicy }: SociIndexOptions): void {
  if (waitForIndex === false && removalPolicy === RemovalPolicy.DESTROY) {
    throw new Error(
      `'waitForIndex' cannot be false with the removal policy DESTROY, got false and ${quoted(removalPolicy)}: the resource completes ` +
        `before it knows what the build creates, so it could not delete it. Wait for the index, or retain it`,
    );
  }
}

/** As JSON, so that quotes and control characters in the value are visible. */
export function quoted(value: string): string {
  return JSON.stringify(value);
}

/** A value of an option, as an error shows it. */
export function shown(value: string | number | Duration): string {
  if (typeof value === 'object') {
    return value.isUnresolved() ? 'a token' : `${value.toMinutes({ integral: false })} minutes`;
  }
  if (Token.isUnresolved(value)) {
    return 'a token';
  }
  return typeof value === 'string' ? quoted(value) : String(value);
}
