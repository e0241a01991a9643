// Synths with pending lookups. CDK then returns dummy values or the user's defaults, and the CLI looks up what
// is missing and synthesizes again. In: a construct and a check. Out: the check's result, or nothing while lookups
// are pending, because an error would prevent the assembly from being written.

import { Stack } from 'aws-cdk-lib';
import { Construct, IConstruct } from 'constructs';

const ZONES = 'availability-zones';

/** Runs a check that throws. */
export function checkValues(scope: IConstruct, check: () => void): void {
  try {
    check();
  } catch (error) {
    if (!isLookingUp(scope)) {
      throw error;
    }
  }
}

/** Adds a check that runs when everything is defined. */
export function addCheck(construct: Construct, problems: () => string[]): void {
  construct.node.addValidation({
    validate: () => {
      const found = problems();
      return found.length > 0 && isLookingUp(construct) ? [] : found;
    },
  });
}

/** A value may come from any stack, so this checks the whole app. */
function isLookingUp({ node }: IConstruct): boolean {
  return node.root.node.findAll().some((construct) => Stack.isStack(construct) && isMissingValues(construct));
}

/** Internal to CDK. If a release renames it, checks run in all synths. */
function isMissingValues(stack: Stack): boolean {
  const { _missingContext: missing = [] } = stack as unknown as { readonly _missingContext?: { provider: string }[] };
  // The zones of a new VPC do not affect checked values, and are always missing in tests of a stack with an environment.
  return missing.some(({ provider }) => provider !== ZONES);
}
