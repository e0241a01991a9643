// The task that is to run an image, as far as synth knows it. In: a container, and what its image is built or indexed for.
// Out: an error where the image could not start or would start without its index; a warning where nothing loads it lazily.

import { Annotations, CfnResource, Stack, Token } from 'aws-cdk-lib';
import { Platform } from 'aws-cdk-lib/aws-ecr-assets';
import { Compatibility, ContainerDefinition } from 'aws-cdk-lib/aws-ecs';
import { addCheck } from './lookups';

/** The platform that a task of an architecture runs. */
const PLATFORMS: Partial<Record<string, string>> = { X86_64: 'linux/amd64', ARM64: 'linux/arm64' };

/** What Fargate runs where a task says nothing. */
const DEFAULT_ARCHITECTURE = 'X86_64';

/** An indexed image: for these platforms, or for all that it has. */
export function checkTaskOfIndex(container: ContainerDefinition, platforms?: Platform[]): void {
  const { taskDefinition } = container;
  if (!taskDefinition.isFargateCompatible) {
    Annotations.of(container).addWarning(
      'Only Fargate loads an image with a SOCI index lazily by itself, and this task is not for Fargate. Elsewhere the ' +
        'index is of use only where the SOCI snapshotter is installed on the instances.',
    );
  }
  atSynth(container, ({ architecture, operatingSystem }) => {
    if (operatingSystem?.startsWith('WINDOWS')) {
      return (
        `The task ${taskDefinition.node.path} runs ${operatingSystem}, but SOCI indexes are for Linux images: ` +
        `give the container an image without an index`
      );
    }
    const needed = PLATFORMS[architecture ?? ''];
    const indexed = platforms?.map(({ platform }) => platform) ?? [];
    if (needed === undefined || indexed.length === 0 || indexed.some((name) => mayBe(name, needed))) {
      return undefined;
    }
    return (
      `The task ${taskDefinition.node.path} runs on ${architecture}, but its image is indexed for ${indexed.join(', ')} ` +
      `only, so it would start without an index: add ${needed} to 'platforms', or change the task's 'runtimePlatform'`
    );
  });
}

/** An image that is built for this platform. */
export function checkTaskOfBuild(container: ContainerDefinition, { platform }: Platform): void {
  atSynth(container, ({ architecture }) => {
    const needed = PLATFORMS[architecture ?? ''];
    const [other] = Object.entries(PLATFORMS).find(([, name = '']) => name !== needed && isFor(platform, name)) ?? [];
    // A platform of neither may be another word for the one that is needed, or run there too.
    if (needed === undefined || other === undefined) {
      return undefined;
    }
    return (
      `The task ${container.taskDefinition.node.path} runs on ${architecture}, but its image is built for ${platform}, so ` +
      `it could not start: build it for ${needed} ('platform'), or give the task a 'runtimePlatform' of ${other}`
    );
  });
}

interface Runtime {
  readonly architecture?: string;
  readonly operatingSystem?: string;
}

/** When everything is defined: until then, the task can be changed by its resource. */
function atSynth(container: ContainerDefinition, problemOf: (runtime: Runtime) => string | undefined): void {
  addCheck(container, () => [problemOf(runtimeOf(container))].filter((problem) => problem !== undefined));
}

/** What the task says, as it is in the template: that is where overrides and aspects are seen. */
function runtimeOf({ taskDefinition }: ContainerDefinition): Runtime {
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

function mayBe(platform: string, needed: string): boolean {
  return Token.isUnresolved(platform) || isFor(platform, needed);
}

/** With or without a variant. */
function isFor(platform: string, needed: string): boolean {
  return platform === needed || platform.startsWith(`${needed}/`);
}
