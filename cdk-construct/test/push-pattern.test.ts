// The patterns of rules: every event that a filter matches, and as few others as EventBridge can tell.

import { App, Stack } from 'aws-cdk-lib';
import { Repository } from 'aws-cdk-lib/aws-ecr';
import { EventPattern } from 'aws-cdk-lib/aws-events';
import { filterOf } from '../src/push-filters';
import { pushPattern } from '../src/push-pattern';
import { JsonObject, matches, wildcard } from './event-pattern';

const stack = new Stack(new App(), 'Stack');

/** Of `detail`, without what all of them have. */
function patternOf(filters: string[]): JsonObject {
  return selectionOf(pushPattern(stack, filters, '-soci'));
}

function selectionOf({ detail }: EventPattern): JsonObject {
  const { 'action-type': action, result, ...others } = detail as Record<string, unknown>;
  expect({ action, result }).toEqual({ action: ['PUSH', 'REPLICATE'], result: ['SUCCESS'] });
  return others as JsonObject;
}

const ANY_TAG = [{ 'anything-but': { suffix: '-soci' } }];

test.each<[string, string[], JsonObject]>([
  ['everything', ['*'], { 'image-tag': ANY_TAG }],
  ['a repository', ['app'], { 'repository-name': ['app'], 'image-tag': ANY_TAG }],
  ['a prefix', ['team/*'], { 'repository-name': [{ prefix: 'team/' }], 'image-tag': ANY_TAG }],
  ['a suffix', ['*/app:*'], { 'repository-name': [{ suffix: '/app' }], 'image-tag': ANY_TAG }],
  ['the middle', ['team/*/app'], { 'repository-name': [{ wildcard: 'team/*/app' }], 'image-tag': ANY_TAG }],
  ['a tag of all', ['*:latest'], { 'image-tag': ['latest'] }],
  ['several with the same tag', ['a:v*', 'b*:v*'], { 'repository-name': ['a', { prefix: 'b' }], 'image-tag': [{ prefix: 'v' }] }],
  ['several tags of one', ['a:v1', 'a:v2', 'a:v1'], { 'repository-name': ['a'], 'image-tag': ['v1', 'v2'] }],
  ['a tag that all tags cover', ['a:v1', 'a', 'b'], { 'repository-name': ['a', 'b'], 'image-tag': ANY_TAG }],
  [
    'different ones',
    ['team/*:v*', 'app:latest', 'c'],
    {
      $or: [
        { 'repository-name': [{ prefix: 'team/' }], 'image-tag': [{ prefix: 'v' }] },
        { 'repository-name': ['app'], 'image-tag': ['latest'] },
        { 'repository-name': ['c'], 'image-tag': ANY_TAG },
      ],
    },
  ],
  ['one that covers all others', ['team/*:v*', '*', 'app:latest'], { 'image-tag': ANY_TAG }],
])('%s', (_, filters, expected) => {
  expect(patternOf(filters)).toEqual(expected);
});

test('an image without a tag is none for version 1 either, which has no output tags', () => {
  expect(selectionOf(pushPattern(stack, ['app']))).toEqual({ 'repository-name': ['app'], 'image-tag': [{ exists: true }] });
});

describe('what EventBridge would not accept becomes coarser', () => {
  test('wildcards that are too many or too complex, to prefixes and suffixes', () => {
    const some = ['a/*/x', 'b/*/x', 'c/*/x'];
    expect(patternOf(some)['repository-name']).toEqual(some.map((each) => ({ wildcard: each })));
    const many = [...some, 'd/*/x'];
    expect(patternOf(many)['repository-name']).toEqual(many.map((each) => ({ prefix: `${each[0]}/` })));
    expect(patternOf(['a*xxxxxxxxxxxx'])['repository-name']).toEqual([{ prefix: 'a' }]);
    expect(patternOf(['*xxxxxxxxxxxx*y'])['repository-name']).toEqual([{ suffix: 'y' }]);
    // Nothing is left to compare, so every repository counts.
    expect(patternOf(['*xxxxxxxxxxxx*', 'b'])['repository-name']).toEqual([{ exists: true }]);
  });

  test('more than 2,048 characters, to repositories without tags, and then to every push', () => {
    const length = (pattern: unknown): number => JSON.stringify(pattern).length;
    const of = (count: number): string[] => Array.from({ length: count }, (_, at) => `repository-${at}:version-${at}`);
    expect(patternOf(of(20))).toHaveProperty('$or');
    const coarser = patternOf(of(60));
    expect(coarser).toEqual({ 'repository-name': of(60).map((each) => each.split(':')[0]), 'image-tag': ANY_TAG });
    expect(length(pushPattern(stack, of(60), '-soci'))).toBeLessThan(2_048);
    expect(patternOf(of(200))).toEqual({ 'image-tag': ANY_TAG });
  });

  test('names that are known only at deployment count with their longest', () => {
    const names = (count: number): string[] =>
      Array.from({ length: count }, (_, at) => new Repository(stack, `Repository${count}-${at}`).repositoryName);
    expect(patternOf(names(6))['repository-name']).toHaveLength(6);
    expect(patternOf(names(8))).toEqual({ 'image-tag': ANY_TAG });
  });
});

/** Whether the function will index the image. */
function isIndexed(filters: string[], repository: string, tag: string): boolean {
  return (
    !tag.endsWith('-soci') &&
    filters.map(filterOf).some((filter) => wildcard(filter.repository).test(repository) && wildcard(filter.tag).test(tag))
  );
}

test('three hundred sets of filters: no image is missed, and only output tags are too many', () => {
  // A generator of our own, so that a failure comes back.
  let seed = 7;
  const upTo = (bound: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return Math.floor((seed / 2 ** 31) * bound);
  };
  const oneOf = <Of>(choices: readonly Of[]): Of => choices[upTo(choices.length)];
  const textOf = (letters: string[], most: number): string => Array.from({ length: 1 + upTo(most) }, () => oneOf(letters)).join('');
  const patternText = (): string => textOf(['a', 'b', '/', '*'], 4).replace(/\*+/g, '*');

  const wrong: unknown[] = [];
  let indexed = 0;
  for (let round = 0; round < 300; round++) {
    const filters = Array.from({ length: 1 + upTo(3) }, () =>
      upTo(3) === 0 ? patternText() : `${patternText()}:${textOf(['a', 'b', '*'], 3).replace(/\*+/g, '*')}`,
    );
    const pattern = patternOf(filters);
    // Only where wildcards became prefixes and suffixes may other images be selected.
    const isCoarse = filters.some((each) => /[^:*]\*[^:*]|\*[^:*]+\*/.test(each)) && !JSON.stringify(pattern).includes('wildcard');
    for (let image = 0; image < 20; image++) {
      const repository = textOf(['a', 'b', '/'], 4);
      const tag = textOf(['a', 'b'], 3) + oneOf(['', '', '-soci']);
      const isSelected = matches(pattern, { 'repository-name': repository, 'image-tag': tag });
      const mustBe = isIndexed(filters, repository, tag);
      indexed += mustBe ? 1 : 0;
      if (mustBe ? !isSelected : isSelected && !isCoarse && !tag.endsWith('-soci')) {
        wrong.push({ filters, pattern, repository, tag, isSelected });
      }
    }
  }
  expect(wrong).toEqual([]);
  expect(indexed).toBeGreaterThan(600);
});

describe('an event', () => {
  const pattern = ((): JsonObject => {
    const { detailType, ...others } = pushPattern(stack, ['team/*:v*', 'app'], '-soci');
    return { ...others, 'detail-type': detailType } as unknown as JsonObject;
  })();
  // As in ECR's user guide ("Amazon ECR events and EventBridge").
  const push = (detail: JsonObject): JsonObject => ({
    source: 'aws.ecr',
    'detail-type': 'ECR Image Action',
    detail: { result: 'SUCCESS', 'repository-name': 'app', 'image-digest': 'sha256:7f', 'action-type': 'PUSH', 'image-tag': 'v1', ...detail },
  });

  test.each<[string, JsonObject, boolean]>([
    ['of a push', push({}), true],
    ['of another repository', push({ 'repository-name': 'team/x' }), true],
    ['of another tag there', push({ 'repository-name': 'team/x', 'image-tag': 'latest' }), false],
    ['of a repository that no filter has', push({ 'repository-name': 'apps' }), false],
    ['of an output tag', push({ 'image-tag': 'v1-soci' }), false],
    ['that failed', push({ result: 'FAILURE' }), false],
    ['of a deletion', push({ 'action-type': 'DELETE' }), false],
    ['of a scan', { ...push({}), 'detail-type': 'ECR Image Scan' }, false],
    ['of replication', { ...push({ 'action-type': 'REPLICATE' }), 'detail-type': 'ECR Replication Action' }, true],
    ['of another source', { ...push({}), source: 'my.app' }, false],
  ])('%s', (_, event, expected) => {
    expect(matches(pattern, event)).toBe(expected);
  });

  test('without a tag', () => {
    const { detail } = push({});
    const others = Object.entries(detail as JsonObject).filter(([name]) => name !== 'image-tag');
    expect(matches(pattern, { ...push({}), detail: Object.fromEntries(others) })).toBe(false);
  });
});
