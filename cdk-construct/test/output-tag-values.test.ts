// The default output tag, against values that the builder is tested with too: `soci-docker` puts the same tags.

import { readFileSync } from 'fs';
import { join } from 'path';
import { Size } from 'aws-cdk-lib';
import { Platform } from 'aws-cdk-lib/aws-ecr-assets';
import { SociIndexV2Build } from '../src';
import { repositoryIn, requestOf, templateOf } from './template';

interface Value {
  readonly tag?: string;
  readonly digest?: string;
  readonly minLayerSize?: number;
  readonly spanSize?: number;
  readonly platforms?: string[];
  readonly prefetchFiles?: string[];
  readonly output: string;
}

const values = JSON.parse(readFileSync(join(__dirname, 'output-tags.json'), 'utf8')) as Value[];

test.each(values)('is $output', ({ tag, digest, minLayerSize, spanSize, platforms, prefetchFiles, output }) => {
  const template = templateOf((stack) => {
    new SociIndexV2Build(stack, 'Index', {
      repository: repositoryIn(stack),
      ...(tag !== undefined && { inputImageTag: tag }),
      ...(digest !== undefined && { inputImageDigest: digest }),
      ...(minLayerSize !== undefined && { minLayerSize: Size.bytes(minLayerSize) }),
      ...(spanSize !== undefined && { spanSize: Size.bytes(spanSize) }),
      platforms: platforms?.map((platform) => Platform.custom(platform)),
      prefetchFiles,
    });
  });
  expect(requestOf(template)['OutputImageTag']).toBe(output);
});
