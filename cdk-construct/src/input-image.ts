// The image to index, by tag or digest. In: the user's properties. Out: exactly one of the two.

import { checkDigest, checkTag, quoted } from './validate';

/** The prefix of every digest; no tag can contain it. */
const DIGEST = 'sha256:';

export type InputImage =
  | { readonly tag: string; readonly digest?: undefined }
  | { readonly tag?: undefined; readonly digest: string };

/** From two properties with these names. */
export function inputImageOf(properties: [string, string], tag?: string, digest?: string): InputImage {
  const [tagProperty, digestProperty] = properties;
  if (tag !== undefined && digest !== undefined) {
    throw new Error(
      `'${tagProperty}' and '${digestProperty}' cannot be combined, got ${quoted(tag)} and ${quoted(digest)}`,
    );
  }
  if (tag !== undefined) {
    return { tag };
  }
  if (digest !== undefined) {
    return { digest };
  }
  throw new Error(`'${tagProperty}' or '${digestProperty}' is required: it selects the image to index`);
}

/** From a property that accepts both. */
export function tagOrDigestOf(text: string): InputImage {
  return text.startsWith(DIGEST) ? { digest: text } : { tag: text };
}

/** Validates the tag or digest; the names are for error messages. */
export function checkInputImage([tagProperty, digestProperty]: [string, string], { tag, digest }: InputImage): void {
  if (digest === undefined) {
    checkTag(tagProperty, tag);
  } else {
    checkDigest(digestProperty, digest);
  }
}

/** A name that is valid in a tag. */
export function nameOf({ tag, digest }: InputImage): string {
  return tag ?? digest.slice(DIGEST.length);
}
