// Looks up SociIndexBuildDefaults. In: a construct. Out: the settings of its innermost scope that has any.

import { ILogGroup } from 'aws-cdk-lib/aws-logs';
import { IConstruct } from 'constructs';
import { SociIndexBuildDefaultsProps } from './build-options';

/** Shared by all copies of this library in an app. */
export const SETTINGS = Symbol.for('soci-index-build.defaults');

/** Marks constructs that have taken the settings; later ones would not reach them. */
export const TAKEN = Symbol.for('soci-index-build.defaults-taken');

/** The settings of a scope. A VPC overrides subnets and security groups too. */
export function defaultsOf(place: IConstruct): SociIndexBuildDefaultsProps {
  return place.node.scopes.map(settingsOf).reduce(over, {});
}

/** Options, completed with the defaults. */
export function withDefaults<Of extends SociIndexBuildDefaultsProps & { readonly logGroup?: ILogGroup }>(
  scope: IConstruct,
  options: Of,
): Of {
  Object.defineProperty(scope, TAKEN, { value: true, configurable: true });
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
