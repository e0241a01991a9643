// A pipeline of CDK Pipelines that deploys the stack of publish.js, and publishes its images with `soci-docker`. Context: as there.

const { cdk, codebuild, pipelines, s3 } = require('./construct');
const { define } = require('./publish');

const app = new cdk.App();
const context = (name) => app.node.tryGetContext(name);
const stack = new cdk.Stack(app, 'Pipeline');

const source = s3.Bucket.fromBucketName(stack, 'Source', 'source');
const pipeline = new pipelines.CodePipeline(stack, 'Pipeline', {
  synth: new pipelines.ShellStep('Synth', { input: pipelines.CodePipelineSource.s3(source, 'app.zip'), commands: ['npx cdk synth'] }),
  assetPublishingCodeBuildDefaults: {
    partialBuildSpec: codebuild.BuildSpec.fromObject({ phases: { install: { commands: ['npm install -g --legacy-peer-deps soci-index-build'] } } }),
    buildEnvironment: { environmentVariables: { CDK_DOCKER: { value: 'soci-docker' } } },
  },
});
const stage = new cdk.Stage(app, 'Stage');
define(new cdk.Stack(stage, context('stack')), context);
pipeline.addStage(stage);
