// A stack for cdk-nag, version 2 or 3.

import { App, RemovalPolicy, Stack, StackProps } from 'aws-cdk-lib';
import { SubnetType, Vpc } from 'aws-cdk-lib/aws-ec2';
import { Repository } from 'aws-cdk-lib/aws-ecr';
import { Key } from 'aws-cdk-lib/aws-kms';
import { SociBuilder, SociIndexBuild, SociIndexOnPush, SociIndexV2Build, SociStartTimes } from '../src';

/** A stack with all that the constructs can make. */
export function everything(props: StackProps = {}): Stack {
  const stack = new Stack(new App(), 'Stack', props);
  const repository = Repository.fromRepositoryName(stack, 'Repository', 'app');
  new SociIndexV2Build(stack, 'V2', { repository, inputImageTag: 'v1', removalPolicy: RemovalPolicy.DESTROY });
  new SociIndexBuild(stack, 'V1', { repository, imageTag: 'v1' });
  const vpc = new Vpc(stack, 'Vpc', {
    natGateways: 0,
    subnetConfiguration: [{ name: 'isolated', subnetType: SubnetType.PRIVATE_ISOLATED }],
  });
  const encryptionKey = new Key(stack, 'Key', { enableKeyRotation: true });
  new SociIndexV2Build(stack, 'InVpc', { repository, inputImageTag: 'v2', vpc, encryptionKey });
  const builder = SociBuilder.FUNCTION;
  new SociIndexV2Build(stack, 'InFunction', { repository, inputImageTag: 'v3', builder });
  new SociIndexV2Build(stack, 'InFunctionInVpc', { repository, inputImageTag: 'v4', builder, vpc, encryptionKey });
  new SociIndexOnPush(stack, 'OnPush', { filters: ['team/*:v*', 'app'], dashboard: true });
  new SociIndexOnPush(stack, 'OnPushInVpc', { filters: ['*'], vpc, encryptionKey, dashboard: true });
  new SociStartTimes(stack, 'Starts', { dashboard: true });
  new SociStartTimes(stack, 'StartsInVpc', { repositories: [repository], vpc, encryptionKey });
  for (let at = 0; at < 43; at++) {
    const other = Repository.fromRepositoryName(stack, `Repository${at}`, `${at}`.padStart(256, 'n'));
    new SociIndexV2Build(stack, `Other${at}`, { repository: other, inputImageTag: 'v1' });
  }
  return stack;
}
