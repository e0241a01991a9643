// What defines an index, in the names and texts that the provider's program reads. In: validated options. Out: properties; those that
// are not set are undefined.

import { Size, Tokenization } from 'aws-cdk-lib';
import { SociIndexOptions } from './build-options';

export type IndexContent = Pick<
  SociIndexOptions,
  'platforms' | 'minLayerSize' | 'spanSize' | 'prefetchFiles' | 'whenTooSmall' | 'whenUnsupported'
>;

export function indexProperties(options: IndexContent): Record<string, unknown> {
  return {
    Platforms: options.platforms?.map(({ platform }) => platform),
    MinLayerSize: bytesOf(options.minLayerSize),
    SpanSize: bytesOf(options.spanSize),
    PrefetchFiles: options.prefetchFiles?.length ? options.prefetchFiles : undefined,
    WhenTooSmall: options.whenTooSmall,
    WhenUnsupported: options.whenUnsupported,
  };
}

function bytesOf(size?: Size): string | undefined {
  return size && Tokenization.stringifyNumber(size.toBytes());
}
