// Checks of the task that runs an image. In: the task, and the platforms for which its image is built or indexed.
// Out: an error if the image could not start or would start without its index; a warning if nothing loads it lazily.

import { Token } from 'aws-cdk-lib';
import { Platform } from 'aws-cdk-lib/aws-ecr-assets';
import { addCheck } from './lookups';
import { Runtime, Task } from './task';
import { warn } from './warnings';

/** The platform for each task architecture. */
const PLATFORMS: Partial<Record<string, string>> = { X86_64: 'linux/amd64', ARM64: 'linux/arm64' };

/** For an image that is indexed for these platforms, or for all. */
export function checkTaskOfIndex(task: Task, platforms?: Platform[]): void {
  if (!task.mayBeFargate) {
    warn(
      task.container,
      'soci-index-build:notFargate',
      'This task does not run on Fargate. Only Fargate loads images with a SOCI index lazily without further setup; on ' +
        'other instances the index is used only if the SOCI snapshotter is installed.',
    );
  }
  atSynth(task, ({ architecture, operatingSystem }) => {
    if (operatingSystem?.startsWith('WINDOWS')) {
      return (
        `The task ${task.path} runs ${operatingSystem}, but SOCI supports only Linux images: ` +
        `use an image without an index for this container`
      );
    }
    const needed = PLATFORMS[architecture ?? ''];
    const indexed = platforms?.map(({ platform }) => platform) ?? [];
    if (needed === undefined || indexed.length === 0 || indexed.some((name) => mayBe(name, needed))) {
      return undefined;
    }
    return (
      `The task ${task.path} runs on ${architecture}, but its image is indexed for ${indexed.join(', ')} ` +
      `only, so it would start without an index: add ${needed} to 'platforms', or change '${task.architectureProperty}' of the task`
    );
  });
}

/** For an image that is built for this platform. */
export function checkTaskOfBuild(task: Task, { platform }: Platform): void {
  atSynth(task, ({ architecture }) => {
    const needed = PLATFORMS[architecture ?? ''];
    const [other] = Object.entries(PLATFORMS).find(([, name = '']) => name !== needed && isFor(platform, name)) ?? [];
    // An unknown platform may be an alias of the required one, or compatible with it.
    if (needed === undefined || other === undefined) {
      return undefined;
    }
    return (
      `The task ${task.path} runs on ${architecture}, but its image is built for ${platform}, so ` +
      `it could not start: set 'platform' to ${needed}, or set '${task.architectureProperty}' of the task to ${other}`
    );
  });
}

/** Runs when everything is defined. */
function atSynth(task: Task, problemOf: (runtime: Runtime) => string | undefined): void {
  addCheck(task.container, () => [problemOf(task.runtime())].filter((problem) => problem !== undefined));
}

function mayBe(platform: string, needed: string): boolean {
  return Token.isUnresolved(platform) || isFor(platform, needed);
}

/** With or without a variant. */
function isFor(platform: string, needed: string): boolean {
  return platform === needed || platform.startsWith(`${needed}/`);
}
