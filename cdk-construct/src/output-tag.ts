// The default tag of an indexed image. In: the input image and the options. Out: a tag that is unique per
// set of options, so that two indexes of one image do not use the same tag.

import { Size, Stack, Token } from 'aws-cdk-lib';
import { Construct } from 'constructs';
import { SociIndexOptions } from './build-options';
import { InputImage, nameOf } from './input-image';
import { checkValues } from './lookups';
import { shortHash } from './short-hash';
import { TAG_MAX } from './validate';

export const DEFAULT_MIN_LAYER_SIZE = Size.mebibytes(10);
export const DEFAULT_SPAN_SIZE = Size.mebibytes(4);

/**
 * `<input tag>-soci`, or `<digits of the digest>-soci`, followed by a hash of the options that change the index, if they are not
 * the defaults.
 */
export function defaultOutputTag(scope: Construct, input: InputImage, options: SociIndexOptions): string {
  if (Token.isUnresolved(input.digest)) {
    throw new Error(
      "'outputImageTag' is required if the input digest is known only at deployment, because its default is derived from the digest",
    );
  }
  const tag = [nameOf(input), 'soci', ...hashOf(scope, options)].join('-');
  checkValues(scope, () => {
    checkLength(tag);
  });
  return tag;
}

function checkLength(tag: string): void {
  if (!Token.isUnresolved(tag) && tag.length > TAG_MAX) {
    throw new Error(
      `the default of 'outputImageTag' would have ${tag.length} characters, more than the limit of ${TAG_MAX}: ` +
        `set a shorter one, got "${tag}"`,
    );
  }
}

function hashOf(scope: Construct, options: SociIndexOptions): string[] {
  // Order and duplicates of platforms do not matter.
  const platforms = options.platforms && [...new Set(options.platforms.map(({ platform }) => platform))].sort();
  const settings = {
    minLayerSize: unlessDefault(options.minLayerSize, DEFAULT_MIN_LAYER_SIZE),
    platforms,
    prefetchFiles: options.prefetchFiles?.length ? options.prefetchFiles : undefined,
    spanSize: unlessDefault(options.spanSize, DEFAULT_SPAN_SIZE),
  };
  // Resolve tokens, because their representation in memory differs between runs.
  const resolved = Stack.of(scope).resolve(settings) as object;
  return Object.keys(resolved).length === 0 ? [] : [shortHash(resolved)];
}

function unlessDefault(size: Size | undefined, usual: Size): number | undefined {
  const bytes = size?.toBytes();
  return bytes === usual.toBytes() ? undefined : bytes;
}
