// An eight-character hash of a value, for ids and tags. It must not change between releases.

import { createHash } from 'crypto';

/** Hashes the value's JSON: tokens must be resolved, and the order of keys matters. */
export function shortHash(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 8);
}
