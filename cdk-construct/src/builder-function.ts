// The function that builds indexes itself: one per stack and set of its settings. It gets its work from the provider function,
// whose program it runs, and answers CloudFormation in its place; where it ends without an answer, Lambda tells the provider.

import { Duration, Stack } from 'aws-cdk-lib';
import { IRepository } from 'aws-cdk-lib/aws-ecr';
import { CfnEventInvokeConfig } from 'aws-cdk-lib/aws-lambda';
import { Construct, IDependable } from 'constructs';
import { programArchitecture } from './assets';
import { SociIndexOptions } from './build-options';
import { Builder } from './builder';
import { EnvironmentSettings, keyOf, placesOf } from './environment-key';
import { functionRole } from './function-role';
import { logGroupIn } from './log-group';
import { networkOf, programFunction, ProgramFunctionProps } from './program-function';
import { ProgramRole } from './program-role';
import { ProviderFunction } from './provider-function';
import { Right } from './rights-policy';
import { allow } from './statement';
import { DEFAULT_FUNCTION_TIMEOUT, DEFAULT_MEMORY_SIZE } from './validate-function';

/** Part of the logical ids of deployed stacks; must not change. */
const ID = 'SociIndexBuildFunction';

/** Of the provider. */
const INVOKE: Right = { name: 'invoke', actions: ['lambda:InvokeFunction'] };

/** What the program reads to know that it is this function. */
const ENVIRONMENT = { SOCI_INDEX_BUILD_FUNCTION: 'builder' };

/** What the function keeps of an invocation to answer in, after the time for the build. */
const TO_ANSWER = Duration.minutes(1);

/** An event that waits for longer fails, so that the provider answers before CloudFormation's hour is over. */
const EVENT_AGE_MAX = Duration.minutes(30);

export class BuilderFunction extends Construct implements Builder {
  /** The function of the scope's stack for these settings; made where there is none yet. */
  public static of(scope: Construct, options: SociIndexOptions): BuilderFunction {
    const stack = Stack.of(scope);
    const key = keyOf(stack, settingsOf(stack, options), { ...settingsOf(stack, {}), architecture: 'x86_64' });
    const id = key === undefined ? ID : `${ID}-${key}`;
    return (stack.node.tryFindChild(id) as BuilderFunction | undefined) ?? new BuilderFunction(stack, id, options);
  }

  public readonly property: Builder['property'];
  public readonly arn: string;
  public readonly right = INVOKE;
  public readonly essentials: IDependable[];
  private readonly role: ProgramRole;

  private constructor(scope: Construct, id: string, options: SociIndexOptions) {
    super(scope, id);

    const { vpc, subnetSelection, securityGroups, memorySize, timeout } = options;
    const provider = ProviderFunction.of(this);
    const logGroup = options.logGroup ?? logGroupIn(this, options);
    this.role = functionRole(this, {
      given: options.role,
      logGroup,
      vpc,
      isPulling: true,
      statements: [
        // Lambda hands a failed event to the provider with this role.
        allow(['lambda:InvokeFunction'], provider.functionArn),
        // A newer request of the same resource ends the build of an older one.
        allow(['cloudformation:DescribeStackResource'], Stack.of(this).stackId),
      ],
    });

    const settings: ProgramFunctionProps = {
      description: 'Builds SOCI indexes of container images',
      environment: ENVIRONMENT,
      memorySize: memorySize ?? DEFAULT_MEMORY_SIZE,
      timeout: (timeout ?? DEFAULT_FUNCTION_TIMEOUT).plus(TO_ANSWER),
      role: this.role.role,
      logGroup,
      vpc,
      subnetSelection,
      securityGroups,
    };
    const handler = programFunction(this, settings);
    const failures = new CfnEventInvokeConfig(this, 'Failures', {
      functionName: handler.functionName,
      qualifier: '$LATEST',
      // One that failed would fail again, and take as long.
      maximumRetryAttempts: 0,
      maximumEventAgeInSeconds: EVENT_AGE_MAX.toSeconds(),
      destinationConfig: { onFailure: { destination: provider.functionArn } },
    });
    // Lambda tries the rights of the role when it makes these.
    for (const policy of this.role.policy) {
      handler.node.addDependency(policy);
      failures.node.addDependency(policy);
    }
    this.property = { BuilderFunction: handler.functionArn };
    this.arn = handler.functionArn;
    this.essentials = [...this.role.essentials, failures, ...networkOf(handler, settings)];
  }

  public useRepository(repository: IRepository): void {
    this.role.useRepository(repository);
  }
}

function settingsOf(stack: Stack, options: SociIndexOptions): EnvironmentSettings {
  const { memorySize = DEFAULT_MEMORY_SIZE, timeout = DEFAULT_FUNCTION_TIMEOUT } = options;
  return {
    memorySize,
    timeoutInMinutes: timeout.toMinutes(),
    ...placesOf(stack, options),
    architecture: programArchitecture(),
  };
}
