// The identity of an image in a stack. In: where an image comes from. Out: the id of its index, which does not change with the
// content and is the same on every machine and in every stage.

import { Stack, Token } from 'aws-cdk-lib';
import { IRepository } from 'aws-cdk-lib/aws-ecr';
import { DockerImageAssetOptions } from 'aws-cdk-lib/aws-ecr-assets';
import { defaultOutputTag } from './output-tag';
import { plain } from './plain';
import { shortHash } from './short-hash';
import { SociIndexV2BuildOptions } from './soci-index-v2-build';
import { pathFrom } from './stable-text';

/** Part of the logical ids of deployed stacks; must not change. */
const ID = 'SociImage';

/** The maximum length of the name in an id. */
const NAME_IN_ID = 32;

/**
 * Where an image comes from. It does not change with the content, so that the index is updated and not replaced. An update
 * reuses unchanged layers of the previous index.
 */
export interface Source {
  /** A readable name. */
  readonly name: string;
  /** Unique per source in a stack. The same on every machine and in every stage. */
  readonly key: unknown[];
}

/**
 * Options about where to build or what to delete are not part of the id, so that changing them updates the index in place. A
 * replacement would lose its image when the old index is deleted.
 */
export function idOf(stack: Stack, source: Source, options: SociIndexV2BuildOptions): string {
  const kind = options.outputImageTag ?? defaultOutputTag(stack, { tag: '' }, options);
  const hash = shortHash(stack.resolve(plain([source.key, kind])));
  return [ID, source.name.slice(0, NAME_IN_ID), hash].filter((part) => part !== '').join('-');
}

/** Omits the environment if it is that of the stack. */
export function placeOf(stack: Stack, { repositoryName, stack: owner, env }: IRepository): unknown[] {
  const elsewhere = (place: string, own: string): string => (place === own || Token.isUnresolved(place) ? '' : place);
  return [
    pathFrom(stack, owner),
    owner.resolve(repositoryName),
    elsewhere(env.account, stack.account),
    elsewhere(env.region, stack.region),
  ];
}

/**
 * The options that determine the image, without caches. Build arguments distinguish images of one directory, unless a name
 * does; then they may change with each build.
 */
export function whatIsBuilt(options: DockerImageAssetOptions): unknown {
  const others = ['cacheDisabled', 'cacheFrom', 'cacheTo', 'displayName', 'invalidation'];
  const isNamed = 'assetName' in options && options.assetName !== undefined;
  const entries = Object.entries(options).filter(
    ([name, value]) => value !== undefined && !others.includes(name) && !(isNamed && name === 'buildArgs'),
  );
  return plain(Object.fromEntries(entries.sort(([one], [other]) => (one < other ? -1 : 1))));
}
