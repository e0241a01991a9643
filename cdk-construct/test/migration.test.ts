// The SOCI constructs of deploy-time-build as its users write them, with only the import changed; and what MIGRATION.md
// says does not carry over. The compiler checks the first half of it, in `npm run lint`.

import { join } from 'path';
import { CfnOutput, CfnParameter, CustomResource, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { IRepository } from 'aws-cdk-lib/aws-ecr';
import { DockerImageAsset, Platform } from 'aws-cdk-lib/aws-ecr-assets';
import { AwsLogDriver, ContainerImage, EcrImage, FargateTaskDefinition } from 'aws-cdk-lib/aws-ecs';
import { Construct } from 'constructs';
import { SociIndexBuild, SociIndexBuildProps, SociIndexV2Build, SociIndexV2BuildProps } from '../src';
import { INDEX, onlyResource, repositoryIn, requestOf, resourcesOf, templateOf } from './template';

const HASH = /^[0-9a-f]{64}$/;

function assetIn(stack: Stack): DockerImageAsset {
  const directory = join(__dirname, 'programs', 'image');
  return new DockerImageAsset(stack, 'Image', { directory, platform: Platform.LINUX_AMD64 });
}

/** That the image of the only container comes from an attribute of the only index. */
function expectTaskToWait(template: Template, attribute: string): void {
  const { id } = onlyResource(template, INDEX);
  const task = JSON.stringify(onlyResource(template, 'AWS::ECS::TaskDefinition').Properties['ContainerDefinitions']);
  expect(task).toContain(`{"Fn::GetAtt":["${id}","${attribute}"]}`);
}

describe('deploy-time-build’s use, with the import changed:', () => {
  test('version 2 with the hash of an asset and both tags, and a task', () => {
    const template = templateOf((stack) => {
      const asset = assetIn(stack);
      const sociIndex = new SociIndexV2Build(stack, 'SociV2Index', {
        repository: asset.repository,
        inputImageTag: asset.assetHash,
        outputImageTag: `${asset.assetHash}-soci`,
      });
      const taskDefinition = new FargateTaskDefinition(stack, 'TaskDefinition');
      taskDefinition.addContainer('main', { image: sociIndex.toEcsDockerImageCode() });
    });

    const request = requestOf(template);
    expect(request).toEqual({
      IndexVersion: 'v2',
      InputImageTag: expect.stringMatching(HASH) as unknown,
      OutputImageTag: `${request['InputImageTag'] as string}-soci`,
    });
    expectTaskToWait(template, 'OutputImageDigest');
  });

  test('version 2 of an asset, and a task with a log', () => {
    const template = templateOf((stack) => {
      const v2 = SociIndexV2Build.fromDockerImageAsset(stack, 'IndexV2', assetIn(stack));
      new FargateTaskDefinition(stack, 'TaskDefinitionV2', {}).addContainer('main', {
        image: v2.toEcsDockerImageCode(),
        logging: new AwsLogDriver({ streamPrefix: 'main' }),
      });
    });

    const request = requestOf(template);
    expect(request['InputImageTag']).toMatch(HASH);
    expect(request['OutputImageTag']).toBe(`${request['InputImageTag'] as string}-soci`);
    expectTaskToWait(template, 'OutputImageDigest');
  });

  test('version 2 without an output tag, and its outputs', () => {
    const template = templateOf((stack) => {
      const props: SociIndexV2BuildProps = { repository: repositoryIn(stack), inputImageTag: 'v1' };
      const index = new SociIndexV2Build(stack, 'Index', props);
      const repository: IRepository = index.repository;
      const outputImageTag: string = index.outputImageTag;
      new FargateTaskDefinition(stack, 'Task').addContainer('main', {
        image: ContainerImage.fromEcrRepository(repository, outputImageTag),
      });
      new CfnOutput(stack, 'Tag', { value: index.outputImageTag });
    });

    expect(requestOf(template)).toEqual({ IndexVersion: 'v2', InputImageTag: 'v1', OutputImageTag: 'v1-soci' });
    expectTaskToWait(template, 'OutputImageTag');
  });

  // As ContainerImageBuild gives it: its tag is known when its build is done.
  test('version 2 of a tag that is known at deploy time', () => {
    const template = templateOf((stack) => {
      const inputImageTag = new CfnParameter(stack, 'Tag').valueAsString;
      new SociIndexV2Build(stack, 'Index', { repository: repositoryIn(stack), inputImageTag });
    });

    expect(requestOf(template)).toEqual({
      IndexVersion: 'v2',
      InputImageTag: { Ref: 'Tag' },
      OutputImageTag: { 'Fn::Join': ['', [{ Ref: 'Tag' }, '-soci']] },
    });
  });

  test('version 1 with the hash of an asset', () => {
    const template = templateOf((stack) => {
      const asset = assetIn(stack);
      const props: SociIndexBuildProps = { imageTag: asset.assetHash, repository: asset.repository };
      new SociIndexBuild(stack, 'Index', props);
    });

    expect(requestOf(template)).toEqual({
      IndexVersion: 'v1',
      InputImageTag: expect.stringMatching(HASH) as unknown,
    });
  });

  test('version 1 of an asset, beside version 2', () => {
    const template = templateOf((stack) => {
      const asset = assetIn(stack);
      SociIndexBuild.fromDockerImageAsset(stack, 'Index', asset);
      SociIndexV2Build.fromDockerImageAsset(stack, 'IndexV2', asset);
    });

    const versions = Object.values(resourcesOf(template, INDEX)).map(({ Properties }) => Properties['IndexVersion']);
    expect(versions.sort()).toEqual(['v1', 'v2']);
  });
});

describe('a stack that is deployed keeps its ids:', () => {
  // CloudFormation changes no resource to another type.
  test('under the same id, the resource has another logical id than deploy-time-build’s', () => {
    const template = templateOf((stack) => {
      new SociIndexV2Build(stack, 'Index', { repository: repositoryIn(stack), inputImageTag: 'v1' });
    });
    const before = templateOf((stack) => {
      // As deploy-time-build makes it.
      const resourceType = 'Custom::CDKSociIndexBuild';
      new CustomResource(new Construct(stack, 'Index'), 'Resource', { serviceToken: 'arn', resourceType });
    });

    const theirs = Object.keys(resourcesOf(before, 'Custom::CDKSociIndexBuild'));
    expect(theirs).toEqual(['Index4A79713B']);
    expect(theirs).not.toContain(onlyResource(template, INDEX).id);
  });
});

describe('what MIGRATION.md says must change:', () => {
  test('code that takes the image for an EcrImage', () => {
    templateOf((stack) => {
      const index = new SociIndexV2Build(stack, 'Index', { repository: repositoryIn(stack), inputImageTag: 'v1' });
      expect(index.toEcsDockerImageCode()).not.toBeInstanceOf(EcrImage);
    });
  });
});
