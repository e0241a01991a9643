// The construct under test, as compiled, and the aws-cdk-lib that it works with. Nothing is installed here.

const { createRequire } = require('node:module');
const { join } = require('node:path');

const folder = join(__dirname, '..', '..', 'cdk-construct');
const here = createRequire(join(folder, 'package.json'));

module.exports = {
  soci: here('./lib'),
  cdk: here('aws-cdk-lib'),
  codebuild: here('aws-cdk-lib/aws-codebuild'),
  ec2: here('aws-cdk-lib/aws-ec2'),
  ecr: here('aws-cdk-lib/aws-ecr'),
  assets: here('aws-cdk-lib/aws-ecr-assets'),
  ecs: here('aws-cdk-lib/aws-ecs'),
  iam: here('aws-cdk-lib/aws-iam'),
  kms: here('aws-cdk-lib/aws-kms'),
  lambda: here('aws-cdk-lib/aws-lambda'),
  logs: here('aws-cdk-lib/aws-logs'),
  pipelines: here('aws-cdk-lib/pipelines'),
  s3: here('aws-cdk-lib/aws-s3'),
};
