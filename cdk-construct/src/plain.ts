// A value in plain parts, whose JSON can be compared and hashed. In: options as users give them. Out: the
// same without classes; tokens stay, and have to be resolved in their stack.

import { Duration, Size } from 'aws-cdk-lib';
import { Construct } from 'constructs';

/** Sizes in bytes, times in minutes, constructs by their path; lists and objects part by part. */
export function plain(value: unknown): unknown {
  if (value instanceof Size) {
    return value.toBytes();
  }
  if (value instanceof Duration) {
    return value.toMinutes();
  }
  if (Array.isArray(value)) {
    return value.map(plain);
  }
  if (value instanceof Construct) {
    return value.node.path;
  }
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, plain(inner)]));
  }
  return value;
}
