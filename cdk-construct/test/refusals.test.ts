// What is refused at synth, with the value in the message, before anything is defined.

import { Duration, RemovalPolicy, Size, Stack } from 'aws-cdk-lib';
import { ComputeType } from 'aws-cdk-lib/aws-codebuild';
import { Platform } from 'aws-cdk-lib/aws-ecr-assets';
import { SociIndexBuild, SociIndexOptions, SociIndexV2Build, SociIndexV2BuildOptions } from '../src';
import { repositoryIn } from './template';

function v1(imageTag: string, options: SociIndexOptions = {}): Stack {
  return inStack((stack) => {
    new SociIndexBuild(stack, 'Index', { repository: repositoryIn(stack), imageTag, ...options });
  });
}

function v2(inputImageTag: string, options: SociIndexV2BuildOptions = {}): Stack {
  return inStack((stack) => {
    new SociIndexV2Build(stack, 'Index', { repository: repositoryIn(stack), inputImageTag, ...options });
  });
}

/** Where it is refused, nothing but the index itself may have been added to the stack. */
function inStack(define: (stack: Stack) => void): Stack {
  const stack = new Stack();
  try {
    define(stack);
  } catch (error) {
    expect(stack.node.children.map(({ node }) => node.id)).toEqual(['Repository-app', 'Index']);
    throw error;
  }
  return stack;
}

const long = 'x'.repeat(129);

test.each([
  ['a slash', 'a/b', `'inputImageTag' must contain only letters, digits, '_', '.' and '-'`],
  ['a space', 'a b', 'got "a b"'],
  ['a line break at the end', 'a\n', String.raw`got "a\n"`],
  ['nothing', '', 'got ""'],
  ['a dot in front', '.a', 'got ".a"'],
  ['a dash in front', '-a', 'got "-a"'],
  ['too many characters', long, `'inputImageTag' must have at most 128 characters, got 129: "${long}"`],
])('refuses an input tag with %s', (_, tag, message) => {
  expect(() => v2(tag)).toThrow(message);
  expect(() => v1(tag)).toThrow(message.replace('inputImageTag', 'imageTag'));
});

test('refuses a bad output tag', () => {
  expect(() => v2('v1', { outputImageTag: 'a:b' })).toThrow(/^'outputImageTag' must contain only letters.*got "a:b"$/);
  expect(() => v2('v1', { outputImageTag: long })).toThrow("'outputImageTag' must have at most 128 characters, got 129");
});

test('refuses to put the index on the input tag', () => {
  expect(() => v2('v1', { outputImageTag: 'v1' })).toThrow(`'outputImageTag' must differ from the input tag`);
});

test('refuses an input tag that leaves no room for the default output tag, and takes it with another', () => {
  const tag = 'x'.repeat(124);
  expect(() => v2(tag)).toThrow(`the default of 'outputImageTag' would have 129 characters, more than the limit of 128`);
  expect(() => v2(tag.slice(1))).not.toThrow();
  expect(() => v2(tag.slice(1), { spanSize: Size.mebibytes(1) })).toThrow('would have 137 characters');
  expect(() => v2(tag, { outputImageTag: 'short' })).not.toThrow();
  expect(() => v2('x'.repeat(128), { outputImageTag: 'y'.repeat(128) })).not.toThrow();
});

// eslint-disable-next-line @typescript-eslint/no-unsafe-enum-assignment -- the oldest aws-cdk-lib has no name for it
const FLEET = 'ATTRIBUTE_BASED_COMPUTE' as ComputeType;

const refused: [string, SociIndexOptions, string][] = [
  ['an empty list of platforms', { platforms: [] }, "'platforms' is empty"],
  ['a platform of one word', { platforms: [Platform.custom('arm64')] }, `got "arm64"`],
  ['a platform of four', { platforms: [Platform.custom('a/b/c/d')] }, `got "a/b/c/d"`],
  ['a platform with a line break', { platforms: [Platform.custom('linux/a\n')] }, String.raw`got "linux/a\n"`],
  ['Windows', { platforms: [Platform.custom('windows/amd64')] }, `'platforms' must not contain Windows`],
  ['spans of nothing', { spanSize: Size.bytes(0) }, "'spanSize' must be between 1 and 9007199254740991 bytes, got 0"],
  ['spans that no number holds', { spanSize: Size.pebibytes(9) }, "'spanSize' must be between 1 and"],
  ['layers that no number holds', { minLayerSize: Size.pebibytes(9) }, "'minLayerSize' must be between 0 and"],
  ['a prefetch path of two lines', { prefetchFiles: ['/ok', '/a\n/b'] }, String.raw`got "/a\n/b"`],
  ['an empty prefetch path', { prefetchFiles: [''] }, `'prefetchFiles' must contain non-empty, single-line paths, got ""`],
  [
    'to delete what it does not wait for',
    { waitForIndex: false, removalPolicy: RemovalPolicy.DESTROY },
    `'waitForIndex' cannot be false with the removal policy DESTROY, got false and "destroy": the resource completes before`,
  ],
  ['to keep snapshots', { removalPolicy: RemovalPolicy.SNAPSHOT }, `must be DESTROY or RETAIN, got "snapshot"`],
  [
    'a machine of a fleet',
    { computeType: FLEET },
    `'computeType' must be one of BUILD_GENERAL1_… or BUILD_LAMBDA_…, got "ATTRIBUTE_BASED_COMPUTE"`,
  ],
  ['a short timeout', { timeout: Duration.minutes(4) }, "'timeout' must be a whole number of minutes, at least 5, got 4 minutes"],
  ['half minutes', { timeout: Duration.seconds(330) }, "'timeout' must be a whole number of minutes, at least 5, got 5.5 minutes"],
  ['a short queue', { queuedTimeout: Duration.minutes(4) }, "'queuedTimeout' must be a whole number of minutes, at least 5"],
  [
    'more files than the variables of a build hold',
    { prefetchFiles: Array.from({ length: 1000 }, (_, at) => `/app/node_modules/${at}`) },
    `'prefetchFiles' must have at most 28000 characters in total, as CodeBuild receives them (17 more per path, special characters encoded), got 37890 in 1000 paths`,
  ],
  [
    'longer files than the variables of a build hold',
    { prefetchFiles: ['ü'.repeat(4700)] },
    `got 28217 in 1 paths: use fewer or shorter paths`,
  ],
  [
    'timeouts longer than CloudFormation waits',
    { timeout: Duration.minutes(50) },
    "'timeout' and 'queuedTimeout' together must be below 55 minutes, because CloudFormation waits at most one hour, got 50 and 5",
  ],
];

test.each(refused)('refuses %s', (_, options, message) => {
  expect(() => v2('v1', options)).toThrow(message);
  expect(() => v1('v1', options)).toThrow(message);
});

test.each<[string, SociIndexOptions]>([
  ['to delete what it waits for', { waitForIndex: true, removalPolicy: RemovalPolicy.DESTROY }],
  ['not to wait for what it keeps', { waitForIndex: false, removalPolicy: RemovalPolicy.RETAIN }],
])('takes %s', (_, options) => {
  expect(() => v2('v1', options)).not.toThrow();
  expect(() => v1('v1', options)).not.toThrow();
});

test('takes what is just within the limits', () => {
  expect(() =>
    v2('v1', {
      outputImageTag: 'x'.repeat(128),
      minLayerSize: Size.bytes(0),
      spanSize: Size.bytes(1),
      timeout: Duration.minutes(49),
      queuedTimeout: Duration.minutes(5),
    }),
  ).not.toThrow();
});
