// Validates the options of builds in CodeBuild: machine and timeouts. In: the options with their defaults. Out: nothing, or an error that
// quotes the value; and derived values. Tokens are accepted.

import { Duration, Token } from 'aws-cdk-lib';
import { SociIndexOptions } from './build-options';
import { quoted, shown } from './validate';

/** CodeBuild's minimum for both timeouts. */
const TIMEOUT_MIN_MINUTES = 5;

/** The provider responds at most 55 minutes after the event. */
const TIMEOUTS_BELOW_MINUTES = 55;

/**
 * Defaults. A build takes minutes; if the account's quota allows only one build at a time, the builds of a stack
 * wait for each other.
 */
export const DEFAULT_TIMEOUT = Duration.minutes(20);
export const DEFAULT_QUEUED_TIMEOUT = Duration.minutes(30);

const LAMBDA = 'BUILD_LAMBDA_';

/** Machine and times. */
export function checkProject(options: SociIndexOptions): void {
  checkComputeType(options);
  if (isLambdaCompute(options)) {
    checkLambdaCompute(options);
  } else {
    checkTimeouts(options);
  }
}

/** Whether builds run on CodeBuild's Lambda compute. */
export function isLambdaCompute({ computeType, lambdaComputeType }: SociIndexOptions): boolean {
  const type: string | undefined = lambdaComputeType ?? computeType;
  return type !== undefined && !Token.isUnresolved(type) && type.startsWith(LAMBDA);
}

function checkComputeType({ computeType, lambdaComputeType }: SociIndexOptions): void {
  if (computeType !== undefined && lambdaComputeType !== undefined) {
    throw new Error(
      `'computeType' and 'lambdaComputeType' cannot be combined, got ${quoted(computeType)} and ` +
        quoted(lambdaComputeType),
    );
  }
  if (
    computeType !== undefined &&
    !Token.isUnresolved(computeType) &&
    !computeType.startsWith('BUILD_GENERAL1_') &&
    !computeType.startsWith(LAMBDA)
  ) {
    throw new Error(`'computeType' must be one of BUILD_GENERAL1_… or BUILD_LAMBDA_…, got ${quoted(computeType)}`);
  }
}

function checkLambdaCompute(options: SociIndexOptions): void {
  for (const property of ['timeout', 'queuedTimeout'] as const) {
    const given = options[property];
    if (given !== undefined) {
      throw new Error(
        `'${property}' cannot be set with Lambda compute, which has a fixed timeout of 15 minutes, got ${shown(given)}: ` +
          `omit it, or use a 'computeType' of BUILD_GENERAL1_…`,
      );
    }
  }
  if (options.vpc !== undefined) {
    throw new Error(
      `'vpc' cannot be used with Lambda compute, which does not support VPCs, got ${quoted(options.vpc.node.path)}: ` +
        `omit it, or use a 'computeType' of BUILD_GENERAL1_…`,
    );
  }
}

/** Both timeouts in minutes. A default is shortened if the other timeout requires it. */
export function timeoutsOf({ timeout, queuedTimeout }: SociIndexOptions): { build: number; queue: number } {
  const build = timeout?.toMinutes();
  const queue = queuedTimeout?.toMinutes();
  return {
    build: build ?? remainingMinutes(DEFAULT_TIMEOUT, queue),
    queue: queue ?? remainingMinutes(DEFAULT_QUEUED_TIMEOUT, build),
  };
}

function remainingMinutes(wanted: Duration, other?: number): number {
  const minutes = wanted.toMinutes();
  if (other === undefined || Token.isUnresolved(other)) {
    return minutes;
  }
  return Math.max(TIMEOUT_MIN_MINUTES, Math.min(minutes, TIMEOUTS_BELOW_MINUTES - 1 - other));
}

function checkTimeouts(options: SociIndexOptions): void {
  for (const property of ['timeout', 'queuedTimeout'] as const) {
    const given = options[property];
    if (given?.isUnresolved()) {
      return;
    }
    checkWholeMinutes(property, given);
  }
  const { build, queue } = timeoutsOf(options);
  if (build + queue >= TIMEOUTS_BELOW_MINUTES) {
    throw new Error(
      `'timeout' and 'queuedTimeout' together must be below ${TIMEOUTS_BELOW_MINUTES} minutes, ` +
        `because CloudFormation waits at most one hour, got ${build} and ${queue}`,
    );
  }
}

function checkWholeMinutes(property: string, duration?: Duration): void {
  const minutes = duration?.toMinutes({ integral: false });
  if (minutes !== undefined && (!Number.isInteger(minutes) || minutes < TIMEOUT_MIN_MINUTES)) {
    throw new Error(`'${property}' must be a whole number of minutes, at least ${TIMEOUT_MIN_MINUTES}, got ${minutes} minutes`);
  }
}
