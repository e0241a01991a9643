// SociImage from a file that `docker save` wrote.

import { mkdtempSync, rmSync, writeFileSync } from 'fs';
import { tmpdir } from 'os';
import { join } from 'path';
import { App, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { SociImage } from '../src';
import { dockerImagesOf, expectOneIndexFor, task } from './task-images';
import { INDEX, onlyResource } from './template';

let directory: string;
let tarballFile: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'soci-tarball-'));
  tarballFile = join(directory, 'app.tar');
  writeFileSync(tarballFile, 'an image');
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

function indexOf(app: App): { id: string; tag: string } {
  const stack = new Stack(app, 'Stack');
  task(stack, 'Task', SociImage.fromTarball(tarballFile), SociImage.fromTarball(tarballFile));
  const template = Template.fromStack(stack);
  expectOneIndexFor(template, 2);
  const { id, Properties } = onlyResource(template, INDEX);
  return { id, tag: JSON.stringify(Properties['InputImageTag']) };
}

test('the image is loaded from the file, and its index is shared', () => {
  const app = new App();
  indexOf(app);

  const sources = dockerImagesOf(app) as { executable?: string[] }[];
  expect(sources).toHaveLength(1);
  expect(sources[0]?.executable?.join(' ')).toContain('docker load');
});

test('another image in the file updates the index', () => {
  const before = indexOf(new App());
  writeFileSync(tarballFile, 'another image');
  const after = indexOf(new App());

  expect(after.id).toBe(before.id);
  expect(after.tag).not.toBe(before.tag);
});

test('options are checked as for other images', () => {
  const define = (): unknown =>
    task(new Stack(), 'Task', SociImage.fromTarball(tarballFile, { outputImageTag: 'not a tag' }));

  expect(define).toThrow("'outputImageTag'");
});
