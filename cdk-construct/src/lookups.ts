// Synths that look something up in the account. CDK then hands out dummy values, or defaults of the user's, and the CLI
// looks up what the assembly says is missing and synthesizes again. In: a construct and a check. Out: what the check
// says, but nothing while lookups are missing: an error would keep the assembly from being written.

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

/** Adds a check for the time when everything is defined. */
export function addCheck(construct: Construct, problems: () => string[]): void {
  construct.node.addValidation({
    validate: () => {
      const found = problems();
      return found.length > 0 && isLookingUp(construct) ? [] : found;
    },
  });
}

/** A value may come from another stack, and be of any form: so what counts is whether the app is missing any. */
function isLookingUp({ node }: IConstruct): boolean {
  return node.root.node.findAll().some((construct) => Stack.isStack(construct) && isMissingValues(construct));
}

/** CDK tells this nobody but the assembly. Where a release calls it otherwise, checks are made in all synths. */
function isMissingValues(stack: Stack): boolean {
  const { _missingContext: missing = [] } = stack as unknown as { readonly _missingContext?: { provider: string }[] };
  // The zones of a new VPC are in no value that is checked, and tests of a stack with an environment never have them.
  return missing.some(({ provider }) => provider !== ZONES);
}
