// The task that is to run an image: what could not start, or would start without its index, fails synth; what is not known
// passes.

import { join } from 'path';
import { App, Aspects, Fn, Stack, Stage } from 'aws-cdk-lib';
import { Annotations, Match, Template } from 'aws-cdk-lib/assertions';
import { Platform } from 'aws-cdk-lib/aws-ecr-assets';
import {
  CfnTaskDefinition,
  Compatibility,
  ContainerImage,
  CpuArchitecture,
  Ec2TaskDefinition,
  ExternalTaskDefinition,
  FargateTaskDefinition,
  OperatingSystemFamily,
  RuntimePlatform,
  TaskDefinition,
} from 'aws-cdk-lib/aws-ecs';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Construct } from 'constructs';
import { SociImage, SociIndexBuild, SociIndexV2Build } from '../src';
import { repositoryIn } from './template';

const DIRECTORY = join(__dirname, 'programs', 'image');
const { LINUX_AMD64, LINUX_ARM64 } = Platform;
const { ARM64, X86_64 } = CpuArchitecture;

type Image = (stack: Stack) => ContainerImage;

/** An image whose index is for these platforms, as each construct hands it on. */
const indexedFor = (platforms?: Platform[]): [string, Image][] => [
  [
    'SociIndexV2Build',
    (stack) => {
      const given = { repository: repositoryIn(stack), inputImageTag: 'v1', platforms };
      return new SociIndexV2Build(stack, 'Index', given).toEcsDockerImageCode();
    },
  ],
  [
    'SociIndexBuild',
    (stack) => {
      const given = { repository: repositoryIn(stack), imageTag: 'v1', platforms };
      return new SociIndexBuild(stack, 'Index', given).toEcsDockerImageCode();
    },
  ],
  ['SociImage', (stack) => SociImage.fromEcrRepository(repositoryIn(stack), 'v1', { platforms })],
];

const builtFor =
  (platform?: Platform): Image =>
  () =>
    SociImage.fromAsset(DIRECTORY, { platform });

function taskWith(image: Image, taskIn: (stack: Stack) => TaskDefinition): TaskDefinition {
  const stack = new Stack(new App(), 'Stack');
  const task = taskIn(stack);
  task.addContainer('app', { image: image(stack), memoryLimitMiB: 512 });
  return task;
}

const fargate =
  (runtimePlatform?: RuntimePlatform) =>
  (stack: Stack): TaskDefinition =>
    new FargateTaskDefinition(stack, 'Task', { cpu: 1024, memoryLimitMiB: 2048, runtimePlatform });

const ec2 = (stack: Stack): TaskDefinition => new Ec2TaskDefinition(stack, 'Task');

function synth(task: TaskDefinition): void {
  Stage.of(task)?.synth();
}

function expectSynth(image: Image, taskIn: (stack: Stack) => TaskDefinition): jest.JestMatchers<() => void> {
  const task = taskWith(image, taskIn);
  return expect(() => {
    synth(task);
  });
}

describe('an index for platforms that the task does not run', () => {
  test.each(indexedFor([LINUX_ARM64]))('is refused on x86_64, which Fargate runs by default: %s', (_, image) => {
    const problem =
      '[Stack/Task/app] The task Stack/Task runs on X86_64, but its image is indexed for linux/arm64 only, so it would ' +
      `start without an index: add linux/amd64 to 'platforms', or change 'runtimePlatform' of the task`;
    expectSynth(image, fargate()).toThrow(problem);
    expectSynth(image, fargate({ cpuArchitecture: X86_64 })).toThrow(problem);
    expectSynth(image, fargate({ cpuArchitecture: ARM64 })).not.toThrow();
  });

  test.each(indexedFor([LINUX_AMD64, Platform.custom('linux/arm/v7')]))('is refused on ARM64: %s', (_, image) => {
    expectSynth(image, fargate({ cpuArchitecture: ARM64 })).toThrow(
      'runs on ARM64, but its image is indexed for linux/amd64, linux/arm/v7 only',
    );
    expectSynth(image, fargate()).not.toThrow();
  });

  test.each<[string, () => Platform[] | undefined]>([
    ['all platforms', () => undefined],
    ['both', () => [LINUX_AMD64, LINUX_ARM64]],
    ['a variant', () => [Platform.custom('linux/arm64/v8')]],
    ['a platform known at deployment', () => [Platform.custom(Fn.ref('Platform'))]],
  ])('passes with %s', (_, platforms) => {
    const [[, image]] = indexedFor(platforms());
    expectSynth(image, fargate({ cpuArchitecture: ARM64 })).not.toThrow();
  });
});

describe('an image that is built for another architecture', () => {
  test('is refused', () => {
    expectSynth(builtFor(LINUX_ARM64), fargate()).toThrow(
      '[Stack/Task/app] The task Stack/Task runs on X86_64, but its image is built for linux/arm64, so it could not start: ' +
        `set 'platform' to linux/amd64, or set 'runtimePlatform' of the task to ARM64`,
    );
    expectSynth(builtFor(LINUX_AMD64), fargate({ cpuArchitecture: ARM64 })).toThrow('is built for linux/amd64');
    expectSynth(builtFor(Platform.custom('linux/arm64/v8')), fargate()).toThrow('is built for linux/arm64/v8');
  });

  test.each<[string, Platform | undefined, RuntimePlatform | undefined]>([
    ['the same', LINUX_ARM64, { cpuArchitecture: ARM64 }],
    ['that of Fargate', LINUX_AMD64, undefined],
    ['not given', undefined, { cpuArchitecture: ARM64 }],
    ['another word for it', Platform.custom('linux/aarch64'), { cpuArchitecture: ARM64 }],
    ['known at deployment', LINUX_ARM64, { cpuArchitecture: CpuArchitecture.of(Fn.ref('Architecture')) }],
  ])('passes where it is %s', (_, platform, runtimePlatform) => {
    expectSynth(builtFor(platform), fargate(runtimePlatform)).not.toThrow();
  });
});

describe('the task is judged as it is in the template', () => {
  const platform = { cpuArchitecture: 'ARM64' };
  const changes: Record<string, (resource: CfnTaskDefinition) => void> = {
    'an override': (resource) => {
      resource.addPropertyOverride('RuntimePlatform.CpuArchitecture', 'ARM64');
    },
    'an override that is known at deployment': (resource) => {
      resource.addPropertyOverride('RuntimePlatform', { 'Fn::If': ['Condition', {}, {}] });
    },
    'a property': (resource) => {
      resource.runtimePlatform = platform;
    },
    'an aspect': (resource) => {
      const visit = (): void => {
        resource.runtimePlatform = platform;
      };
      Aspects.of(resource).add({ visit });
    },
  };

  test.each(Object.entries(changes))('with %s that comes after the container', (_, change) => {
    const task = taskWith(builtFor(LINUX_ARM64), fargate());
    change(task.node.defaultChild as CfnTaskDefinition);
    expect(() => {
      synth(task);
    }).not.toThrow();
  });
});

test.each(indexedFor())('Windows is refused: %s', (_, image) => {
  const operatingSystemFamily = OperatingSystemFamily.WINDOWS_SERVER_2019_CORE;
  expectSynth(image, fargate({ operatingSystemFamily, cpuArchitecture: X86_64 })).toThrow(
    '[Stack/Task/app] The task Stack/Task runs WINDOWS_SERVER_2019_CORE, but SOCI supports only Linux images: use',
  );
  expectSynth(image, fargate({ operatingSystemFamily: OperatingSystemFamily.LINUX })).not.toThrow();
});

describe('a task that is not for Fargate', () => {
  const warning = Match.stringLikeRegexp('^This task does not run on Fargate. Only Fargate loads images with a SOCI index lazily');
  const of = (compatibility: Compatibility) => (stack: Stack): TaskDefinition =>
    new TaskDefinition(stack, 'Task', { compatibility, cpu: '256', memoryMiB: '512' });

  test.each<[string, (stack: Stack) => TaskDefinition]>([
    ['EC2', ec2],
    ['machines of the user’s own', (stack) => new ExternalTaskDefinition(stack, 'Task')],
  ])('is warned of: %s', (_, taskIn) => {
    const [[, image]] = indexedFor();
    Annotations.fromStack(Stack.of(taskWith(image, taskIn))).hasWarning('/Stack/Task/app', warning);
  });

  test('and one that is also for Fargate is not', () => {
    const [[, image]] = indexedFor();
    for (const taskIn of [fargate(), of(Compatibility.EC2_AND_FARGATE)]) {
      expect(Annotations.fromStack(Stack.of(taskWith(image, taskIn))).findWarning('*', warning)).toEqual([]);
    }
  });

  test('runs on whatever its instances are', () => {
    for (const taskIn of [ec2, of(Compatibility.EC2_AND_FARGATE)]) {
      expectSynth(builtFor(LINUX_ARM64), taskIn).not.toThrow();
    }
  });
});

test('a job of AWS Batch is told its own property', () => {
  const stack = new Stack(new App(), 'Stack');
  const role = new Role(stack, 'Role', { assumedBy: new ServicePrincipal('ecs-tasks.amazonaws.com') });
  // As `EcsFargateContainerDefinition` is, which the oldest aws-cdk-lib does not have.
  const job = Object.assign(new Construct(stack, 'Job'), { fargatePlatformVersion: 'LATEST', fargateCpuArchitecture: ARM64 });
  const image = SociImage.fromEcrRepository(repositoryIn(stack), 'v1', { platforms: [LINUX_AMD64] });
  image.bind(job, { taskDefinition: { obtainExecutionRole: () => role } } as never);
  expect(() => Template.fromStack(stack)).toThrow("add linux/arm64 to 'platforms', or change 'fargateCpuArchitecture' of the task");
});
