// Validates where an index is built, before anything is defined: builder, network, role and log. In: the options
// and their construct. Out: nothing, or an error that quotes the value; and warnings. Tokens are accepted.

import { Stack, Token } from 'aws-cdk-lib';
import { SelectedSubnets } from 'aws-cdk-lib/aws-ec2';
import { IRepository } from 'aws-cdk-lib/aws-ecr';
import { RegionInfo } from 'aws-cdk-lib/region-info';
import { Construct } from 'constructs';
import { SociBuilder, SociIndexOptions } from './build-options';
import { quoted } from './validate';
import { checkFunction, checkNoFunction } from './validate-function';
import { checkProject } from './validate-project';

/** The VPC endpoints that a build needs without internet access. */
const ENDPOINTS = 'ecr.api, ecr.dkr, logs and codebuild, and a gateway endpoint for s3';
const FUNCTION_ENDPOINTS = 'ecr.api, ecr.dkr and cloudformation, and a gateway endpoint for s3';

/** Validates all build options. */
export function checkBuild(scope: Construct, options: SociIndexOptions): void {
  checkBuildOptions({ ...options, builder: options.builder ?? SociBuilder.CODE_BUILD });
  checkPlaces(scope, options);
}

/** Where a function runs, as whom, and where it logs to. */
export type Place = Pick<
  SociIndexOptions,
  'vpc' | 'subnetSelection' | 'securityGroups' | 'encryptionKey' | 'role' | 'logGroup' | 'logRetention'
>;

/** Validates a place that is no option of an index. */
export function checkPlace(scope: Construct, place: Place): void {
  checkLog(place);
  checkNetwork(place);
  checkPlaces(scope, place);
}

/** Validates what does not depend on the stack. If `builder` is not set, the stack's defaults may choose either: rejects only what neither supports. */
export function checkBuildOptions(options: SociIndexOptions): void {
  // Not every language enforces the enum.
  const builder: string | undefined = options.builder;
  if (builder === SociBuilder.FUNCTION) {
    checkFunction(options);
  } else if (builder === SociBuilder.CODE_BUILD || (builder === undefined && !mayBeInFunction(options))) {
    checkNoFunction(options);
    checkProject(options);
  } else if (builder !== undefined) {
    throw new Error(`'builder' must be CODE_BUILD or FUNCTION of SociBuilder, got ${quoted(builder)}`);
  }
  checkLog(options);
  checkNetwork(options);
}

function mayBeInFunction(options: SociIndexOptions): boolean {
  try {
    checkFunction(options);
    return true;
  } catch {
    return false;
  }
}

/** A repository may be in another region or account, but not in another partition. */
export function checkRepository(scope: Construct, { env, repositoryArn }: IRepository): void {
  const own = partitionOf(Stack.of(scope).region);
  // CDK assumes that a repository imported by attributes is in the region of the stack, whatever its ARN says.
  const partition = Token.isUnresolved(repositoryArn) ? partitionOf(env.region) : repositoryArn.split(':')[1];
  if (own !== undefined && partition !== undefined && own !== partition) {
    throw new Error(
      `'repository' must be in the partition of its stack (${own}), got one in ${partition} ` +
        `(${Token.isUnresolved(repositoryArn) ? env.region : repositoryArn}): copy the image to a repository there`,
    );
  }
}

/** Warnings for what may work but cannot be verified here. */
export function buildWarnings(options: SociIndexOptions): string[] {
  return networkWarnings(options, options.builder === SociBuilder.FUNCTION ? FUNCTION_ENDPOINTS : ENDPOINTS);
}

/** In: the endpoints that are needed without internet access. */
export function networkWarnings({ vpc, subnetSelection }: Place, endpoints: string): string[] {
  const selected = vpc?.selectSubnets(subnetSelection);
  if (vpc === undefined || selected === undefined || selected.isPendingLookup) {
    return [];
  }
  const isolated = selected.subnets.filter((subnet) => vpc.isolatedSubnets.includes(subnet));
  if (isolated.length === 0) {
    return [];
  }
  return [
    `The build runs in subnets without internet access (${pathsOf(isolated)}). Without VPC interface endpoints ` +
      `for ${endpoints}, it hangs until it times out. Add endpoints that are not defined on the VPC construct ` +
      `as dependencies of this construct.`,
  ];
}

function checkLog({ logGroup, logRetention }: Place): void {
  if (logGroup !== undefined && logRetention !== undefined) {
    throw new Error(
      `'logRetention' cannot be combined with 'logGroup', got ${logRetention} and the log group ` +
        `${quoted(logGroup.node.path)}: set the retention on that log group instead`,
    );
  }
}

function checkNetwork({ vpc, subnetSelection, securityGroups }: Place): void {
  if (vpc === undefined) {
    if (subnetSelection !== undefined) {
      throw new Error(`'subnetSelection' requires 'vpc', got only ${quoted(Object.keys(subnetSelection).join(', '))}`);
    }
    if (securityGroups !== undefined) {
      throw new Error(`'securityGroups' requires 'vpc', got only ${quoted(pathsOf(securityGroups))}`);
    }
    return;
  }
  if (securityGroups?.length === 0) {
    throw new Error("'securityGroups' is empty: omit it to create a new security group");
  }
  checkSubnets(vpc.selectSubnets(subnetSelection), vpc.node.path);
}

function checkSubnets({ subnets, hasPublic, isPendingLookup }: SelectedSubnets, vpcPath: string): void {
  // The VPC lookup is pending in the first synth.
  if (isPendingLookup) {
    return;
  }
  if (subnets.length === 0) {
    throw new Error(`'subnetSelection' matches no subnet of the VPC ${quoted(vpcPath)}`);
  }
  if (hasPublic) {
    throw new Error(
      `'vpc' must use private subnets, got public ones (${pathsOf(subnets)}): neither CodeBuild nor Lambda assigns a public IP address, ` +
        `so it would hang until it times out. Select private subnets with a NAT gateway or VPC endpoints`,
    );
  }
}

/** CodeBuild and Lambda require these in their own region or account. */
function checkPlaces(scope: Construct, place: Place): void {
  const { vpc, securityGroups = [], logGroup, encryptionKey, role } = place;
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
    // A key, and a VPC with shared subnets, can belong to another account.
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
