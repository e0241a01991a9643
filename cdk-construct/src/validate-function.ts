// Checks of an index that is built in a function. In: the options, with their defaults. Out: nothing, or an error that quotes the
// value. Tokens pass, but for what has to be known at synth.

import { Duration, Token } from 'aws-cdk-lib';
import { SociIndexOptions } from './build-options';
import { shown } from './validate';

/** In MB. A little more than one vCPU, which starts at 1,769 MB (Lambda's developer guide, "Configure Lambda function memory"). */
export const DEFAULT_MEMORY_SIZE = 2_048;
const MEMORY_SIZE_MIN = 512;
/** Lambda's own upper bound. */
const MEMORY_SIZE_MAX = 10_240;

/** Lambda ends an invocation after 15 minutes; the last one is for the answer. */
export const DEFAULT_FUNCTION_TIMEOUT = Duration.minutes(14);
const TIMEOUT_MAX_MINUTES = DEFAULT_FUNCTION_TIMEOUT.toMinutes();

type FunctionSize = Pick<SociIndexOptions, 'memorySize' | 'timeout'>;

/** What only a build in CodeBuild has. */
const OF_CODE_BUILD = ['computeType', 'lambdaComputeType', 'queuedTimeout'] as const;

export function checkFunction(options: SociIndexOptions): void {
  for (const property of OF_CODE_BUILD) {
    const given = options[property];
    if (given !== undefined) {
      throw new Error(
        `'${property}' cannot be used with 'builder' FUNCTION, because it is a CodeBuild setting, got ${shown(given)}: ` +
          `omit it ('memorySize' sets the size of a function), or set 'builder' to CODE_BUILD`,
      );
    }
  }
  checkFunctionSize(options, "set 'builder' to CODE_BUILD");
}

/** Memory and time. In: what to do about builds that take longer. */
export function checkFunctionSize({ memorySize, timeout }: FunctionSize, forLonger: string): void {
  checkMemorySize(memorySize);
  checkTimeout(timeout, forLonger);
}

/** What only a function has. */
export function checkNoFunction({ memorySize }: SociIndexOptions): void {
  if (memorySize !== undefined) {
    throw new Error(
      `'memorySize' cannot be used with CodeBuild, got ${shown(memorySize)}: set 'builder' to FUNCTION, or ` +
        `use 'computeType' instead`,
    );
  }
}

function checkMemorySize(megabytes?: number): void {
  if (megabytes === undefined || Token.isUnresolved(megabytes)) {
    return;
  }
  if (!Number.isInteger(megabytes) || megabytes < MEMORY_SIZE_MIN || megabytes > MEMORY_SIZE_MAX) {
    throw new Error(
      `'memorySize' must be a whole number of MB between ${MEMORY_SIZE_MIN} (required by a build) and ${MEMORY_SIZE_MAX} ` +
        `(Lambda's limit), got ${megabytes}`,
    );
  }
}

function checkTimeout(timeout: Duration | undefined, forLonger: string): void {
  if (timeout === undefined) {
    return;
  }
  // One minute is added to it, and nothing can be added to a token.
  if (timeout.isUnresolved()) {
    throw new Error(
      `'timeout' must be known at synth for a function, got a token: use 1 to ${TIMEOUT_MAX_MINUTES} minutes, or ${forLonger}`,
    );
  }
  const minutes = timeout.toMinutes({ integral: false });
  if (!Number.isInteger(minutes) || minutes < 1 || minutes > TIMEOUT_MAX_MINUTES) {
    throw new Error(
      `'timeout' must be 1 to ${TIMEOUT_MAX_MINUTES} whole minutes for a function, because Lambda's limit is 15, ` +
        `got ${minutes} minutes: for longer builds ${forLonger}`,
    );
  }
}
