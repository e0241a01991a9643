// Converts options to plain values whose JSON can be compared and hashed. In: the user's options. Out: the
// same without classes; tokens are kept and must be resolved in their stack.

import { Duration, Size } from 'aws-cdk-lib';
import { IConstruct } from 'constructs';

/** Sizes in bytes, durations in minutes, constructs by path; lists and objects recursively. */
export function plain(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.map(plain);
  }
  if (typeof value === 'object' && value !== null) {
    if (isConstruct(value)) {
      return value.node.path;
    }
    if (isSize(value)) {
      return value.toBytes();
    }
    if (isDuration(value)) {
      return value.toMinutes();
    }
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, plain(inner)]));
  }
  return value;
}

// An app can have two copies of aws-cdk-lib, so classes are recognized by their members.

function isConstruct(value: object): value is IConstruct {
  return 'node' in value;
}

function isSize(value: object): value is Size {
  return 'toBytes' in value;
}

function isDuration(value: object): value is Duration {
  return 'toMinutes' in value;
}
