// Keys of what builds indexes: the same for the same settings. In: the settings by name, as options give them. Out: eight
// characters, or nothing where all are the defaults. Defines no construct.

import { Stack, Token } from 'aws-cdk-lib';
import { RetentionDays } from 'aws-cdk-lib/aws-logs';
import { IConstruct } from 'constructs';
import { SociIndexOptions } from './build-options';
import { shortHash } from './short-hash';

/** The order of the names is part of the key: what is new goes to the end. */
export type EnvironmentSettings = Record<string, unknown>;

/**
 * Only what is not the default counts, so that a setting that is added one day leaves all keys as they are.
 */
export function keyOf(stack: Stack, settings: EnvironmentSettings, defaults: EnvironmentSettings): string | undefined {
  const others = Object.entries(settings).filter(([name, value]) => value !== undefined && value !== defaults[name]);
  return others.length === 0 ? undefined : shortHash(stack.resolve(others));
}

/** Where builds run, as whom, and where they log to. */
export function placesOf(stack: Stack, options: SociIndexOptions): EnvironmentSettings {
  const { vpc, subnetSelection, securityGroups, encryptionKey, role, logGroup, logRetention } = options;
  const name = (owner: IConstruct | undefined, text: string | undefined): unknown => nameIn(stack, owner, text);
  return {
    vpc: name(vpc, vpc?.vpcId),
    subnets: vpc?.selectSubnets(subnetSelection).subnets.map((subnet) => name(subnet, subnet.subnetId)),
    securityGroups: securityGroups?.map((group) => name(group, group.securityGroupId)),
    encryptionKey: name(encryptionKey, encryptionKey?.keyArn),
    role: name(role, role?.roleArn),
    logGroup: name(logGroup, logGroup?.logGroupName),
    logRetention: logRetention ?? RetentionDays.ONE_MONTH,
  };
}

/** A name that is no text may only be a logical id, and those of two stacks can be the same. */
function nameIn(stack: Stack, owner: IConstruct | undefined, name: string | undefined): unknown {
  if (owner === undefined || !Token.isUnresolved(name) || Stack.of(owner) === stack) {
    return name;
  }
  return [Stack.of(owner).node.addr, name];
}
