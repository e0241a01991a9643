// Where the programs are looked for, and what is said when they are not there.

import { existsSync } from 'fs';
import { join } from 'path';

jest.mock('fs', () => ({ ...jest.requireActual<typeof import('fs')>('fs'), existsSync: jest.fn() }));

const assets = jest.requireActual<typeof import('../src/assets')>('../src/assets');
const root = join(__dirname, '..', 'assets');
const provider = (architecture: string): string => join(root, 'provider', `${architecture}.zip`);
const builder = (architecture: string): string => join(root, 'builder', `${architecture}.zip`);

function thereAre(...files: string[]): void {
  jest.mocked(existsSync).mockImplementation((path) => files.includes(String(path)));
}

test.each(['x86_64', 'aarch64'])('the programs of a package for %s', (architecture) => {
  thereAre(provider(architecture), builder(architecture));

  expect(assets.programArchitecture()).toBe(architecture);
  expect(assets.providerZip()).toBe(provider(architecture));
  expect(assets.builderZip()).toBe(builder(architecture));
});

test('x86_64 comes first, as in a published package', () => {
  thereAre(...['aarch64', 'x86_64'].flatMap((each) => [provider(each), builder(each)]));

  expect(assets.programArchitecture()).toBe('x86_64');
});

test('a program that is missing is named, with what to do', () => {
  thereAre();

  expect(() => assets.providerZip()).toThrow(
    `program '${provider('x86_64')}' not found. ` +
      `If the app is bundled, exclude this package from the bundle ` +
      `(esbuild: --external:soci-index-build). In a checkout, build the programs and run 'scripts/assets'`,
  );
  expect(() => assets.builderZip()).toThrow(`'${builder('x86_64')}'`);
});

test('both programs are of one architecture', () => {
  thereAre(provider('aarch64'), builder('x86_64'));

  expect(() => assets.builderZip()).toThrow(`'${builder('aarch64')}'`);
});
