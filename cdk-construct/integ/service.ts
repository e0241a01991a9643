// What the tests have in common: an image asset, a Fargate service that runs an image, and that the service is stable.
// Knows nothing of indexes.

import { join } from 'node:path';
import { ExpectedResult, IntegTest, Match } from '@aws-cdk/integ-tests-alpha';
import { Duration, Stack } from 'aws-cdk-lib';
import { SubnetType, Vpc } from 'aws-cdk-lib/aws-ec2';
import { DockerImageAsset, Platform } from 'aws-cdk-lib/aws-ecr-assets';
import { Cluster, ContainerImage, FargateService, FargateTaskDefinition } from 'aws-cdk-lib/aws-ecs';

export function imageOf(stack: Stack): DockerImageAsset {
  return new DockerImageAsset(stack, 'Image', {
    directory: join(__dirname, 'app'),
    platform: Platform.LINUX_AMD64,
  });
}

/** CloudFormation waits until the service is steady; the circuit breaker ends the wait where it never will be. */
export function serviceOf(stack: Stack, image: ContainerImage): FargateService {
  // Public subnets and no NAT gateway: the task reaches the registry by its own address.
  const vpc = new Vpc(stack, 'Vpc', {
    maxAzs: 2,
    natGateways: 0,
    restrictDefaultSecurityGroup: false,
    subnetConfiguration: [{ name: 'public', subnetType: SubnetType.PUBLIC }],
  });
  const taskDefinition = new FargateTaskDefinition(stack, 'Task', { cpu: 256, memoryLimitMiB: 512 });
  taskDefinition.addContainer('app', { image });
  return new FargateService(stack, 'Service', {
    cluster: new Cluster(stack, 'Cluster', { vpc }),
    taskDefinition,
    desiredCount: 1,
    minHealthyPercent: 0,
    assignPublicIp: true,
    circuitBreaker: { rollback: true },
  });
}

export function expectStable(test: IntegTest, service: FargateService): void {
  test.assertions
    .awsApiCall('ecs', 'describeServices', {
      cluster: service.cluster.clusterName,
      services: [service.serviceName],
    })
    .expect(
      ExpectedResult.objectLike({
        services: [Match.objectLike({ runningCount: 1, deployments: [Match.objectLike({ rolloutState: 'COMPLETED' })] })],
      }),
    )
    .waitForAssertions({ totalTimeout: Duration.minutes(10), interval: Duration.seconds(15) });
}
