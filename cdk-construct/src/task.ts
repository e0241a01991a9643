// The task that a container is of, as far as synth knows it: a task definition of ECS, or a job definition of AWS Batch. In: what
// CDK hands to an image. Out: one form of both, or an error where nothing pulls an image as ECS does.

import { CfnResource, Stack } from 'aws-cdk-lib';
import { Compatibility, CpuArchitecture, OperatingSystemFamily, TaskDefinition } from 'aws-cdk-lib/aws-ecs';
import { IRole } from 'aws-cdk-lib/aws-iam';
import { Construct } from 'constructs';

export interface Task {
  /** What warnings and errors are about. */
  readonly container: Construct;
  readonly path: string;
  readonly mayBeFargate: boolean;
  /** The property that says on which architecture it runs. */
  readonly architectureProperty: string;
  /** To be asked when everything is defined: until then, the task can be changed by its resource. */
  runtime(): Runtime;
  obtainExecutionRole(): IRole;
}

export interface Runtime {
  readonly architecture?: string;
  readonly operatingSystem?: string;
}

/** What Fargate runs where a task says nothing. */
const DEFAULT_ARCHITECTURE = 'X86_64';

/** Only a container of ECS has a whole task definition. That of Batch has the role alone, and that of EKS has none. */
export function taskOf(scope: Construct, container: { readonly taskDefinition?: Partial<TaskDefinition> }): Task {
  const { taskDefinition } = container;
  if (isWhole(taskDefinition)) {
    return {
      container: scope,
      path: taskDefinition.node.path,
      mayBeFargate: taskDefinition.isFargateCompatible,
      architectureProperty: 'runtimePlatform',
      runtime: () => runtimeOf(taskDefinition),
      obtainExecutionRole: () => taskDefinition.obtainExecutionRole(),
    };
  }
  if (taskDefinition?.obtainExecutionRole === undefined) {
    throw new Error(
      `${scope.node.path} is not an ECS container. Only ECS on Fargate loads images with a SOCI index lazily: ` +
        `use an image without an index, from ContainerImage`,
    );
  }
  return {
    container: scope,
    path: scope.node.path,
    // The image is bound before the container has its properties; this is a method, and only EC2 has it.
    mayBeFargate: !('addUlimit' in scope),
    architectureProperty: 'fargateCpuArchitecture',
    runtime: () => (isOfFargate(scope) ? runtimeOfJob(scope) : {}),
    obtainExecutionRole: taskDefinition.obtainExecutionRole,
  };
}

function isWhole(task: Partial<TaskDefinition> | undefined): task is TaskDefinition {
  return task?.node !== undefined;
}

/** `EcsFargateContainerDefinition` of aws-batch, which the oldest aws-cdk-lib that we work with does not have. */
interface FargateJob extends Construct {
  readonly fargatePlatformVersion: unknown;
  readonly fargateCpuArchitecture?: CpuArchitecture;
  readonly fargateOperatingSystemFamily?: OperatingSystemFamily;
}

function isOfFargate(container: Construct): container is FargateJob {
  return 'fargatePlatformVersion' in container;
}

function runtimeOfJob({ fargateCpuArchitecture, fargateOperatingSystemFamily }: FargateJob): Runtime {
  return {
    architecture: text(fargateCpuArchitecture?._cpuArchitecture ?? DEFAULT_ARCHITECTURE),
    operatingSystem: text(fargateOperatingSystemFamily?._operatingSystemFamily),
  };
}

/** What the task says, as it is in the template: that is where overrides and aspects are seen. */
function runtimeOf(taskDefinition: TaskDefinition): Runtime {
  const resource = taskDefinition.node.defaultChild;
  if (resource === undefined || !CfnResource.isCfnResource(resource)) {
    return {};
  }
  const { Resources: resources } = Stack.of(taskDefinition).resolve(resource._toCloudFormation()) as {
    Resources: Record<string, { Properties?: { RuntimePlatform?: Record<string, unknown> } }>;
  };
  const { CpuArchitecture, OperatingSystemFamily, ...others } =
    Object.values(resources)[0].Properties?.RuntimePlatform ?? {};
  const isKnown = Object.keys(others).length === 0;
  // An instance of the user's own has its own architecture.
  const isFargate = taskDefinition.compatibility === Compatibility.FARGATE;
  return {
    architecture: text(CpuArchitecture ?? (isKnown && isFargate ? DEFAULT_ARCHITECTURE : undefined)),
    operatingSystem: text(OperatingSystemFamily),
  };
}

/** Nothing for what is known at deployment only. */
function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
