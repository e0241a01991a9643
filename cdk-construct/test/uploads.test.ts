// What the CLI uploads: the zips of the programs, byte for byte. A folder it would zip itself, with the modes that it finds.

import { App, Stack } from 'aws-cdk-lib';
import { readFileSync } from 'fs';
import { join } from 'path';
import { SociIndexV2Build } from '../src';
import { repositoryIn } from './template';

interface Manifest {
  readonly files: Record<string, { readonly source: { readonly path: string; readonly packaging: string } }>;
}

test('both programs are uploaded as the zips that they are', () => {
  const app = new App();
  const stack = new Stack(app, 'Stack');
  new SociIndexV2Build(stack, 'Index', { repository: repositoryIn(stack), inputImageTag: 'v1' });

  const { directory } = app.synth();
  const manifest = JSON.parse(readFileSync(join(directory, 'Stack.assets.json'), 'utf8')) as Manifest;
  const uploads = Object.values(manifest.files)
    .map(({ source }) => source)
    .filter(({ path }) => !path.endsWith('.template.json'));
  expect(uploads).toEqual([
    { path: expect.stringMatching(/^asset\.[0-9a-f]{64}\.zip$/) as unknown, packaging: 'file' },
    { path: expect.stringMatching(/^asset\.[0-9a-f]{64}\.zip$/) as unknown, packaging: 'file' },
  ]);
  const contents = (file: string): string => readFileSync(file, 'utf8');
  const zips = ['builder.zip', 'provider.zip'].map((zip) => contents(join(__dirname, 'programs', zip)));
  expect(uploads.map(({ path }) => contents(join(directory, path))).sort()).toEqual(zips);
});
