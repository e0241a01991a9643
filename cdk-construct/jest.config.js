/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: 'node',
  roots: ['<rootDir>/src', '<rootDir>/test'],
  transform: { '\\.ts$': ['ts-jest', { tsconfig: 'test/tsconfig.json' }] },
  // As the example imports it.
  moduleNameMapper: { '^soci-index-build$': '<rootDir>/src' },
  globalSetup: '<rootDir>/test/temporary/create.ts',
  globalTeardown: '<rootDir>/test/temporary/remove.ts',
  setupFilesAfterEnv: ['<rootDir>/test/programs/stand-ins.ts'],
};
