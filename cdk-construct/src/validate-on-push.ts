// Validates SociIndexOnPush before anything is defined. In: the properties, with their defaults. Out: nothing, or an error that
// quotes the value. Tokens pass, but for what has to be known at synth.

import { Duration, Stack, Token } from 'aws-cdk-lib';
import { Construct } from 'constructs';
import { SociIndexOnPushProps, SociIndexVersion } from './on-push-props';
import { checkFilters, checkRepositories } from './push-filters';
import { checkContent, quoted, shown, TAG_MAX } from './validate';
import { checkPlace, checkRepository } from './validate-build';
import { checkFunctionSize } from './validate-function';

/** Lambda's limits for asynchronous invocations ("Configuring error handling settings"). */
export const RETRY_ATTEMPTS_MAX = 2;
export const EVENT_AGE_MAX = Duration.hours(6);
const EVENT_AGE_MIN = Duration.seconds(60);

const SUFFIX = /^[A-Za-z0-9._-]+$/;

export function checkOnPush(scope: Construct, props: SociIndexOnPushProps, outputSuffix?: string): void {
  checkVersion(props);
  checkSuffix(props.outputSuffix);
  checkFilters(props.filters, props.repositories, outputSuffix);
  checkRepositories(Stack.of(scope), props.repositories);
  props.repositories?.forEach((repository) => {
    checkRepository(scope, repository);
  });
  checkContent(props);
  checkFunctionSize(props, 'index larger images during a deployment (SociIndexV2Build), which CodeBuild can do');
  checkPlace(scope, props);
  checkWhole('maxConcurrency', props.maxConcurrency, 1);
  checkWhole('retryAttempts', props.retryAttempts, 0, RETRY_ATTEMPTS_MAX);
  checkEventAge(props.maxEventAge);
}

function checkVersion({ version, outputSuffix }: SociIndexOnPushProps): void {
  // Not every language enforces the enum.
  if (version !== undefined && !Token.isUnresolved(version) && !Object.values(SociIndexVersion).includes(version)) {
    throw new Error(`'version' must be V1 or V2 of SociIndexVersion, got ${quoted(version)}`);
  }
  if (version === SociIndexVersion.V1 && outputSuffix !== undefined) {
    throw new Error(
      `'outputSuffix' cannot be combined with version 1, whose index has no tag, got ${shown(outputSuffix)}: omit it`,
    );
  }
}

function checkSuffix(outputSuffix?: string): void {
  if (outputSuffix === undefined || Token.isUnresolved(outputSuffix)) {
    return;
  }
  if (!SUFFIX.test(outputSuffix) || outputSuffix.length >= TAG_MAX) {
    throw new Error(
      `'outputSuffix' must have 1 to ${TAG_MAX - 1} letters, digits, '.', '_' and '-', got ${quoted(outputSuffix)}`,
    );
  }
}

function checkWhole(property: string, value: number | undefined, least: number, most = Number.MAX_SAFE_INTEGER): void {
  if (value === undefined || Token.isUnresolved(value)) {
    return;
  }
  if (!Number.isInteger(value) || value < least || value > most) {
    const range = most === Number.MAX_SAFE_INTEGER ? `at least ${least}` : `between ${least} and ${most}`;
    throw new Error(`'${property}' must be a whole number, ${range}, got ${value}`);
  }
}

function checkEventAge(age?: Duration): void {
  if (age === undefined || age.isUnresolved()) {
    return;
  }
  const seconds = age.toSeconds({ integral: false });
  if (!Number.isInteger(seconds) || seconds < EVENT_AGE_MIN.toSeconds() || seconds > EVENT_AGE_MAX.toSeconds()) {
    throw new Error(
      `'maxEventAge' must be between ${EVENT_AGE_MIN.toSeconds()} seconds and ${EVENT_AGE_MAX.toHours()} hours (Lambda's limits), ` +
        `got ${seconds} seconds`,
    );
  }
}
