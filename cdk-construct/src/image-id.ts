// Which image is which in a stack. In: where an image comes from. Out: the id of its index, which stays where only the content
// changes, and is the same on every machine and in every stage.

import { Stack, Token } from 'aws-cdk-lib';
import { IRepository } from 'aws-cdk-lib/aws-ecr';
import { DockerImageAssetOptions } from 'aws-cdk-lib/aws-ecr-assets';
import { defaultOutputTag } from './output-tag';
import { plain } from './plain';
import { shortHash } from './short-hash';
import { SociIndexV2BuildOptions } from './soci-index-v2-build';
import { pathFrom } from './stable-text';

/** Part of the logical ids of deployed stacks: never changes. */
const ID = 'SociImage';

/** So much of a name stands in an id. */
const NAME_IN_ID = 32;

/**
 * Where an image comes from: the same when its content changes, so that the index is updated and not replaced. An update
 * reuses what the index before knows of layers that are still there.
 */
export interface Source {
  /** For readers. */
  readonly name: string;
  /** Another for each source of a stack. The same on every machine and in every stage. */
  readonly key: unknown[];
}

/**
 * What only says where to build or what to delete stays out: it then changes the index in its place. A new index beside
 * the old one would lose its image with it.
 */
export function idOf(stack: Stack, source: Source, options: SociIndexV2BuildOptions): string {
  const kind = options.outputImageTag ?? defaultOutputTag(stack, { tag: '' }, options);
  const hash = shortHash(stack.resolve(plain([source.key, kind])));
  return [ID, source.name.slice(0, NAME_IN_ID), hash].filter((part) => part !== '').join('-');
}

/** The environment stays out where it is that of the stack. */
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
 * The options that make another image: a cache does not. Build arguments tell images of one directory apart, unless a name
 * does: then they may change with each build.
 */
export function whatIsBuilt(options: DockerImageAssetOptions): unknown {
  const others = ['cacheDisabled', 'cacheFrom', 'cacheTo', 'displayName', 'invalidation'];
  const isNamed = 'assetName' in options && options.assetName !== undefined;
  const entries = Object.entries(options).filter(
    ([name, value]) => value !== undefined && !others.includes(name) && !(isNamed && name === 'buildArgs'),
  );
  return plain(Object.fromEntries(entries.sort(([one], [other]) => (one < other ? -1 : 1))));
}
