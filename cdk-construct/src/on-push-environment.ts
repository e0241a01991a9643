// What the function reads to know what to index. In: validated properties. Out: its environment variables, in the names and texts
// of the custom resource's properties.

import { Stack } from 'aws-cdk-lib';
import { indexProperties } from './index-properties';
import { SociIndexOnPushProps } from './on-push-props';
import { textOf } from './references';

/** Lambda's limit for all variables together, which it measures as one JSON object. */
const ENVIRONMENT_BYTES_MAX = 4_096;

export type Environment = Record<string, string>;

export function onPushEnvironment(stack: Stack, filters: string[], outputSuffix: string | undefined, props: SociIndexOnPushProps): Environment {
  const settings = {
    Filters: filters,
    OutputSuffix: outputSuffix,
    IndexVersion: props.version,
    ...indexProperties(props),
  };
  return { SOCI_INDEX_BUILD_FUNCTION: 'on-push', SOCI_ON_PUSH: stack.toJsonString(settings) };
}

/** Counts what is known: a value that is known only at deployment counts nothing. */
export function checkEnvironment(stack: Stack, environment: Environment): void {
  const known = Object.entries(environment).map(([name, value]) => [name, textOf(stack.resolve(value)).replace(/\$\{[^}]*\}/g, '')]);
  const bytes = Buffer.byteLength(JSON.stringify(Object.fromEntries(known)));
  if (bytes > ENVIRONMENT_BYTES_MAX) {
    throw new Error(
      `the environment variables of the function must have at most ${ENVIRONMENT_BYTES_MAX} bytes (Lambda's limit), got ${bytes}: ` +
        "use fewer 'filters' with wildcards, fewer 'repositories' or 'prefetchFiles', or several SociIndexOnPush",
    );
  }
}
