const { env } = require('process');

/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: 'node',
  roots: ['<rootDir>/src', '<rootDir>/test'],
  transform: { '\\.ts$': ['ts-jest', { tsconfig: 'test/tsconfig.json' }] },
  // It needs a newer aws-cdk-lib: scripts/check-nag.
  testPathIgnorePatterns: ['/node_modules/', ...(env.NODE_MODULES?.includes('nag-3') ? [] : ['nag-3\\.test'])],
  // As the example imports it.
  moduleNameMapper: {
    '^soci-index-build$': '<rootDir>/src',
    // Another aws-cdk-lib than the oldest that the constructs work with, with its constructs.
    ...(env.NODE_MODULES && { '^((aws-cdk-lib|cdk-nag|constructs)(/.*)?)$': `${env.NODE_MODULES}/$1` }),
  },
  globalSetup: '<rootDir>/test/temporary/create.ts',
  globalTeardown: '<rootDir>/test/temporary/remove.ts',
  setupFilesAfterEnv: ['<rootDir>/test/programs/stand-ins.ts'],
};
