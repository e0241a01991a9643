// Looks up SociIndexBuildDefaults. In: a construct. Out: the settings of its innermost scope that has any.

import { IConstruct } from 'constructs';
import { SociIndexBuildDefaultsProps, SociIndexOptions } from './build-options';

/** Part of the logical ids of deployed stacks; must not change. */
export const PROVIDER_ID = 'SociIndexBuildProvider';

/** Shared by all copies of this library in an app. */
export const SETTINGS = Symbol.for('soci-index-build.defaults');

/** The settings of a scope. A VPC overrides subnets and security groups too. */
export function defaultsOf(place: IConstruct): SociIndexBuildDefaultsProps {
  return place.node.scopes.map(settingsOf).reduce(over, {});
}

/** The options of an index, completed with the defaults. */
export function withDefaults(scope: IConstruct, options: SociIndexOptions): SociIndexOptions {
  const { logRetention, ...defaults } = defaultsOf(scope);
  // A given log group has its own retention.
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
