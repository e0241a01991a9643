// Where builds run in CodeBuild. In: checked options. Out: the settings of a project, and a key that is the same for the same
// settings. Defines no construct.

import { Stack } from 'aws-cdk-lib';
import { ComputeType } from 'aws-cdk-lib/aws-codebuild';
import { ProgramArchitecture } from './assets';
import { SociIndexOptions } from './build-options';
import { EnvironmentSettings, keyOf, placesOf } from './environment-key';
import { isLambdaCompute, timeoutsOf } from './validate-project';

/** Amazon Linux 2023. The builder requires only bash and glibc 2.34. */
const MACHINES = {
  x86_64: { type: 'LINUX_CONTAINER', image: 'aws/codebuild/amazonlinux-x86_64-standard:5.0' },
  aarch64: { type: 'ARM_CONTAINER', image: 'aws/codebuild/amazonlinux-aarch64-standard:3.0' },
};

/** Also Amazon Linux 2023; Lambda compute only has language-specific images. */
const LAMBDA_MACHINES = {
  x86_64: { type: 'LINUX_LAMBDA_CONTAINER', image: 'aws/codebuild/amazonlinux-x86_64-lambda-standard:python3.12' },
  aarch64: { type: 'ARM_LAMBDA_CONTAINER', image: 'aws/codebuild/amazonlinux-aarch64-lambda-standard:python3.12' },
};

export interface BuildMachine {
  readonly type: string;
  readonly image: string;
  readonly computeType: string;
  readonly timeoutInMinutes?: number;
  readonly queuedTimeoutInMinutes?: number;
}

export function machineOf(options: SociIndexOptions, architecture: ProgramArchitecture): BuildMachine {
  const computeType = options.lambdaComputeType ?? options.computeType ?? ComputeType.SMALL;
  if (isLambdaCompute(options)) {
    return { ...LAMBDA_MACHINES[architecture], computeType };
  }
  const { build, queue } = timeoutsOf(options);
  return {
    ...MACHINES[architecture],
    computeType,
    timeoutInMinutes: build,
    queuedTimeoutInMinutes: queue,
  };
}

/** Eight characters for the settings of a project; nothing where all are the defaults. */
export function projectKeyOf(
  stack: Stack,
  options: SociIndexOptions,
  architecture: ProgramArchitecture,
): string | undefined {
  const { timeoutInMinutes, queuedTimeoutInMinutes } = machineOf({}, architecture);
  const defaults = { ...settingsOf(stack, {}, 'x86_64'), timeoutInMinutes, queuedTimeoutInMinutes };
  return keyOf(stack, settingsOf(stack, options, architecture), defaults);
}

function settingsOf(stack: Stack, options: SociIndexOptions, architecture: ProgramArchitecture): EnvironmentSettings {
  const { timeout, queuedTimeout } = options;
  return {
    computeType: machineOf(options, architecture).computeType,
    // Only explicit values: a derived timeout would change with our defaults.
    timeoutInMinutes: timeout?.toMinutes(),
    queuedTimeoutInMinutes: queuedTimeout?.toMinutes(),
    ...placesOf(stack, options),
    architecture,
  };
}
