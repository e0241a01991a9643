// Stacks to try constructs in, and what tests look for in their templates.

import { App, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { IRepository, Repository } from 'aws-cdk-lib/aws-ecr';
import { Construct } from 'constructs';

export interface Resource {
  readonly Type: string;
  readonly Properties: Record<string, unknown>;
  readonly DependsOn?: string[];
  readonly DeletionPolicy?: string;
}

export interface Statement {
  readonly Action: string | string[];
  readonly Resource: unknown;
}

/** The template of a stack with what `define` puts into it. */
export function templateOf(define: (stack: Stack) => void): Template {
  const stack = new Stack(new App(), 'Stack');
  define(stack);
  return Template.fromStack(stack);
}

/** A repository that is there already. */
export function repositoryIn(scope: Construct, name = 'app'): IRepository {
  return Repository.fromRepositoryName(scope, `Repository-${name}`, name);
}

/** The resources of a type, by logical id. */
export function resourcesOf(template: Template, type: string): Record<string, Resource> {
  return template.findResources(type) as Record<string, Resource>;
}

/** The only resource of a type. */
export function onlyResource(template: Template, type: string): Resource & { readonly id: string } {
  const found = Object.entries(resourcesOf(template, type));
  expect(found).toHaveLength(1);
  const [id, resource] = found[0];
  return { ...resource, id };
}

/** What the one custom resource asks of the provider, less what every one of them has. */
export function requestOf(template: Template): Record<string, unknown> {
  const properties = { ...onlyResource(template, INDEX).Properties };
  for (const name of ['ServiceToken', 'ServiceTimeout', 'ProjectName', 'RepositoryUri']) {
    expect(properties).toHaveProperty(name);
    // eslint-disable-next-line @typescript-eslint/no-dynamic-delete -- the object is a copy
    delete properties[name];
  }
  return properties;
}

/** The statements of all policies of the only role that this service can take. */
export function statementsOf(template: Template, service: string): Statement[] {
  const roles = Object.entries(resourcesOf(template, 'AWS::IAM::Role')).filter(([, role]) =>
    JSON.stringify(role.Properties['AssumeRolePolicyDocument']).includes(`"${service}"`),
  );
  expect(roles).toHaveLength(1);
  const [roleId, role] = roles[0];
  expect(role.Properties).not.toHaveProperty('ManagedPolicyArns');
  expect(role.Properties).not.toHaveProperty('Policies');
  return Object.values(resourcesOf(template, 'AWS::IAM::Policy'))
    .filter((policy) => JSON.stringify(policy.Properties['Roles']).includes(`"${roleId}"`))
    .flatMap(statementsIn);
}

/** The statements of one policy. */
export function statementsIn(policy: Resource): Statement[] {
  return (policy.Properties['PolicyDocument'] as { Statement: Statement[] }).Statement;
}

/** The actions of statements, by what `meaning` says of the resources that they are on. */
export function actionsByResource(
  statements: Statement[],
  meaning: (resource: unknown) => string,
): Record<string, string[]> {
  const actions: Record<string, string[]> = {};
  for (const { Action, Resource: on } of statements) {
    const where = meaning(on);
    actions[where] = [...(actions[where] ?? []), ...[Action].flat()].sort();
  }
  return actions;
}

/** Whether the JSON of a policy's resource is that of the repository `app`. */
export function isRepository(text: string): boolean {
  return /":ecr:",.*":repository\/app"\]\]\}$/.test(text);
}

/** What a template says where it takes a value of another stack: that stack's export or, with the newest flags, its output. */
export function valueOf(stackName: string): RegExp {
  return new RegExp(`"Fn::ImportValue":"${stackName}:|"Fn::GetStackOutput":\\{"StackName":"${stackName}"`);
}

/** The type of our custom resource. */
export const INDEX = 'Custom::SociIndexBuild';
