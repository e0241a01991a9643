// The task of a container, as known at synth: an ECS task definition or an AWS Batch job definition. In: what
// CDK passes to an image. Out: a common form of both, or an error for anything else.

import { CfnResource, Stack } from 'aws-cdk-lib';
import { Compatibility, CpuArchitecture, OperatingSystemFamily, TaskDefinition } from 'aws-cdk-lib/aws-ecs';
import { IRole } from 'aws-cdk-lib/aws-iam';
import { Construct } from 'constructs';

export interface Task {
  /** The construct to which warnings and errors are attached. */
  readonly container: Construct;
  readonly path: string;
  readonly mayBeFargate: boolean;
  /** The property that sets the task's architecture. */
  readonly architectureProperty: string;
  /** Must be called when everything is defined, because overrides can change the task until then. */
  runtime(): Runtime;
  obtainExecutionRole(): IRole;
}

export interface Runtime {
  readonly architecture?: string;
  readonly operatingSystem?: string;
}

/** Fargate's default. */
const DEFAULT_ARCHITECTURE = 'X86_64';

/** Only ECS passes a complete task definition. Batch passes one with only the role, and EKS none. */
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
    // The image is bound before the container's properties are set; this method exists only on EC2 containers.
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

/** Reads the task from the template, which includes overrides and aspects. */
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
  // EC2 instances have their own architecture.
  const isFargate = taskDefinition.compatibility === Compatibility.FARGATE;
  return {
    architecture: text(CpuArchitecture ?? (isKnown && isFargate ? DEFAULT_ARCHITECTURE : undefined)),
    operatingSystem: text(OperatingSystemFamily),
  };
}

/** Undefined for values known only at deployment. */
function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
