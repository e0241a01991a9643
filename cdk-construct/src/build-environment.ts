// Where builds run. In: checked options. Out: the settings of a project, and a key that is the same for the same
// settings. Defines no construct.

import { Stack, Token } from 'aws-cdk-lib';
import { ComputeType } from 'aws-cdk-lib/aws-codebuild';
import { RetentionDays } from 'aws-cdk-lib/aws-logs';
import { IConstruct } from 'constructs';
import { ProgramArchitecture } from './assets';
import { SociIndexOptions } from './build-options';
import { shortHash } from './short-hash';
import { isLambdaCompute, timeoutsOf } from './validate-build';

/** Amazon Linux 2023. The builder asks nothing of it but bash and glibc 2.34. */
const MACHINES = {
  x86_64: { type: 'LINUX_CONTAINER', image: 'aws/codebuild/amazonlinux-x86_64-standard:5.0' },
  aarch64: { type: 'ARM_CONTAINER', image: 'aws/codebuild/amazonlinux-aarch64-standard:3.0' },
};

/** Also Amazon Linux 2023; of this kind there are only images for a language. */
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

export function logRetentionOf({ logRetention = RetentionDays.ONE_MONTH }: SociIndexOptions): RetentionDays {
  return logRetention;
}

/**
 * Eight characters for the settings; nothing where all are the defaults. Only what is not the default counts, so that a
 * setting that is added one day leaves all keys as they are.
 */
export function keyOf(
  stack: Stack,
  options: SociIndexOptions,
  architecture: ProgramArchitecture,
): string | undefined {
  const { timeoutInMinutes, queuedTimeoutInMinutes } = machineOf({}, architecture);
  const defaults = new Map(
    Object.entries({ ...settingsOf(stack, {}, 'x86_64'), timeoutInMinutes, queuedTimeoutInMinutes }),
  );
  const settings = Object.entries(settingsOf(stack, options, architecture)).filter(
    ([name, value]) => value !== undefined && value !== defaults.get(name),
  );
  return settings.length === 0 ? undefined : shortHash(stack.resolve(settings));
}

/** The order is part of the key: what is new goes to the end. */
function settingsOf(
  stack: Stack,
  options: SociIndexOptions,
  architecture: ProgramArchitecture,
): Record<string, unknown> {
  const { computeType } = machineOf(options, architecture);
  const { timeout, queuedTimeout } = options;
  const { vpc, subnetSelection, securityGroups, encryptionKey, role, logGroup } = options;
  const name = (owner: IConstruct | undefined, text: string | undefined): unknown => nameIn(stack, owner, text);
  return {
    computeType,
    // Only what is given: a time that follows from the other one would change with our defaults.
    timeoutInMinutes: timeout?.toMinutes(),
    queuedTimeoutInMinutes: queuedTimeout?.toMinutes(),
    vpc: name(vpc, vpc?.vpcId),
    subnets: vpc?.selectSubnets(subnetSelection).subnets.map((subnet) => name(subnet, subnet.subnetId)),
    securityGroups: securityGroups?.map((group) => name(group, group.securityGroupId)),
    encryptionKey: name(encryptionKey, encryptionKey?.keyArn),
    role: name(role, role?.roleArn),
    logGroup: name(logGroup, logGroup?.logGroupName),
    logRetention: logRetentionOf(options),
    architecture,
  };
}

/** A name that is no text may only be a logical id, and those of two stacks can be the same. */
function nameIn(stack: Stack, owner: IConstruct | undefined, name: string | undefined): unknown {
  if (owner === undefined || !Token.isUnresolved(name) || Stack.of(owner) === stack) {
    return name;
  }
  return [Stack.of(owner).node.addr, name];
}
