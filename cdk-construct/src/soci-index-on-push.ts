// Indexes whatever is pushed: a rule selects the pushes, a function indexes each image, and what fails lies in a queue.

import { Duration, Stack } from 'aws-cdk-lib';
import { IAlarm } from 'aws-cdk-lib/aws-cloudwatch';
import { IRule, Rule } from 'aws-cdk-lib/aws-events';
import { LambdaFunction } from 'aws-cdk-lib/aws-events-targets';
import { CfnEventInvokeConfig, Function, IFunction } from 'aws-cdk-lib/aws-lambda';
import { IQueue, Queue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { withDefaults } from './defaults-of';
import { alarmOn, failureQueueIn, queueStatements, redriveOf } from './failure-queue';
import { functionRole } from './function-role';
import { logGroupIn } from './log-group';
import { checkValues } from './lookups';
import { onPushDashboard } from './on-push-dashboard';
import { checkEnvironment, onPushEnvironment } from './on-push-environment';
import { SociIndexOnPushProps, SociIndexVersion } from './on-push-props';
import { networkOf, programFunction, ProgramFunctionProps } from './program-function';
import { ProgramRole } from './program-role';
import { ANYTHING, filterOf, filterTexts } from './push-filters';
import { pushPattern } from './push-pattern';
import { LIST_AND_PUSH, LIST_REPOSITORIES } from './repository-rights';
import { allow } from './statement';
import { networkWarnings } from './validate-build';
import { DEFAULT_FUNCTION_TIMEOUT, DEFAULT_MEMORY_SIZE } from './validate-function';
import { checkOnPush, EVENT_AGE_MAX, RETRY_ATTEMPTS_MAX } from './validate-on-push';
import { warn } from './warnings';

const DEFAULT_OUTPUT_SUFFIX = '-soci';

/** What the function keeps of an invocation to write its line and fail in, after the time for the image. */
const TO_REPORT = Duration.minutes(1);

const ENDPOINTS = 'ecr.api, ecr.dkr and lambda, and a gateway endpoint for s3';

/**
 * Indexes images when they are pushed, by whatever means, and images that replication brings. For images that
 * `cdk deploy` does not push; a deployment does not wait for them.
 *
 * An EventBridge rule invokes a Lambda function for each image that matches. Images that could not be indexed after all retries are
 * in a queue, with an alarm. Works for one account and region.
 */
export class SociIndexOnPush extends Construct {
  /**
   * The function that indexes images.
   */
  public readonly function: IFunction;

  /**
   * The queue of the events whose image could not be indexed.
   */
  public readonly queue: IQueue;

  /**
   * The alarm that goes off when an event is in the queue.
   */
  public readonly alarm: IAlarm;

  /**
   * The rule that selects the events.
   */
  public readonly rule: IRule;

  constructor(scope: Construct, id: string, props: SociIndexOnPushProps) {
    super(scope, id);

    const stack = Stack.of(this);
    const settings = withDefaults(this, props);
    const version = settings.version ?? SociIndexVersion.V2;
    const outputSuffix = version === SociIndexVersion.V1 ? undefined : (settings.outputSuffix ?? DEFAULT_OUTPUT_SUFFIX);
    checkValues(this, () => {
      checkOnPush(this, settings, outputSuffix);
    });
    const filters = filterTexts(settings.filters, settings.repositories);
    const environment = onPushEnvironment(stack, filters, outputSuffix, { ...settings, version });
    checkValues(this, () => {
      checkEnvironment(stack, environment);
    });
    for (const warning of networkWarnings(settings, ENDPOINTS)) {
      warn(this, 'soci-index-build:noInternet', warning);
    }

    const { vpc, encryptionKey } = settings;
    const timeout = (settings.timeout ?? DEFAULT_FUNCTION_TIMEOUT).plus(TO_REPORT);
    const logGroup = settings.logGroup ?? logGroupIn(this, settings);
    const queue = failureQueueIn(this, timeout, encryptionKey);
    const role = functionRole(this, {
      given: settings.role,
      logGroup,
      vpc,
      isPulling: true,
      statements: queueStatements(queue, encryptionKey),
    });
    allowRepositories(stack, role, settings);

    const functionSettings: ProgramFunctionProps = {
      description: 'Builds SOCI indexes of container images when they are pushed',
      environment,
      memorySize: settings.memorySize ?? DEFAULT_MEMORY_SIZE,
      timeout,
      role: role.role,
      logGroup,
      reservedConcurrentExecutions: settings.maxConcurrency,
      vpc,
      subnetSelection: settings.subnetSelection,
      securityGroups: settings.securityGroups,
    };
    const handler = programFunction(this, functionSettings);
    // A policy of its own: the role's other policies are made before the function, and cannot name it.
    role.attach('InvokeItself', [allow(['lambda:InvokeFunction'], handler.functionArn)]);
    const failures = this.failuresOf(handler, queue, settings);
    const redrive = redriveOf(this, queue, handler);
    // Lambda tries the rights of the role when it makes these.
    for (const policy of role.policy) {
      handler.node.addDependency(policy);
      failures.node.addDependency(policy);
      redrive.node.addDependency(policy);
    }

    const rule = new Rule(this, 'Rule', {
      description: 'Pushed images that get a SOCI index',
      eventPattern: pushPattern(stack, filters, outputSuffix),
      targets: [new LambdaFunction(handler, { deadLetterQueue: queue })],
    });
    // The first event must find all of it.
    rule.node.addDependency(...role.essentials, failures, ...networkOf(handler, functionSettings));

    const alarm = alarmOn(this, queue, settings.alarmTopic);
    if (settings.dashboard === true) {
      onPushDashboard(this, { handler, queue, alarm });
    }
    this.function = handler;
    this.queue = queue;
    this.alarm = alarm;
    this.rule = rule;
  }

  private failuresOf(handler: Function, queue: Queue, { retryAttempts, maxEventAge }: SociIndexOnPushProps): CfnEventInvokeConfig {
    return new CfnEventInvokeConfig(this, 'Failures', {
      functionName: handler.functionName,
      qualifier: '$LATEST',
      maximumRetryAttempts: retryAttempts ?? RETRY_ATTEMPTS_MAX,
      maximumEventAgeInSeconds: (maxEventAge ?? EVENT_AGE_MAX).toSeconds(),
      destinationConfig: { onFailure: { destination: queue.queueArn } },
    });
  }
}

/** Exactly what the filters name; a pattern of a filter is a pattern of IAM, too. */
function allowRepositories(stack: Stack, role: ProgramRole, { filters = [], repositories = [] }: SociIndexOnPushProps): void {
  const arnOf = (resourceName: string): string => stack.formatArn({ service: 'ecr', resource: 'repository', resourceName });
  const names = [...new Set(filters.map((filter) => filterOf(filter).repository))];
  for (const name of names) {
    role.allow(LIST_AND_PUSH, { arn: arnOf(name), owner: stack });
  }
  for (const repository of repositories) {
    role.allow(LIST_AND_PUSH, { arn: repository.repositoryArn, owner: repository.stack });
  }
  if (names.some((name) => name.includes(ANYTHING))) {
    // For a backfill; names can only be listed together with all others.
    role.allow(LIST_REPOSITORIES, { arn: arnOf(ANYTHING), owner: stack });
  }
  role.acceptWildcards('They are the patterns of the filters; and repositories can only be listed all together');
}
