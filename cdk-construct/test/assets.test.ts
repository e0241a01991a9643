// Where the programs are looked for, and what is said when they are not there.

import { existsSync } from 'fs';
import { join } from 'path';

jest.mock('fs', () => ({ ...jest.requireActual<typeof import('fs')>('fs'), existsSync: jest.fn() }));

const assets = jest.requireActual<typeof import('../src/assets')>('../src/assets');
const exists = jest.mocked(existsSync);
const root = join(__dirname, '..', 'assets');

test('the programs are in the package, by architecture', () => {
  exists.mockReturnValue(true);

  expect(assets.providerDirectory()).toBe(join(root, 'provider', 'x86_64'));
  expect(assets.builderDirectory()).toBe(join(root, 'builder', 'x86_64'));
  expect(exists.mock.calls).toEqual([
    [join(root, 'provider', 'x86_64', 'bootstrap')],
    [join(root, 'builder', 'x86_64', 'soci-builder')],
  ]);
});

test('a program that is missing is named, with what to do', () => {
  exists.mockReturnValue(false);

  expect(() => assets.providerDirectory()).toThrow(
    `the program '${join(root, 'provider', 'x86_64', 'bootstrap')}' is missing. ` +
      `A published package has it; in a checkout, build the programs and run 'scripts/assets'`,
  );
  expect(() => assets.builderDirectory()).toThrow('soci-builder');
});
