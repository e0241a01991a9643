const { env } = require('process');

// Version 3 instead of the one that this library's oldest aws-cdk-lib takes.
const isNag3 = env.NAG_3 !== undefined;

// The context of a new app, as the CLI hands it over (npm run test:newest).
if (env.RECOMMENDED_FLAGS) {
  const flags = require(`${env.NODE_MODULES}/aws-cdk-lib/recommended-feature-flags.json`);
  // Templates of tests name VPCs and keys that no schema takes; scripts/check-templates holds templates against the schemas.
  env.CDK_CONTEXT_JSON = JSON.stringify({ ...flags, '@aws-cdk/core:validateAgainstDefaultRules': false });
}

/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: 'node',
  // All processors: by itself it leaves one to whoever edits meanwhile.
  maxWorkers: '100%',
  roots: ['<rootDir>/src', '<rootDir>/test'],
  transform: { '\\.ts$': ['ts-jest', { tsconfig: 'test/tsconfig.json' }] },
  // It needs a newer aws-cdk-lib: npm run nag:check.
  testPathIgnorePatterns: ['/node_modules/', ...(isNag3 ? [] : ['nag-3\\.test'])],
  // As the example imports it.
  moduleNameMapper: {
    '^soci-index-build$': '<rootDir>/src',
    // Another aws-cdk-lib than the oldest that the constructs work with, with its constructs.
    ...(env.NODE_MODULES && { [`^((aws-cdk-lib|${isNag3 ? 'cdk-nag|' : ''}constructs)(/.*)?)$`]: `${env.NODE_MODULES}/$1` }),
  },
  globalSetup: '<rootDir>/test/temporary/create.ts',
  globalTeardown: '<rootDir>/test/temporary/remove.ts',
  setupFilesAfterEnv: ['<rootDir>/test/programs/stand-ins.ts'],
};
