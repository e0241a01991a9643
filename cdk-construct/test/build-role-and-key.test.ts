// A key and a role that are given: who may use the key, and what the role gets.

import { App, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { Repository } from 'aws-cdk-lib/aws-ecr';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Key } from 'aws-cdk-lib/aws-kms';
import { LogGroup } from 'aws-cdk-lib/aws-logs';
import { SociIndexV2Build } from '../src';
import { allowing, BUILDER, dependenciesOf, idsOf, PROJECT, statementsFor, templateWith, vpcIn } from './build';
import { onlyResource, resourcesOf, Statement, statementsOf, valueOf } from './template';

describe('with a key', () => {
  const template = templateWith((stack) => ({ encryptionKey: new Key(stack, 'Key') }));
  const key = onlyResource(template, 'AWS::KMS::Key');
  const keyArn = { 'Fn::GetAtt': [key.id, 'Arn'] };

  test('the project and its log group use it, and the provider’s log group does not', () => {
    expect(onlyResource(template, PROJECT).Properties['EncryptionKey']).toEqual(keyArn);
    const groups = Object.entries(resourcesOf(template, 'AWS::Logs::LogGroup')).map(([id, { Properties }]) => [
      id.replace(/LogGroup.*/, '').replace(/Project.*/, 'Project'),
      Properties['KmsKeyId'],
    ]);
    expect(Object.fromEntries(groups)).toEqual({
      SociIndexBuildProvider: undefined,
      SociIndexBuildProject: keyArn,
    });
  });

  test('the build may use it', () => {
    expect(allowing(template, 'kms:GenerateDataKey').Resource).toEqual(keyArn);
    expect(JSON.stringify(onlyResource(template, PROJECT).Properties)).toContain(key.id);
  });

  test('CloudWatch Logs may use it for log groups of this account', () => {
    const { Statement: statements } = key.Properties['KeyPolicy'] as { Statement: Record<string, unknown>[] };
    expect(statements).toHaveLength(2);
    expect(JSON.stringify(statements[1]['Principal'])).toContain('"logs.",{"Ref":"AWS::Region"}');
    expect(JSON.stringify(statements[1]['Condition'])).toMatch(
      /"ArnLike".*"kms:EncryptionContext:aws:logs:arn".*\{"Ref":"AWS::AccountId"\},":log-group:\*"/,
    );
  });

  test('a log group that is given keeps its own, and the key’s policy stays', () => {
    const given = templateWith((stack) => ({
      encryptionKey: new Key(stack, 'Key'),
      logGroup: new LogGroup(stack, 'Given'),
    }));
    const { KeyPolicy } = onlyResource(given, 'AWS::KMS::Key').Properties as { KeyPolicy: { Statement: unknown[] } };
    expect(KeyPolicy.Statement).toHaveLength(1);
    expect(JSON.stringify(resourcesOf(given, 'AWS::Logs::LogGroup'))).not.toContain('KmsKeyId');
  });
});

describe('with a role', () => {
  const roleIn = (stack: Stack): Role => new Role(stack, 'Given', { assumedBy: new ServicePrincipal(BUILDER) });

  test('it gets the rights of a build, in a policy for which the index waits', () => {
    const template = templateWith((stack) => ({ role: roleIn(stack), vpc: vpcIn(stack) }));

    const own = templateWith((stack) => ({ vpc: vpcIn(stack) }));
    const actions = (statements: Statement[]): string[] => statements.flatMap(({ Action }) => Action).sort();
    expect(actions(statementsOf(template, BUILDER))).toEqual(actions(statementsOf(own, BUILDER)));
    const [roleId] = idsOf(template, 'AWS::IAM::Role', 'Given');
    expect(onlyResource(template, PROJECT).Properties['ServiceRole']).toEqual({ 'Fn::GetAtt': [roleId, 'Arn'] });
    expect(dependenciesOf(template)).toEqual(expect.arrayContaining(idsOf(template, 'AWS::IAM::Policy')));
  });

  test('one that was imported gets them too', () => {
    const template = templateWith((stack) => ({ role: Role.fromRoleName(stack, 'Given', 'builds') }));
    expect(statementsFor(template, 'builds').flatMap(({ Action }) => Action)).toContain('ecr:PutImage');
  });

  test('one that takes no policies is left as it is', () => {
    const template = templateWith((stack) => ({
      role: Role.fromRoleName(stack, 'Given', 'builds', { mutable: false }),
      vpc: vpcIn(stack),
    }));
    expect(statementsFor(template, 'builds')).toEqual([]);
    expect(idsOf(template, 'AWS::IAM::Policy', 'Project')).toEqual([]);
    expect(onlyResource(template, PROJECT).DependsOn ?? []).toEqual([]);
  });

  test('one of another stack gets a policy in this one, so that neither needs the other first', () => {
    const app = new App();
    const role = roleIn(new Stack(app, 'Roles'));
    const stack = new Stack(app, 'Stack');
    new SociIndexV2Build(stack, 'Index', { repository: new Repository(stack, 'R'), inputImageTag: 'v1', role });

    const template = Template.fromStack(stack);
    expect(JSON.stringify(resourcesOf(template, 'AWS::IAM::Policy'))).toMatch(valueOf('Roles'));
    expect(resourcesOf(Template.fromStack(Stack.of(role)), 'AWS::IAM::Policy')).toEqual({});
  });
});
