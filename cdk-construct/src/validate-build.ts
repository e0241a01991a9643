// Checks of where an index is built, before anything is defined: machine, times, network, role and log. In: the options
// and the construct that they are for. Out: nothing, or an error that quotes the value; and warnings. Tokens pass.

import { Duration, Stack, Token } from 'aws-cdk-lib';
import { SelectedSubnets } from 'aws-cdk-lib/aws-ec2';
import { IRepository } from 'aws-cdk-lib/aws-ecr';
import { RegionInfo } from 'aws-cdk-lib/region-info';
import { Construct } from 'constructs';
import { SociIndexOptions } from './build-options';
import { quoted } from './validate';

/** CodeBuild's own lower bound of both timeouts. */
const TIMEOUT_MIN_MINUTES = 5;

/** The provider answers 55 minutes after the event, whatever the build does. */
const TIMEOUTS_BELOW_MINUTES = 55;

/**
 * Where neither is given. A build takes minutes; an account's quota may let only one run at a time, and the builds of a stack
 * then wait for each other.
 */
export const DEFAULT_TIMEOUT = Duration.minutes(20);
export const DEFAULT_QUEUED_TIMEOUT = Duration.minutes(30);

const LAMBDA = 'BUILD_LAMBDA_';

/** What a build without a way to the internet calls. */
const ENDPOINTS = 'ecr.api, ecr.dkr, logs and codebuild, and a gateway endpoint for s3';

/** Everything that says where an index is built. */
export function checkBuild(scope: Construct, options: SociIndexOptions): void {
  checkBuildOptions(options);
  checkPlaces(scope, options);
}

/** What can be said of it before it is known in which stack. */
export function checkBuildOptions(options: SociIndexOptions): void {
  checkComputeType(options);
  if (isLambdaCompute(options)) {
    checkLambdaCompute(options);
  } else {
    checkTimeouts(options);
  }
  checkLog(options);
  checkNetwork(options);
}

/** A repository may be in another region or account, but no role works in two partitions. */
export function checkRepository(scope: Construct, { env, repositoryArn }: IRepository): void {
  const own = partitionOf(Stack.of(scope).region);
  // One that is imported by its attributes counts as being in the region of the stack, whatever its ARN says.
  const partition = Token.isUnresolved(repositoryArn) ? partitionOf(env.region) : repositoryArn.split(':')[1];
  if (own !== undefined && partition !== undefined && own !== partition) {
    throw new Error(
      `'repository' must be in the partition of its stack (${own}), got one of ${partition} ` +
        `(${Token.isUnresolved(repositoryArn) ? env.region : repositoryArn}): copy the image to a repository there`,
    );
  }
}

/** Whether builds run on CodeBuild's Lambda compute. */
export function isLambdaCompute({ computeType, lambdaComputeType }: SociIndexOptions): boolean {
  const type: string | undefined = lambdaComputeType ?? computeType;
  return type !== undefined && !Token.isUnresolved(type) && type.startsWith(LAMBDA);
}

/** What may be right, but only with things that cannot be seen from here. */
export function buildWarnings({ vpc, subnetSelection }: SociIndexOptions): string[] {
  const selected = vpc?.selectSubnets(subnetSelection);
  if (vpc === undefined || selected === undefined || selected.isPendingLookup) {
    return [];
  }
  const isolated = selected.subnets.filter((subnet) => vpc.isolatedSubnets.includes(subnet));
  if (isolated.length === 0) {
    return [];
  }
  return [
    `The build runs in subnets without a way to the internet (${pathsOf(isolated)}). Without interface endpoints ` +
      `for ${ENDPOINTS}, it hangs until it times out. Endpoints that are not added to the VPC construct itself must be ` +
      `named as dependencies of this construct.`,
  ];
}

function checkComputeType({ computeType, lambdaComputeType }: SociIndexOptions): void {
  if (computeType !== undefined && lambdaComputeType !== undefined) {
    throw new Error(
      `'computeType' and 'lambdaComputeType' exclude each other: give one, got ${quoted(computeType)} and ` +
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
      const minutes = given.isUnresolved() ? 'a token' : `${given.toMinutes({ integral: false })} minutes`;
      throw new Error(
        `'${property}' cannot be set with Lambda compute, where a build ends after 15 minutes, got ${minutes}: ` +
          `leave it out, or use a 'computeType' of BUILD_GENERAL1_…`,
      );
    }
  }
  if (options.vpc !== undefined) {
    throw new Error(
      `'vpc' cannot be used with Lambda compute, which runs in no VPC, got ${quoted(options.vpc.node.path)}: ` +
        `leave it out, or use a 'computeType' of BUILD_GENERAL1_…`,
    );
  }
}

/** Both times, in minutes: the default of one that is not given is what the other leaves of it. */
export function timeoutsOf({ timeout, queuedTimeout }: SociIndexOptions): { build: number; queue: number } {
  const build = timeout?.toMinutes();
  const queue = queuedTimeout?.toMinutes();
  return {
    build: build ?? whatIsLeft(DEFAULT_TIMEOUT, queue),
    queue: queue ?? whatIsLeft(DEFAULT_QUEUED_TIMEOUT, build),
  };
}

function whatIsLeft(wanted: Duration, other?: number): number {
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
        `because CloudFormation waits for one hour, got ${build} and ${queue}`,
    );
  }
}

function checkWholeMinutes(property: string, duration?: Duration): void {
  const minutes = duration?.toMinutes({ integral: false });
  if (minutes !== undefined && (!Number.isInteger(minutes) || minutes < TIMEOUT_MIN_MINUTES)) {
    throw new Error(`'${property}' must be whole minutes and at least ${TIMEOUT_MIN_MINUTES}, got ${minutes} minutes`);
  }
}

function checkLog({ logGroup, logRetention }: SociIndexOptions): void {
  if (logGroup !== undefined && logRetention !== undefined) {
    throw new Error(
      `'logRetention' is for the log group that is made for the build, got ${logRetention} and the 'logGroup' ` +
        `${quoted(logGroup.node.path)}: set the retention of that group instead`,
    );
  }
}

function checkNetwork({ vpc, subnetSelection, securityGroups }: SociIndexOptions): void {
  if (vpc === undefined) {
    if (subnetSelection !== undefined) {
      throw new Error(`'subnetSelection' needs a 'vpc', got ${quoted(Object.keys(subnetSelection).join(', '))} without`);
    }
    if (securityGroups !== undefined) {
      throw new Error(`'securityGroups' need a 'vpc', got ${quoted(pathsOf(securityGroups))} without`);
    }
    return;
  }
  if (securityGroups?.length === 0) {
    throw new Error("'securityGroups' is empty: leave it out to get a new security group");
  }
  checkSubnets(vpc.selectSubnets(subnetSelection), vpc.node.path);
}

function checkSubnets({ subnets, hasPublic, isPendingLookup }: SelectedSubnets, vpcPath: string): void {
  // The first synth of an app knows nothing of a VPC that it looks up.
  if (isPendingLookup) {
    return;
  }
  if (subnets.length === 0) {
    throw new Error(`'subnetSelection' selects no subnet of the VPC ${quoted(vpcPath)}`);
  }
  if (hasPublic) {
    throw new Error(
      `'vpc' must give the build private subnets, got public ones (${pathsOf(subnets)}): a build has no public address, ` +
        `so it would hang there until it times out. Select private subnets, with a NAT gateway or with endpoints`,
    );
  }
}

/** CodeBuild takes these only from where the project is. */
function checkPlaces(scope: Construct, options: SociIndexOptions): void {
  const { vpc, securityGroups = [], logGroup, encryptionKey, role } = options;
  const { account, region } = Stack.of(scope);
  const check = (property: string, what: string, own: string, other = own): void => {
    if (!Token.isUnresolved(own) && !Token.isUnresolved(other) && own !== other) {
      throw new Error(`'${property}' must be in the ${what} of its stack (${quoted(own)}), got ${quoted(other)}`);
    }
  };
  for (const [property, resource] of [
    ['vpc', vpc],
    ...securityGroups.map((group) => ['securityGroups', group] as const),
    ['logGroup', logGroup],
    ['encryptionKey', encryptionKey],
  ] as const) {
    check(property, 'region', region, resource?.env.region);
    // A key, and the VPC of shared subnets, can belong to another account.
    if (property === 'logGroup') {
      check(property, 'account', account, resource?.env.account);
    }
  }
  check('role', 'account', account, role?.env.account);
}

function partitionOf(region: string): string | undefined {
  return Token.isUnresolved(region) ? undefined : RegionInfo.get(region).partition;
}

function pathsOf(constructs: readonly { readonly node: { readonly path: string } }[]): string {
  return constructs.map(({ node }) => node.path).join(', ');
}
