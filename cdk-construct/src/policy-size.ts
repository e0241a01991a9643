// Estimates the size of a policy. In: a part of a policy, resolved in its stack. Out: the maximum number of characters that IAM
// counts; values known only at deployment count with their maximum length.

import { CfnResource, Stack, Token } from 'aws-cdk-lib';
import { CfnPolicy, IRole } from 'aws-cdk-lib/aws-iam';
import { IConstruct } from 'constructs';

/** IAM's limits ("IAM and AWS STS quotas"): of all inline policies of a role together, and of a managed one. */
export const INLINE_CHARACTERS_MAX = 10_240;
export const MANAGED_CHARACTERS_MAX = 6_144;

const LONGEST: Record<string, number> = {
  'AWS::AccountId': '123456789012'.length,
  'AWS::Partition': 'aws-us-gov'.length,
  'AWS::Region': 'ap-southeast-1'.length,
};

/** The maximum length of a repository name, the longest name in our policies. */
const LONGEST_NAME = 256;
const BEFORE_NAME = 'arn:aws-us-gov:codebuild:ap-southeast-1:123456789012:repository/'.length;

/** What CloudFormation adds to generated names. */
const AROUND_IDS = '--AbCdEfGhIjKl'.length;

/** The size of all inline policies that the stack adds to the role, including the user's. */
export function inlineCharactersOf(role: IRole, stack: Stack): number {
  const name = JSON.stringify(stack.resolve(role.roleName));
  const isOfRole = ({ roles }: CfnPolicy): boolean =>
    ((stack.resolve(roles) ?? []) as unknown[]).some((each) => JSON.stringify(each) === name);
  return stack.node
    .findAll()
    .filter((each): each is CfnPolicy => isPolicy(each) && each.stack === stack && isOfRole(each))
    .map(({ policyDocument }) => charactersOf(stack, stack.resolve(policyDocument)))
    .reduce((sum, length) => sum + length, 0);
}

function isPolicy(construct: IConstruct): construct is CfnPolicy {
  return CfnResource.isCfnResource(construct) && construct.cfnResourceType === CfnPolicy.CFN_RESOURCE_TYPE_NAME;
}

/** The size of a value as JSON without white space. */
export function charactersOf(stack: Stack, value: unknown): number {
  if (Array.isArray(value)) {
    return value.reduce<number>((sum, item) => sum + charactersOf(stack, item) + ','.length, '[]'.length);
  }
  if (typeof value !== 'object' || value === null) {
    return JSON.stringify(value ?? null).length;
  }
  const entries: [string, unknown][] = Object.entries(value);
  if (entries.length === 1 && /^(Ref|Fn::.*)$/.test(entries[0][0])) {
    return '""'.length + filledIn(stack, ...entries[0]);
  }
  return entries.reduce((sum, [key, item]) => sum + `"${key}":,`.length + charactersOf(stack, item), '{}'.length);
}

/** The maximum size of an intrinsic function's result. */
function filledIn(stack: Stack, name: string, argument: unknown): number {
  if (name === 'Ref') {
    return LONGEST[String(argument)] ?? LONGEST_NAME;
  }
  if (name === 'Fn::Join' && Array.isArray(argument) && Array.isArray(argument[1])) {
    return argument[1].reduce<number>((sum, part) => sum + charactersOf(stack, part) - '""'.length, 0);
  }
  if (name === 'Fn::Sub' && typeof argument === 'string') {
    const variables = [...argument.matchAll(/\$\{([^}]*)\}/g)];
    return variables.reduce(
      (sum, [variable, of]) => sum - variable.length + filledIn(stack, 'Ref', of),
      argument.length,
    );
  }
  if (name === 'Fn::GetAtt' && Array.isArray(argument) && !Token.isUnresolved(stack.stackName)) {
    return BEFORE_NAME + Math.min(LONGEST_NAME, stack.stackName.length + String(argument[0]).length + AROUND_IDS);
  }
  return BEFORE_NAME + LONGEST_NAME;
}
