// A value in plain parts, whose JSON can be compared and hashed. In: options as users give them. Out: the
// same without classes; tokens stay, and have to be resolved in their stack.

import { Duration, Size } from 'aws-cdk-lib';
import { IConstruct } from 'constructs';

/** Sizes in bytes, times in minutes, constructs by their path; lists and objects part by part. */
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

// An app can have two copies of aws-cdk-lib, so a class is known by what it has.

function isConstruct(value: object): value is IConstruct {
  return 'node' in value;
}

function isSize(value: object): value is Size {
  return 'toBytes' in value;
}

function isDuration(value: object): value is Duration {
  return 'toMinutes' in value;
}
