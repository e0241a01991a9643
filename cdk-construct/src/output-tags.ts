// The output tags of a stack's indexes. In: each index when it is created. Out: an error if two indexes use one tag for different
// images, or if deleting one would delete the image of the other.

import { RemovalPolicy, Stack } from 'aws-cdk-lib';
import { Construct } from 'constructs';
import { References, textOf } from './references';
import { quoted } from './validate';

export interface TaggedIndex {
  /** The address of the indexed image, by its tag. */
  readonly imageUri: string;
  /** All that determines the image; its JSON is compared. */
  readonly content: unknown;
  readonly removalPolicy?: RemovalPolicy;
}

interface Owner extends TaggedIndex {
  readonly path: string;
}

const stacks = new WeakMap<Stack, Map<string, Owner>>();

export function takeOutputTag(index: Construct, request: TaggedIndex): void {
  const stack = Stack.of(index);
  const owners = stacks.get(stack) ?? new Map<string, Owner>();
  stacks.set(stack, owners);
  const address = textOf(new References().resolve(index, request.imageUri));
  const own = { ...request, content: JSON.stringify(stack.resolve(request.content)), path: index.node.path };
  const other = owners.get(address);
  owners.set(address, own);
  if (other !== undefined) {
    checkBoth(address, other, own);
  }
}

function checkBoth(address: string, other: Owner, own: Owner): void {
  const both = `${quoted(other.path)} and ${quoted(own.path)} both use ${quoted(address)}`;
  if (other.content !== own.content) {
    throw new Error(`'outputImageTag' must be unique per image in a stack: ${both}`);
  }
  if ([other, own].some(({ removalPolicy }) => removalPolicy === RemovalPolicy.DESTROY)) {
    throw new Error(
      `'removalPolicy' must not be DESTROY for two indexes with the same tag, because deleting one would delete the other's image: ` +
        `${both}; use one index, or set a different 'outputImageTag' for each`,
    );
  }
}
