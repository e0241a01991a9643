// SociImage, wherever a container image can stand.

import { App, Duration, NestedStack, Stack, Stage } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { Schedule } from 'aws-cdk-lib/aws-applicationautoscaling';
import { Repository as CodeRepository } from 'aws-cdk-lib/aws-codecommit';
import { Repository } from 'aws-cdk-lib/aws-ecr';
import { DockerImageAsset } from 'aws-cdk-lib/aws-ecr-assets';
import { ContainerImage } from 'aws-cdk-lib/aws-ecs';
import {
  ApplicationLoadBalancedFargateService,
  NetworkLoadBalancedFargateService,
  QueueProcessingFargateService,
  ScheduledFargateTask,
} from 'aws-cdk-lib/aws-ecs-patterns';
import { CodePipeline, CodePipelineSource, ShellStep } from 'aws-cdk-lib/pipelines';
import { SociImage } from '../src';
import { DIRECTORY, dockerImagesOf, expectOneIndexFor, indexesOfContainers, task } from './task-images';
import { INDEX, onlyResource, resourcesOf, templateOf, valueOf } from './template';

describe('works in', () => {
  const image = (): ContainerImage => SociImage.fromAsset(DIRECTORY);
  const patterns: [string, (stack: Stack) => void][] = [
    [
      'a load-balanced service',
      (stack) =>
        new ApplicationLoadBalancedFargateService(stack, 'Service', {
          taskImageOptions: { image: image(), containerPort: 80 },
        }),
    ],
    [
      'a service with a network load balancer',
      (stack) => new NetworkLoadBalancedFargateService(stack, 'Service', { taskImageOptions: { image: image() } }),
    ],
    ['a service of a queue', (stack) => new QueueProcessingFargateService(stack, 'Service', { image: image() })],
    [
      'a scheduled task',
      (stack) =>
        new ScheduledFargateTask(stack, 'Service', {
          schedule: Schedule.rate(Duration.hours(1)),
          scheduledFargateTaskImageOptions: { image: image() },
        }),
    ],
  ];

  test.each(patterns)('%s', (_, define) => {
    expectOneIndexFor(templateOf(define), 1);
  });

  test('a nested stack, which has its own index', () => {
    const parent = new Stack(new App(), 'Parent');
    const nested = new NestedStack(parent, 'Nested');
    const asset = new DockerImageAsset(parent, 'Image', { directory: DIRECTORY });
    task(nested, 'A', SociImage.fromDockerImageAsset(asset));
    task(nested, 'B', SociImage.fromDockerImageAsset(asset), SociImage.fromDockerImageAsset(asset));
    task(parent, 'Task', image());

    expectOneIndexFor(Template.fromStack(nested), 3);
    expectOneIndexFor(Template.fromStack(parent), 1);
  });

  test('a nested stack, from a repository of its parent', () => {
    const parent = new Stack(new App(), 'Parent');
    const nested = new NestedStack(parent, 'Nested');
    task(nested, 'Task', SociImage.fromEcrRepository(new Repository(parent, 'Repository'), 'v1'));

    expectOneIndexFor(Template.fromStack(nested), 1);
    const uri = JSON.stringify(onlyResource(Template.fromStack(nested), INDEX).Properties['RepositoryUri']);
    expect(uri).toContain('{"Ref":"referencetoParentRepository');
  });

  test('two stages, each with its index and its asset', () => {
    const app = new App();
    for (const name of ['Beta', 'Prod']) {
      const stage = new Stage(app, name);
      const stack = new Stack(stage, 'Stack');
      task(stack, 'Task', image());
      expectOneIndexFor(Template.fromStack(stack), 1);
      expect(dockerImagesOf(stage)).toHaveLength(1);
    }
  });

  test('a pipeline, which publishes the image before it deploys the stack', () => {
    const app = new App();
    const stack = new Stack(app, 'Pipeline', { env: { account: '111111111111', region: 'eu-west-1' } });
    const code = CodeRepository.fromRepositoryName(stack, 'Code', 'code');
    const source = CodePipelineSource.codeCommit(code, 'main');
    const pipeline = new CodePipeline(stack, 'Pipeline', {
      synth: new ShellStep('Synth', { input: source, commands: ['npx cdk synth'] }),
    });
    const stage = new Stage(app, 'Prod', { env: { account: '111111111111', region: 'eu-west-1' } });
    const service = new Stack(stage, 'Service');
    task(service, 'Task', image());
    pipeline.addStage(stage);

    const stages = onlyResource(Template.fromStack(stack), 'AWS::CodePipeline::Pipeline').Properties['Stages'] as {
      Name: string;
      Actions: { Name: string }[];
    }[];
    expect(stages.map(({ Name }) => Name).slice(-2)).toEqual(['Assets', 'Prod']);
    // An image and two programs, whatever their names: those differ between versions of aws-cdk-lib.
    expect(stages.find(({ Name }) => Name === 'Assets')?.Actions).toHaveLength(3);
    expectOneIndexFor(Template.fromStack(service), 1);
  });

  test('a stack that is not that of the repository', () => {
    const app = new App();
    const repository = new Repository(new Stack(app, 'Images'), 'Repository');
    const other = new Repository(new Stack(app, 'Others'), 'Repository');
    const stack = new Stack(app, 'Service');
    task(stack, 'A', SociImage.fromEcrRepository(repository, 'v1'), SociImage.fromEcrRepository(other, 'v1'));
    task(stack, 'B', SociImage.fromEcrRepository(repository, 'v1'));

    const template = Template.fromStack(stack);
    template.resourceCountIs(INDEX, 2);
    const [a, ofOther, b] = indexesOfContainers(template);
    expect(b).toBe(a);
    expect(ofOther).not.toBe(a);
    const indexes = resourcesOf(template, INDEX);
    expect(JSON.stringify(indexes[a as string].Properties['RepositoryUri'])).toMatch(valueOf('Images'));
  });
});
