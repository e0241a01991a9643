// One place for the rules of an organization: what is set there reaches the function, the builds and both log groups.

import { App, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { SubnetType } from 'aws-cdk-lib/aws-ec2';
import { Key } from 'aws-cdk-lib/aws-kms';
import { RetentionDays } from 'aws-cdk-lib/aws-logs';
import { SociIndexBuildDefaults, SociIndexOptions, SociIndexV2Build } from '../src';
import { PROJECT, vpcIn } from './build';
import { INDEX, onlyResource, repositoryIn, resourcesOf, statementsOf } from './template';

const FUNCTION = 'AWS::Lambda::Function';

function index(stack: Stack, id = 'Index', options: SociIndexOptions = {}): SociIndexV2Build {
  return new SociIndexV2Build(stack, id, { repository: repositoryIn(stack, id), inputImageTag: 'v1', ...options });
}

function logsOf(template: Template): Record<string, unknown>[] {
  return Object.values(resourcesOf(template, 'AWS::Logs::LogGroup')).map(({ Properties }) => Properties);
}

test('retention and key reach both log groups, and the key lets CloudWatch Logs use it', () => {
  const stack = new Stack(new App(), 'Stack');
  SociIndexBuildDefaults.of(stack).set({ logRetention: RetentionDays.ONE_YEAR, encryptionKey: new Key(stack, 'Key') });
  index(stack);

  const template = Template.fromStack(stack);
  const key = onlyResource(template, 'AWS::KMS::Key');
  const settings = { RetentionInDays: 365, KmsKeyId: { 'Fn::GetAtt': [key.id, 'Arn'] } };
  expect(logsOf(template)).toEqual([expect.objectContaining(settings), expect.objectContaining(settings)]);
  expect(JSON.stringify(key.Properties['KeyPolicy'])).toContain('kms:EncryptionContext:aws:logs:arn');
  expect(onlyResource(template, PROJECT).Properties['EncryptionKey']).toEqual(settings.KmsKeyId);
});

test('function and builds run in the VPC, and the index waits for its network', () => {
  const stack = new Stack(new App(), 'Stack');
  SociIndexBuildDefaults.of(stack).set({ vpc: vpcIn(stack) });
  index(stack);

  const template = Template.fromStack(stack);
  const { Subnets: subnets } = onlyResource(template, PROJECT).Properties['VpcConfig'] as { Subnets: unknown };
  expect(onlyResource(template, FUNCTION).Properties['VpcConfig']).toMatchObject({ SubnetIds: subnets });
  const rights = statementsOf(template, 'lambda.amazonaws.com').flatMap(({ Action }) => Action);
  expect(rights).toEqual(expect.arrayContaining(['ec2:CreateNetworkInterface', 'ec2:DeleteNetworkInterface']));
  // Lambda makes no function whose role may not make interfaces.
  const dependencies = onlyResource(template, FUNCTION).DependsOn ?? [];
  expect(dependencies.some((id) => id.includes('RoleDefaultPolicy'))).toBe(true);
  const routes = Object.keys(resourcesOf(template, 'AWS::EC2::Route')).filter((id) => id.includes('Private'));
  expect(onlyResource(template, INDEX).DependsOn).toEqual(expect.arrayContaining(routes));
});

test('what is nearest counts, and an index may say otherwise for its own builds', () => {
  const app = new App();
  SociIndexBuildDefaults.of(app).set({ logRetention: RetentionDays.ONE_YEAR });
  const [far, near] = ['Far', 'Near'].map((name) => new Stack(app, name));
  SociIndexBuildDefaults.of(near).set({ logRetention: RetentionDays.TWO_YEARS });
  index(far, 'Index', { logRetention: RetentionDays.ONE_WEEK });
  index(near);

  const retentions = (stack: Stack): unknown[] =>
    logsOf(Template.fromStack(stack)).map(({ RetentionInDays: days }) => days);
  expect(retentions(far).sort()).toEqual([365, 7]);
  expect(retentions(near)).toEqual([731, 731]);
});

test('nothing is another without defaults, or with those that are the same', () => {
  const made = (isSet: boolean): unknown => {
    const stack = new Stack(new App(), 'Stack');
    if (isSet) {
      SociIndexBuildDefaults.of(stack).set({ logRetention: RetentionDays.ONE_MONTH });
    }
    index(stack);
    return Template.fromStack(stack).toJSON();
  };
  expect(made(true)).toEqual(made(false));
});

test('refused: after the first index, and in public subnets', () => {
  const late = new Stack(new App(), 'Stack');
  index(late);
  expect(() => { SociIndexBuildDefaults.of(late).set({}); }).toThrow(
    'SociIndexBuildDefaults must be set before the first index is defined, but Stack/Index already exists',
  );

  const open = new Stack(new App(), 'Stack');
  SociIndexBuildDefaults.of(open).set({ vpc: vpcIn(open, SubnetType.PUBLIC) });
  expect(() => index(open)).toThrow('private subnets');
});
