// A stack with an image asset and its index, and optionally a Lambda function of another image asset. Context: `stack`, its name; `image` and
// `functionImage`, folders with a Dockerfile; `options`, JSON: { minLayerSize?, spanSize?, platforms?, prefetchFiles? }, sizes in bytes.

const { assets, cdk, lambda, soci } = require('./construct');

/** Defines them in a stack. */
function define(stack, context) {
  const { minLayerSize, spanSize, platforms, prefetchFiles } = JSON.parse(context('options') ?? '{}');
  const bytes = (count) => (count === undefined ? undefined : cdk.Size.bytes(count));
  const asset = new assets.DockerImageAsset(stack, 'Image', { directory: context('image'), platform: assets.Platform.LINUX_AMD64 });
  const index = soci.SociIndexV2Build.fromDockerImageAsset(stack, 'Index', asset, {
    minLayerSize: bytes(minLayerSize),
    spanSize: bytes(spanSize),
    platforms: platforms?.map((platform) => assets.Platform.custom(platform)),
    prefetchFiles,
  });
  new cdk.CfnOutput(stack, 'ImageTag', { value: asset.imageTag });
  new cdk.CfnOutput(stack, 'IndexDigest', { value: index.outputImageDigest });
  const directory = context('functionImage');
  if (directory !== undefined) {
    const code = lambda.DockerImageCode.fromImageAsset(directory, { platform: assets.Platform.LINUX_AMD64 });
    const fn = new lambda.DockerImageFunction(stack, 'Function', { code });
    new cdk.CfnOutput(stack, 'FunctionImage', { value: fn.node.defaultChild.code.imageUri });
  }
}

module.exports = { define };

if (require.main === module) {
  const app = new cdk.App();
  const context = (name) => app.node.tryGetContext(name);
  define(new cdk.Stack(app, context('stack')), context);
}
