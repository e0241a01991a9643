/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  transform: { '\\.ts$': ['ts-jest', { tsconfig: 'test/tsconfig.json' }] },
  setupFilesAfterEnv: ['<rootDir>/test/programs/stand-ins.ts'],
};
