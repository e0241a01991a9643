// Eight characters that stand for a value, in ids and tags. The same value gives the same ones in every release.

import { createHash } from 'crypto';

/** The value's JSON is what counts: tokens must have been resolved, and keys come in the order they were written. */
export function shortHash(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 8);
}
