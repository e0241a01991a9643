// Warnings have ids, by which users acknowledge them, where aws-cdk-lib knows of ids.

import { Annotations, App, Stack } from 'aws-cdk-lib';
import { SubnetType } from 'aws-cdk-lib/aws-ec2';
import { Ec2TaskDefinition } from 'aws-cdk-lib/aws-ecs';
import { SociIndexBuild, SociImage } from '../src';
import { vpcIn } from './build';
import { DIRECTORY } from './task-images';
import { repositoryIn } from './template';

const addWarningV2 = jest.fn<undefined, [string, string]>();

test('each has its own', () => {
  Object.defineProperty(Annotations.prototype, 'addWarningV2', { value: addWarningV2, configurable: true });
  const stack = new Stack(new App(), 'Stack');
  const vpc = vpcIn(stack, SubnetType.PRIVATE_ISOLATED);
  new SociIndexBuild(stack, 'Index', { repository: repositoryIn(stack), imageTag: 'v1', vpc });
  const task = new Ec2TaskDefinition(stack, 'Task');
  task.addContainer('app', { image: SociImage.fromAsset(DIRECTORY), memoryLimitMiB: 512 });

  expect(addWarningV2.mock.calls).toEqual([
    ['soci-index-build:noInternet', expect.stringContaining('subnets without internet access')],
    ['soci-index-build:version1', expect.stringContaining('Fargate uses version 1 SOCI indexes')],
    ['soci-index-build:notFargate', expect.stringContaining('Only Fargate loads')],
  ]);
});
