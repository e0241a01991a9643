// The settings that hold for a place. In: a construct. Out: what has been set nearest to it, among the scopes above it.

import { IConstruct } from 'constructs';
import { SociIndexBuildDefaultsProps, SociIndexOptions } from './build-options';

/** Part of the logical ids of deployed stacks: never changes. */
export const PROVIDER_ID = 'SociIndexBuildProvider';

/** The same for two copies of this library. */
export const SETTINGS = Symbol.for('soci-index-build.defaults');

/** What holds for a place. A VPC comes with its own subnets and security groups. */
export function defaultsOf(place: IConstruct): SociIndexBuildDefaultsProps {
  return place.node.scopes.map(settingsOf).reduce(over, {});
}

/** The options of an index, with the defaults for what they leave open. */
export function withDefaults(scope: IConstruct, options: SociIndexOptions): SociIndexOptions {
  const { logRetention, ...defaults } = defaultsOf(scope);
  // A group that is given has its own retention.
  const open = options.logGroup === undefined ? { ...defaults, logRetention } : defaults;
  return over(open, options);
}

export function settingsOf(scope: IConstruct): SociIndexBuildDefaultsProps {
  return (scope as { readonly [SETTINGS]?: SociIndexBuildDefaultsProps })[SETTINGS] ?? {};
}

function over<Of extends SociIndexBuildDefaultsProps>(far: SociIndexBuildDefaultsProps, near: Of): Of {
  const { vpc, subnetSelection, securityGroups, ...others } = far;
  const base = near.vpc === undefined ? { ...others, vpc, subnetSelection, securityGroups } : others;
  const given = Object.entries(near).filter(([, value]) => value !== undefined);
  return { ...base, ...Object.fromEntries(given) } as Of;
}
