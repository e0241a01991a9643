// The order of index and service. Context: `stack`, its name; `image`, a folder with a Dockerfile; `dependency`: `false` for a service that
// runs the image by its own tag and does not wait for the index; `builder`, where the index is built, and `memorySize`, of that
// function; `outputTag`, its tag. Ids are chosen so that, by themselves, the service would come first: the emulator works by dependency
// and then by id.

const { assets, cdk, ec2, ecs, soci } = require('./construct');

const app = new cdk.App();
const stack = new cdk.Stack(app, app.node.tryGetContext('stack'));

const asset = new assets.DockerImageAsset(stack, 'Image', {
  directory: app.node.tryGetContext('image'),
  platform: assets.Platform.LINUX_AMD64,
});
const bytes = app.node.tryGetContext('minLayerSize');
const memorySize = app.node.tryGetContext('memorySize');
const index = soci.SociIndexV2Build.fromDockerImageAsset(stack, 'ZIndex', asset, {
  minLayerSize: bytes === undefined ? undefined : cdk.Size.bytes(Number(bytes)),
  builder: app.node.tryGetContext('builder'),
  memorySize: memorySize === undefined ? undefined : Number(memorySize),
  outputImageTag: app.node.tryGetContext('outputTag'),
});
const waits = app.node.tryGetContext('dependency') !== 'false';

const vpc = new ec2.Vpc(stack, 'Vpc', {
  maxAzs: 1,
  natGateways: 0,
  subnetConfiguration: [{ name: 'public', subnetType: ec2.SubnetType.PUBLIC }],
});
const task = new ecs.FargateTaskDefinition(stack, 'ATask');
task.addContainer('app', {
  image: waits ? index.toEcsDockerImageCode() : ecs.ContainerImage.fromDockerImageAsset(asset),
});
new ecs.FargateService(stack, 'AService', {
  cluster: new ecs.Cluster(stack, 'ACluster', { vpc }),
  taskDefinition: task,
  assignPublicIp: true,
});
