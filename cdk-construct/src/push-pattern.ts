// The event pattern of a rule that selects pushes. In: filters. Out: a pattern that matches every event that a filter matches, and
// as few others as EventBridge can tell; the function passes over those.
//
// What EventBridge cannot tell:
// - A field has one list of conditions, any of which suffices. Of two lists for one field, in `$or` and beside it, the last one counts
//   (event-ruler, JsonRuleCompiler): "begins with v and does not end in -soci" has no pattern. So a filter with a wildcard at the end
//   of its tag also selects the output tags.
// - A pattern has at most 2,048 characters (the default of that quota), and its wildcards a limited complexity. The limit of 1,000 branches
//   is beyond that.

import { Stack } from 'aws-cdk-lib';
import { EventPattern } from 'aws-cdk-lib/aws-events';
import { charactersOf } from './policy-size';
import { ANYTHING, filterOf, PushFilter } from './push-filters';

/** "Event pattern size" (EventBridge's user guide, "Quotas"). */
export const PATTERN_CHARACTERS_MAX = 2_048;

/**
 * EventBridge rejects patterns whose wildcards are too complex: users report more than ten prefixes that may match at the same time
 * (event-ruler, MachineComplexityEvaluator).
 */
const WILDCARD_COMPLEXITY_MAX = 10;

type Condition = string | Record<string, unknown>;

/** Repositories with the same tags. */
interface Group {
  readonly repositories: string[];
  readonly tags: string[];
}

/** Pushes, and images that replication brings. */
const EVENT = {
  source: ['aws.ecr'],
  detailType: ['ECR Image Action', 'ECR Replication Action'],
};
const DETAIL = { 'action-type': ['PUSH', 'REPLICATE'], result: ['SUCCESS'] };

/** The most precise pattern that EventBridge accepts. Without an output suffix, as for version 1, all tags count. */
export function pushPattern(stack: Stack, filters: string[], outputSuffix?: string): EventPattern {
  const all = filters.map(filterOf);
  const withoutTags = all.map(({ repository }) => ({ repository, tag: ANYTHING }));
  const candidates = [
    ...(complexityOf(all) <= WILDCARD_COMPLEXITY_MAX ? [patternOf(all, outputSuffix, true)] : []),
    patternOf(all, outputSuffix, false),
    patternOf(withoutTags, outputSuffix, false),
  ];
  const fits = ({ detailType, ...others }: EventPattern): boolean =>
    charactersOf(stack, stack.resolve({ ...others, 'detail-type': detailType })) <= PATTERN_CHARACTERS_MAX;
  return candidates.find(fits) ?? everyPush(outputSuffix);
}

/** Selects every push of a tag. */
export function everyPush(outputSuffix?: string): EventPattern {
  return patternOf([{ repository: ANYTHING, tag: ANYTHING }], outputSuffix, false);
}

function patternOf(filters: PushFilter[], outputSuffix: string | undefined, useWildcards: boolean): EventPattern {
  const branches = groupsOf(filters).map(({ repositories, tags }) => ({
    ...(repositories.includes(ANYTHING)
      ? {}
      : { 'repository-name': conditions(repositories, useWildcards, { exists: true }) }),
    'image-tag': conditions(tags, useWildcards, anyTag(outputSuffix)),
  }));
  return { ...EVENT, detail: { ...DETAIL, ...(branches.length === 1 ? branches[0] : { $or: branches }) } };
}

/** An image that is pushed by its digest has no tag. */
function anyTag(outputSuffix?: string): Condition {
  return outputSuffix === undefined ? { exists: true } : { 'anything-but': { suffix: outputSuffix } };
}

/** In the order of the filters, so that the same filters give the same pattern. */
function groupsOf(filters: PushFilter[]): Group[] {
  const tagsOf = new Map<string, Set<string>>();
  for (const { repository, tag } of filters) {
    tagsOf.set(repository, (tagsOf.get(repository) ?? new Set()).add(tag));
  }
  const groups = new Map<string, Group>();
  for (const [repository, tags] of tagsOf) {
    const sorted = tags.has(ANYTHING) ? [ANYTHING] : [...tags].sort();
    const key = sorted.join();
    const group = groups.get(key) ?? { repositories: [], tags: sorted };
    group.repositories.push(repository);
    groups.set(key, group);
  }
  const everything = groups.get(ANYTHING);
  return everything?.repositories.includes(ANYTHING) === true ? [everything] : [...groups.values()];
}

/** One list of conditions; that for anything stands alone. */
function conditions(parts: string[], useWildcards: boolean, anything: Condition): Condition[] {
  const all = parts.map((part) => conditionOf(part, useWildcards));
  return all.includes(undefined) ? [anything] : (all as Condition[]);
}

/** The condition for a part of a filter; nothing for one that has to match anything. */
function conditionOf(part: string, useWildcards: boolean): Condition | undefined {
  const [head, ...others] = part.split('*');
  const tail = others.pop();
  if (tail === undefined) {
    return head;
  }
  if (head !== '' && tail === '' && others.length === 0) {
    return { prefix: head };
  }
  if (head === '' && others.length === 0) {
    return tail === '' ? undefined : { suffix: tail };
  }
  if (useWildcards) {
    return { wildcard: part };
  }
  if (head !== '') {
    return { prefix: head };
  }
  return tail === '' ? undefined : { suffix: tail };
}

/** An upper bound for the complexity of all wildcards of a rule, as event-ruler counts it. */
function complexityOf(filters: PushFilter[]): number {
  const parts = new Set(filters.flatMap(({ repository, tag }) => [repository, tag]));
  return [...parts].map(wildcardComplexity).reduce((sum, one) => sum + one, 0);
}

/** Each `*` counts, and of the text between two as many prefixes as can end in the same character. */
function wildcardComplexity(part: string): number {
  const condition = conditionOf(part, true);
  if (typeof condition !== 'object' || !('wildcard' in condition)) {
    return 0;
  }
  const pieces = part.split('*');
  const most = (piece: string): number => Math.max(1, ...Array.from(piece, (one) => piece.split(one).length - 1));
  return pieces.length - 1 + pieces.map(most).reduce((sum, one) => sum + one, 0);
}
