// Two indexes of one stack under one output tag.

import { NestedStack, RemovalPolicy, Size, Stack } from 'aws-cdk-lib';
import { Repository } from 'aws-cdk-lib/aws-ecr';
import { SociImage, SociIndexV2Build, SociIndexV2BuildOptions } from '../src';
import { task } from './task-images';
import { repositoryIn } from './template';

const DESTROY = { removalPolicy: RemovalPolicy.DESTROY };

function indexIn(stack: Stack, id: string, options: SociIndexV2BuildOptions = {}, inputImageTag = 'v1'): void {
  // Each has a construct of its own for the same repository.
  const repository = Repository.fromRepositoryName(stack, `Repository${id}`, 'app');
  new SociIndexV2Build(stack, id, { repository, inputImageTag, ...options });
}

test.each<[string, SociIndexV2BuildOptions, SociIndexV2BuildOptions]>([
  ['the first', DESTROY, {}],
  ['the second', {}, DESTROY],
  ['both', DESTROY, DESTROY],
])('are refused where the end of %s would delete the image of the other', (_, one, other) => {
  const stack = new Stack();
  indexIn(stack, 'One', one);
  expect(() => {
    indexIn(stack, 'Other', other);
  }).toThrow(/^'removalPolicy' must not be DESTROY for two indexes with the same tag.*"Default\/One" and "Default\/Other" both use/);
});

test('are refused for an index of SociImage, too', () => {
  const stack = new Stack();
  task(stack, 'Task', SociImage.fromEcrRepository(repositoryIn(stack), 'v1', DESTROY));
  expect(() => {
    indexIn(stack, 'Index');
  }).toThrow(`'removalPolicy' must not be DESTROY`);
});

test.each<[string, SociIndexV2BuildOptions, string]>([
  ['images', {}, 'v2'],
  ['options', { spanSize: Size.mebibytes(1) }, 'v1'],
])('are refused for different %s', (_, options, inputImageTag) => {
  const stack = new Stack();
  indexIn(stack, 'One', { outputImageTag: 'fast' });
  expect(() => {
    indexIn(stack, 'Other', { outputImageTag: 'fast', ...options }, inputImageTag);
  }).toThrow(`'outputImageTag' must be unique per image in a stack: "Default/One" and "Default/Other" both use`);
});

test('are taken where both make the same image and leave it', () => {
  const stack = new Stack();
  indexIn(stack, 'One');
  indexIn(stack, 'Other', { spanSize: Size.mebibytes(4) });
  indexIn(stack, 'OfAnotherTag', { outputImageTag: 'fast', ...DESTROY });
  indexIn(new NestedStack(stack, 'Nested'), 'OfAnotherStack', DESTROY);
});
