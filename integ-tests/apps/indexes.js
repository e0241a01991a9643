// A stack with the indexes that a test asks for. Context: `stack`, its name; `indexes`, JSON: a list of
// { id, repository, tag, version?, outputTag?, platforms?, minLayerSize?, spanSize?, removalPolicy?, builder? }, sizes in bytes;
// `failing`: a resource that always fails, after the indexes.

const { assets, cdk, ecr, soci } = require('./construct');

const app = new cdk.App();
const stack = new cdk.Stack(app, app.node.tryGetContext('stack'));

const bytes = (count) => (count === undefined ? undefined : cdk.Size.bytes(count));
const indexes = JSON.parse(app.node.tryGetContext('indexes')).map((wanted) => {
  const repository = ecr.Repository.fromRepositoryName(stack, `${wanted.id}Repository`, wanted.repository);
  const props = {
    repository,
    platforms: wanted.platforms?.map((platform) => assets.Platform.custom(platform)),
    minLayerSize: bytes(wanted.minLayerSize),
    spanSize: bytes(wanted.spanSize),
    removalPolicy: wanted.removalPolicy,
    builder: wanted.builder,
  };
  const index =
    wanted.version === 'v1'
      ? new soci.SociIndexBuild(stack, wanted.id, { ...props, imageTag: wanted.tag })
      : new soci.SociIndexV2Build(stack, wanted.id, { ...props, inputImageTag: wanted.tag, outputImageTag: wanted.outputTag });
  // As a task definition would use it: through CloudFormation.
  new cdk.CfnOutput(stack, `${wanted.id}Digest`, { value: index.outputImageDigest });
  return index;
});

if (app.node.tryGetContext('failing')) {
  const failing = new cdk.CustomResource(stack, 'Failing', {
    serviceToken: stack.formatArn({ service: 'lambda', resource: 'function', resourceName: 'absent', arnFormat: cdk.ArnFormat.COLON_RESOURCE_NAME }),
    // So that every update that has it runs it.
    properties: { Indexes: app.node.tryGetContext('indexes') },
  });
  failing.node.addDependency(...indexes);
}
