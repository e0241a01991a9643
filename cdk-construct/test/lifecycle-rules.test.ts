// The lifecycle policy that the README recommends, on a repository as releases leave it: what is in use stays, and nothing else
// for long. ECR's rules as its user guide has them ("Automate the cleanup of images by using lifecycle policies").

import { readFileSync } from 'fs';
import { join } from 'path';

interface Rule {
  readonly rulePriority: number;
  readonly selection: {
    readonly tagStatus: 'tagged' | 'untagged';
    readonly tagPatternList?: string[];
    readonly countType: 'imageCountMoreThan' | 'sinceImagePushed';
    readonly countNumber: number;
  };
}

interface Image {
  readonly name: string;
  readonly tags: string[];
  readonly age: number;
  /** What an image index names. */
  readonly parts?: string[];
}

const readme = readFileSync(join(__dirname, '..', 'README.md'), 'utf8');
const { rules } = JSON.parse(/```json\n(\{\n {2}"rules".*?)```/s.exec(readme)?.[1] ?? '') as { rules: Rule[] };

function matches({ selection }: Rule, { tags }: Image): boolean {
  if (selection.tagStatus === 'untagged') {
    return tags.length === 0;
  }
  // All patterns of a list must match.
  const patterns = (selection.tagPatternList ?? []).map((text) => new RegExp(`^${text.replaceAll('*', '.*')}$`));
  return patterns.every((pattern) => tags.some((tag) => pattern.test(tag)));
}

/** What is left after one evaluation. */
function left(images: Image[]): Image[] {
  const named = new Set(images.flatMap(({ parts = [] }) => parts));
  const taken = new Set<Image>();
  const expired = new Set<Image>();
  for (const rule of [...rules].sort((one, other) => one.rulePriority - other.rulePriority)) {
    const chosen = images.filter((image) => !taken.has(image) && matches(rule, image)).sort((one, other) => one.age - other.age);
    chosen.forEach((image) => taken.add(image));
    const { countType, countNumber } = rule.selection;
    const old = countType === 'imageCountMoreThan' ? chosen.slice(countNumber) : chosen.filter(({ age }) => age > countNumber);
    old.filter(({ name }) => !named.has(name)).forEach((image) => expired.add(image));
  }
  return images.filter((image) => !expired.has(image));
}

/** An original, and its indexed image with a manifest and a SOCI index. */
function release(at: number, age: number, tags = [`v${at}`, `v${at}-soci`]): Image[] {
  return [
    { name: `original ${at}`, tags: [tags[0]].filter((tag) => tag !== ''), age },
    { name: `indexed ${at}`, tags: [tags[1]].filter((tag) => tag !== ''), age, parts: [`manifest ${at}`, `index ${at}`] },
    { name: `manifest ${at}`, tags: [], age },
    { name: `index ${at}`, tags: [], age },
  ];
}

const names = (images: Image[]): string[] => images.map(({ name }) => name);

test('the last 20 releases stay whole, however old', () => {
  const images = Array.from({ length: 20 }, (_, at) => release(at, 100 * (at + 1))).flat();
  expect(left(images)).toEqual(images);
});

test('an older indexed image goes, then what it has left; the original is not touched', () => {
  const images = Array.from({ length: 21 }, (_, at) => release(at, 10 * (at + 1))).flat();
  const first = left(images);
  expect(names(images.filter((image) => !first.includes(image)))).toEqual(['indexed 20']);
  const second = left(first);
  expect(names(first.filter((image) => !second.includes(image)))).toEqual(['manifest 20', 'index 20']);
});

test('what `cdk gc` leaves of a deleted image goes after a week', () => {
  const leftover = (age: number): Image[] => release(1, age).slice(2);
  expect(left([...release(0, 400), ...leftover(8)])).toEqual(release(0, 400));
  expect(left([...release(0, 400), ...leftover(6)])).toHaveLength(6);
});

test('an output tag with the hash of options is one of them', () => {
  const images = Array.from({ length: 22 }, (_, at) => release(at, at, [`v${at}`, `v${at}-soci-0a1b2c3d`])).flat();
  expect(names(left(images)).filter((name) => name.startsWith('indexed'))).toHaveLength(20);
});
