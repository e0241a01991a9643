// The output tags that a stack's indexes are under. In: each index, as it is made. Out: an error where two put different images
// under one tag, or where the end of one would delete the image of the other.

import { RemovalPolicy, Stack } from 'aws-cdk-lib';
import { Construct } from 'constructs';
import { References, textOf } from './references';
import { quoted } from './validate';

export interface TaggedIndex {
  /** The address of the indexed image, by its tag. */
  readonly imageUri: string;
  /** All that makes another image: its JSON is compared. */
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
  const both = `${quoted(other.path)} and ${quoted(own.path)} are both under ${quoted(address)}`;
  if (other.content !== own.content) {
    throw new Error(`'outputImageTag' must be another one for each image of a stack: ${both}`);
  }
  if ([other, own].some(({ removalPolicy }) => removalPolicy === RemovalPolicy.DESTROY)) {
    throw new Error(
      `'removalPolicy' must not be DESTROY for two indexes under one tag, as the end of one deletes the image of the other: ` +
        `${both}; use one index, or give each its own 'outputImageTag'`,
    );
  }
}
