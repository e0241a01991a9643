// An image asset, its SOCI index, and a Fargate service that is created only when the index is there.
// `-c image=DIRECTORY` takes the Dockerfile from there; `-c builder=function` builds the index in a Lambda function instead of in CodeBuild.

import { join } from 'path';
import { App, CfnOutput, Stack } from 'aws-cdk-lib';
import { SubnetType, Vpc } from 'aws-cdk-lib/aws-ec2';
import { DockerImageAsset, Platform } from 'aws-cdk-lib/aws-ecr-assets';
import { Cluster, FargateService, FargateTaskDefinition } from 'aws-cdk-lib/aws-ecs';
import { SociBuilder, SociIndexV2Build } from 'soci-index-build';

const app = new App();
const stack = new Stack(app, 'SociIndexExample');

const image = new DockerImageAsset(stack, 'Image', {
  directory: (app.node.tryGetContext('image') as string | undefined) ?? join(__dirname, '..', 'app'),
  platform: Platform.LINUX_AMD64,
});
const builder = app.node.tryGetContext('builder') === 'function' ? SociBuilder.FUNCTION : SociBuilder.CODE_BUILD;
const index = SociIndexV2Build.fromDockerImageAsset(stack, 'Index', image, { builder });

// Public subnets and no NAT gateway: the task reaches the registry by its own address.
const vpc = new Vpc(stack, 'Vpc', {
  maxAzs: 2,
  natGateways: 0,
  subnetConfiguration: [{ name: 'public', subnetType: SubnetType.PUBLIC }],
});
const task = new FargateTaskDefinition(stack, 'Task', { cpu: 256, memoryLimitMiB: 512 });
task.addContainer('app', { image: index.toEcsDockerImageCode() });
new FargateService(stack, 'Service', {
  cluster: new Cluster(stack, 'Cluster', { vpc }),
  taskDefinition: task,
  desiredCount: 1,
  assignPublicIp: true,
});

new CfnOutput(stack, 'ImageDigest', { value: index.outputImageDigest });
new CfnOutput(stack, 'ImageTag', { value: index.outputImageTag });
