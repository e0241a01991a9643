// Runs before each test file: puts the programs beside this file in the place of the real ones, which tests of
// templates do not need.

import { join } from 'path';

jest.mock('../../src/assets', () => ({
  programArchitecture: jest.fn(() => 'x86_64'),
  providerZip: () => join(__dirname, 'provider.zip'),
  builderZip: () => join(__dirname, 'builder.zip'),
}));
