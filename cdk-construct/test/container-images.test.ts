// Every class of aws-cdk-lib that takes a container image takes ours. With the oldest aws-cdk-lib that we work with, and with
// a new one: scripts/check-snapshots runs this file with that of integ/.

import { existsSync, readdirSync, readFileSync } from 'fs';
import { dirname, join } from 'path';
import { App, Duration, Size, Stack } from 'aws-cdk-lib';
import { Annotations, Match, Template } from 'aws-cdk-lib/assertions';
import { Schedule } from 'aws-cdk-lib/aws-applicationautoscaling';
import { InstanceType } from 'aws-cdk-lib/aws-ec2';
import {
  Cluster,
  ContainerImage,
  Ec2TaskDefinition,
  ExternalTaskDefinition,
  FargateTaskDefinition,
  FirelensLogRouterType,
} from 'aws-cdk-lib/aws-ecs';
import {
  ApplicationLoadBalancedEc2Service,
  ApplicationLoadBalancedFargateService,
  ApplicationMultipleTargetGroupsEc2Service,
  ApplicationMultipleTargetGroupsFargateService,
  NetworkLoadBalancedEc2Service,
  NetworkLoadBalancedFargateService,
  NetworkMultipleTargetGroupsEc2Service,
  NetworkMultipleTargetGroupsFargateService,
  QueueProcessingEc2Service,
  QueueProcessingFargateService,
  ScheduledEc2Task,
  ScheduledFargateTask,
} from 'aws-cdk-lib/aws-ecs-patterns';
import { Construct } from 'constructs';
import { SociImage } from '../src';
import { DIRECTORY } from './task-images';
import { INDEX, onlyResource } from './template';

type Define = (scope: Stack, image: ContainerImage, cluster: Cluster) => void;

const memory = { memoryLimitMiB: 512 };

/** By the file that declares that it takes an image. */
const TAKERS: Record<string, { fargate?: Record<string, Define>; other?: Record<string, Define> }> = {
  'aws-ecs/lib/container-definition.d.ts': {
    fargate: {
      FargateTaskDefinition: (scope, image) => new FargateTaskDefinition(scope, 'T').addContainer('app', { image }),
      FirelensLogRouter: (scope, image) =>
        new FargateTaskDefinition(scope, 'T').addFirelensLogRouter('log', {
          image,
          firelensConfig: { type: FirelensLogRouterType.FLUENTBIT },
        }),
    },
    other: {
      Ec2TaskDefinition: (scope, image) => new Ec2TaskDefinition(scope, 'T').addContainer('app', { image, ...memory }),
      ExternalTaskDefinition: (scope, image) =>
        new ExternalTaskDefinition(scope, 'T').addContainer('app', { image, ...memory }),
    },
  },
  'aws-ecs-patterns/lib/base/application-load-balanced-service-base.d.ts': {
    fargate: {
      ApplicationLoadBalancedFargateService: (scope, image, cluster) =>
        new ApplicationLoadBalancedFargateService(scope, 'S', { cluster, taskImageOptions: { image } }),
    },
    other: {
      ApplicationLoadBalancedEc2Service: (scope, image, cluster) =>
        new ApplicationLoadBalancedEc2Service(scope, 'S', { cluster, ...memory, taskImageOptions: { image } }),
    },
  },
  'aws-ecs-patterns/lib/base/application-multiple-target-groups-service-base.d.ts': {
    fargate: {
      ApplicationMultipleTargetGroupsFargateService: (scope, image, cluster) =>
        new ApplicationMultipleTargetGroupsFargateService(scope, 'S', { cluster, taskImageOptions: { image } }),
    },
    other: {
      ApplicationMultipleTargetGroupsEc2Service: (scope, image, cluster) =>
        new ApplicationMultipleTargetGroupsEc2Service(scope, 'S', { cluster, ...memory, taskImageOptions: { image } }),
    },
  },
  'aws-ecs-patterns/lib/base/network-load-balanced-service-base.d.ts': {
    fargate: {
      NetworkLoadBalancedFargateService: (scope, image, cluster) =>
        new NetworkLoadBalancedFargateService(scope, 'S', { cluster, taskImageOptions: { image } }),
    },
    other: {
      NetworkLoadBalancedEc2Service: (scope, image, cluster) =>
        new NetworkLoadBalancedEc2Service(scope, 'S', { cluster, ...memory, taskImageOptions: { image } }),
    },
  },
  'aws-ecs-patterns/lib/base/network-multiple-target-groups-service-base.d.ts': {
    fargate: {
      NetworkMultipleTargetGroupsFargateService: (scope, image, cluster) =>
        new NetworkMultipleTargetGroupsFargateService(scope, 'S', { cluster, taskImageOptions: { image } }),
    },
    other: {
      NetworkMultipleTargetGroupsEc2Service: (scope, image, cluster) =>
        new NetworkMultipleTargetGroupsEc2Service(scope, 'S', { cluster, ...memory, taskImageOptions: { image } }),
    },
  },
  'aws-ecs-patterns/lib/base/queue-processing-service-base.d.ts': {
    fargate: {
      QueueProcessingFargateService: (scope, image, cluster) =>
        new QueueProcessingFargateService(scope, 'S', { cluster, image }),
    },
    other: {
      QueueProcessingEc2Service: (scope, image, cluster) =>
        new QueueProcessingEc2Service(scope, 'S', { cluster, image, ...memory }),
    },
  },
  'aws-ecs-patterns/lib/base/scheduled-task-base.d.ts': {
    fargate: {
      ScheduledFargateTask: (scope, image, cluster) =>
        new ScheduledFargateTask(scope, 'S', { cluster, schedule: hourly(), scheduledFargateTaskImageOptions: { image } }),
    },
    other: {
      ScheduledEc2Task: (scope, image, cluster) =>
        new ScheduledEc2Task(scope, 'S', {
          cluster,
          schedule: hourly(),
          scheduledEc2TaskImageOptions: { image, ...memory },
        }),
    },
  },
  'aws-batch/lib/ecs-container-definition.d.ts': {
    fargate: {
      EcsFargateContainerDefinition: (scope, image) => {
        batchJob(scope, 'EcsFargateContainerDefinition', image);
      },
    },
    other: {
      EcsEc2ContainerDefinition: (scope, image) => {
        batchJob(scope, 'EcsEc2ContainerDefinition', image);
      },
    },
  },
  // Refused, see below.
  'aws-batch/lib/eks-container-definition.d.ts': {},
};

function hourly(): Schedule {
  return Schedule.rate(Duration.hours(1));
}

/** The classes that we use of aws-batch, which is not in the oldest aws-cdk-lib. */
type Batch = Record<string, new (scope: Construct, id: string, props: object) => Construct>;

function batchJob(scope: Construct, container: string, image: ContainerImage): void {
  const { EcsJobDefinition, [container]: Container } = jest.requireActual<Batch>('aws-cdk-lib/aws-batch');
  new EcsJobDefinition(scope, 'J', {
    container: new Container(scope, 'C', { image, cpu: 1, memory: Size.gibibytes(2) }),
  });
}

const LIBRARY = dirname(require.resolve('aws-cdk-lib/package.json'));

/** The files of aws-cdk-lib in which something takes an image. */
const declaring = readdirSync(LIBRARY, { recursive: true, encoding: 'utf8' })
  .filter((file) => /^aws-[^/]+\/lib\/.*\.d\.ts$/.test(file) && !file.includes('.generated.'))
  .filter((file) => /\bimage\??: (ecs\.)?ContainerImage;/.test(readFileSync(join(LIBRARY, file), 'utf8')))
  .sort();

test('no class that takes an image is missing here', () => {
  expect(declaring).toEqual(
    Object.keys(TAKERS)
      .filter((file) => existsSync(join(LIBRARY, file)))
      .sort(),
  );
});

const found = declaring.map((file) => TAKERS[file] ?? {});
const fargate = found.flatMap(({ fargate: takers = {} }) => Object.entries(takers));
const other = found.flatMap(({ other: takers = {} }) => Object.entries(takers));

function stackWith(define: Define): Stack {
  const stack = new Stack(new App(), 'Stack');
  const cluster = new Cluster(stack, 'Cluster');
  cluster.addCapacity('Capacity', { instanceType: new InstanceType('t3.small') });
  define(stack, SociImage.fromAsset(DIRECTORY), cluster);
  return stack;
}

/** The image of one container is the index's. */
function expectIndexed(template: Template): void {
  const { id } = onlyResource(template, INDEX);
  const containers = ['AWS::ECS::TaskDefinition', 'AWS::Batch::JobDefinition'].map((type) => template.findResources(type));
  const digest = `@",{"Fn::GetAtt":["${id}","OutputImageDigest"]}`;
  expect(JSON.stringify(containers).split(digest)).toHaveLength(2);
  expect(JSON.stringify(template.findResources('AWS::IAM::Policy'))).toContain('ecr:GetAuthorizationToken');
}

const warnings = (stack: Stack): unknown[] =>
  Annotations.fromStack(stack).findWarning('*', Match.stringLikeRegexp('Only Fargate loads'));

test.each(fargate)('%s takes an image', (_, define) => {
  const stack = stackWith(define);
  expectIndexed(Template.fromStack(stack));
  expect(warnings(stack)).toEqual([]);
});

test.each(other)('%s takes an image, with a warning', (_, define) => {
  const stack = stackWith(define);
  expectIndexed(Template.fromStack(stack));
  expect(warnings(stack)).toHaveLength(1);
});

test('a container of EKS is refused: it is handed on without a task', () => {
  const stack = new Stack(new App(), 'Stack');
  const container = new Construct(stack, 'Container');
  expect(() => SociImage.fromAsset(DIRECTORY).bind(container, container as never)).toThrow(
    'Stack/Container is not an ECS container. Only ECS on Fargate loads images with a SOCI index lazily',
  );
  expect(stack.node.children).toEqual([container]);
});
