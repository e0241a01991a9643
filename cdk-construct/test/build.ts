// Stacks with an index that is built somewhere else than by default, and what tests of that look for.

import { App, Stack, StackProps } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { IpAddresses, SubnetType, Vpc, VpcProps } from 'aws-cdk-lib/aws-ec2';
import { SociIndexOptions, SociIndexV2Build } from '../src';
import { INDEX, onlyResource, repositoryIn, resourcesOf, Statement, statementsOf } from './template';

export const PROJECT = 'AWS::CodeBuild::Project';
export const BUILDER = 'codebuild.amazonaws.com';

export type Options = SociIndexOptions | ((stack: Stack) => SociIndexOptions);

export function stackWith(options: Options, props: StackProps = {}): Stack {
  const stack = new Stack(new App(), 'Stack', props);
  new SociIndexV2Build(stack, 'Index', {
    repository: repositoryIn(stack),
    inputImageTag: 'v1',
    ...(typeof options === 'function' ? options(stack) : options),
  });
  return stack;
}

export function templateWith(options: Options): Template {
  return Template.fromStack(stackWith(options));
}

export function vpcIn(stack: Stack, ...types: SubnetType[]): Vpc {
  const subnets: VpcProps =
    types.length === 0 ? {} : { subnetConfiguration: types.map((subnetType) => ({ name: subnetType, subnetType })) };
  return new Vpc(stack, 'Vpc', {
    ipAddresses: IpAddresses.cidr('10.0.0.0/16'),
    maxAzs: 2,
    // With the newest flags it would bring a function and a role of the CDK's own.
    restrictDefaultSecurityGroup: false,
    ...subnets,
  });
}

export function idsOf(template: Template, type: string, part = ''): string[] {
  return Object.keys(resourcesOf(template, type)).filter((id) => id.includes(part));
}

export function dependenciesOf(template: Template): string[] {
  return onlyResource(template, INDEX).DependsOn ?? [];
}

/** The statement of a builder's policies that allows this. */
export function allowing(template: Template, action: string): Statement & { readonly Condition?: unknown } {
  const found = statementsOf(template, BUILDER).filter(({ Action }) => [Action].flat().includes(action));
  expect(found).toHaveLength(1);
  return found[0];
}

/** What is in the policies that this template gives to a role by this name. */
export function statementsFor(template: Template, roleName: unknown): Statement[] {
  return Object.values(resourcesOf(template, 'AWS::IAM::Policy'))
    .filter(({ Properties }) => JSON.stringify(Properties['Roles']) === JSON.stringify([roleName]))
    .flatMap(({ Properties }) => (Properties['PolicyDocument'] as { Statement: Statement[] }).Statement);
}

/** An environment that is known. */
export const HERE = { account: '111111111111', region: 'eu-west-1' };
