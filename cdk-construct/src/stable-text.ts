// Stable strings for ids. In: a construct, or a value that is resolved in its stack. Out: the same string in every stage, whether
// or not the stack has an explicit environment, and with any feature flags.

import { Stack, Stage, Token } from 'aws-cdk-lib';
import { Construct } from 'constructs';
import { textOf } from './references';

/** The stack's own account and region, and any partition, as CloudFormation's variables. */
export function stableText(stack: Stack, value: unknown): string {
  const own: [string, string][] = [
    [stack.account, '${AWS::AccountId}'],
    [stack.region, '${AWS::Region}'],
  ];
  const text = textOf(value).replace(/^arn:aws[a-z-]*:/, 'arn:${AWS::Partition}:');
  return own
    .filter(([literal]) => !Token.isUnresolved(literal))
    .reduce((result, [literal, variable]) => result.replaceAll(literal, variable), text);
}

/** Omits everything above the stack or its stage, so that ids are the same in every stage. */
export function pathFrom(stack: Stack, construct: Construct): string {
  const owner = Stack.of(construct);
  const above = owner === stack ? stack : Stage.of(owner);
  return construct.node.path.slice(above?.node.path.length ?? 0);
}
