// Version 1: what it asks of the provider, what it warns of, and how others use it.

import { join } from 'path';
import { RemovalPolicy, Size, Stack } from 'aws-cdk-lib';
import { Annotations, Match } from 'aws-cdk-lib/assertions';
import { DockerImageAsset, Platform } from 'aws-cdk-lib/aws-ecr-assets';
import { FargateTaskDefinition } from 'aws-cdk-lib/aws-ecs';
import { SociIndexBuild, SociIndexV2Build } from '../src';
import { INDEX, onlyResource, repositoryIn, requestOf, resourcesOf, templateOf } from './template';

test('asks for an index of the image as it is', () => {
  const template = templateOf((stack) => {
    new SociIndexBuild(stack, 'Index', { repository: repositoryIn(stack), imageTag: 'v1' });
  });

  expect(requestOf(template)).toEqual({ IndexVersion: 'v1', InputImageTag: 'v1' });
  const policies = Object.keys(resourcesOf(template, 'AWS::IAM::Policy'));
  expect(onlyResource(template, INDEX).DependsOn).toEqual(expect.arrayContaining(policies));
});

test('does not wait where it is told so', () => {
  const template = templateOf((stack) => {
    new SociIndexBuild(stack, 'Index', { repository: repositoryIn(stack), imageTag: 'v1', waitForIndex: false });
  });

  expect(requestOf(template)).toEqual({ IndexVersion: 'v1', InputImageTag: 'v1', WaitForIndex: 'false' });
});

test('indexes an image asset, with options', () => {
  const template = templateOf((stack) => {
    const asset = new DockerImageAsset(stack, 'Image', { directory: join(__dirname, 'programs', 'image') });
    SociIndexBuild.fromDockerImageAsset(stack, 'Index', asset, {
      platforms: [Platform.LINUX_ARM64],
      spanSize: Size.mebibytes(1),
      removalPolicy: RemovalPolicy.DESTROY,
    });
  });

  expect(requestOf(template)).toEqual({
    IndexVersion: 'v1',
    InputImageTag: expect.stringMatching(/^[0-9a-f]{64}$/) as unknown,
    Platforms: ['linux/arm64'],
    SpanSize: '1048576',
    RemovalPolicy: 'destroy',
  });
});

test('a task definition takes the image by digest, and waits for the index', () => {
  const template = templateOf((stack) => {
    const index = new SociIndexBuild(stack, 'Index', { repository: repositoryIn(stack), imageTag: 'v1' });
    const task = new FargateTaskDefinition(stack, 'Task');
    task.addContainer('app', { image: index.toEcsDockerImageCode() });
    stack.exportValue(index.outputImageDigest, { name: 'digest' });
  });

  const { id } = onlyResource(template, INDEX);
  const task = JSON.stringify(onlyResource(template, 'AWS::ECS::TaskDefinition').Properties);
  expect(task).toContain(`"/app@",{"Fn::GetAtt":["${id}","OutputImageDigest"]}`);
});

test('says at synth what version 1 needs, and version 2 says nothing', () => {
  const stack = new Stack();
  const props = { repository: repositoryIn(stack) };
  new SociIndexBuild(stack, 'V1', { ...props, imageTag: 'v1' });
  new SociIndexV2Build(stack, 'V2', { ...props, inputImageTag: 'v1' });

  const warnings = Annotations.fromStack(stack).findWarning('*', Match.anyValue());
  expect(warnings.map(({ id }) => id)).toEqual(['/Default/V1']);
  expect(warnings[0].entry.data).toContain('only in accounts that AWS has enabled for them');
});
