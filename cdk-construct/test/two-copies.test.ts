// An app that has two copies of this library, or of aws-cdk-lib: what one has made, the other knows.

import { App, Duration, Size, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { Vpc } from 'aws-cdk-lib/aws-ec2';
import { SociImage } from '../src';
import { DIRECTORY, expectOneIndexFor, task } from './task-images';

/** Another copy, with an aws-cdk-lib of its own. */
function anotherCopy(): typeof SociImage {
  let copy: { SociImage: typeof SociImage } | undefined;
  jest.isolateModules(() => {
    copy = jest.requireActual('../src');
  });
  const { SociImage: other } = copy ?? { SociImage };
  expect(other).not.toBe(SociImage);
  return other;
}

test('containers share the index of an image', () => {
  const stack = new Stack(new App(), 'Stack');
  const options = { minLayerSize: Size.mebibytes(1), timeout: Duration.minutes(20), vpc: new Vpc(stack, 'Vpc') };
  task(stack, 'Task', SociImage.fromAsset(DIRECTORY, options));
  task(stack, 'Other', anotherCopy().fromAsset(DIRECTORY, options));
  expectOneIndexFor(Template.fromStack(stack), 2);
});

test('two uses that ask for different things are refused', () => {
  const stack = new Stack(new App(), 'Stack');
  task(stack, 'Task', anotherCopy().fromAsset(DIRECTORY, { timeout: Duration.minutes(20) }));
  const other = SociImage.fromAsset(DIRECTORY, { timeout: Duration.minutes(30) });
  expect(() => task(stack, 'Other', other)).toThrow(`'timeout' must be the same for all uses`);
});
