// The resources of SociStartTimes: which tasks are measured, and what the function may read.

import { App, Stack } from 'aws-cdk-lib';
import { Annotations, Match, Template } from 'aws-cdk-lib/assertions';
import { SubnetType } from 'aws-cdk-lib/aws-ec2';
import { Cluster } from 'aws-cdk-lib/aws-ecs';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { SociStartTimes, SociStartTimesProps } from '../src';
import { idsOf, vpcIn } from './build';
import { JsonObject, matches } from './event-pattern';
import { onlyResource, repositoryIn, statementsOf, templateOf } from './template';

const FUNCTION = 'AWS::Lambda::Function';
const RULE = 'AWS::Events::Rule';

function templateWith(props?: (stack: Stack) => SociStartTimesProps): Template {
  return templateOf((stack) => {
    new SociStartTimes(stack, 'Starts', props?.(stack));
  });
}

describe('by default', () => {
  const template = templateWith();
  const handler = onlyResource(template, FUNCTION);

  test('a small function of its own runs the provider’s program, told which part', () => {
    expect(handler.Properties).toMatchObject({
      Environment: { Variables: { SOCI_INDEX_BUILD_FUNCTION: 'start-times' } },
      Handler: 'bootstrap',
      MemorySize: 256,
      Timeout: 30,
    });
  });

  test('it may read manifests in all repositories, and log', () => {
    const statements = statementsOf(template, 'lambda.amazonaws.com');
    expect(statements.flatMap(({ Action }) => Action).sort()).toEqual([
      'ecr:BatchGetImage',
      'logs:CreateLogStream',
      'logs:PutLogEvents',
    ]);
    const [reading] = statements.filter(({ Action }) => Action.includes('ecr:BatchGetImage'));
    expect(JSON.stringify(reading.Resource)).toMatch(/:repository\/\*"\]\]\}$/);
  });

  test('the rule hands it what has started', () => {
    const rule = onlyResource(template, RULE);
    expect(rule.Properties).toMatchObject({ Targets: [{ Arn: { 'Fn::GetAtt': [handler.id, 'Arn'] } }] });
    expect(rule.DependsOn).toEqual(expect.arrayContaining(idsOf(template, 'AWS::IAM::Policy')));
  });

  test('the logical ids never change', () => {
    const resources = Object.entries(template.toJSON().Resources as Record<string, { Type: string }>);
    const ids = resources.filter(([, { Type }]) => Type !== 'AWS::Lambda::Permission').map(([id, { Type }]) => [id, Type]);
    expect(Object.fromEntries(ids)).toEqual({
      StartsFunction19C038D5: FUNCTION,
      StartsLogGroupEDBDCABC: 'AWS::Logs::LogGroup',
      StartsRightsPolicy5FD5A293: 'AWS::IAM::Policy',
      StartsRoleD4D11555: 'AWS::IAM::Role',
      StartsRoleDefaultPolicy060992BD: 'AWS::IAM::Policy',
      StartsRuleC4E6801B: RULE,
    });
  });
});

describe('a task', () => {
  const pattern = onlyResource(templateWith(), RULE).Properties['EventPattern'] as JsonObject;
  // As in the developer guide of ECS ("Amazon ECS task state change events").
  const task = (detail: JsonObject = {}): JsonObject => ({
    source: 'aws.ecs',
    'detail-type': 'ECS Task State Change',
    detail: { clusterArn: 'arn', desiredStatus: 'RUNNING', lastStatus: 'RUNNING', launchType: 'FARGATE', ...detail },
  });

  test.each<[string, JsonObject, boolean]>([
    ['that runs', task(), true],
    ['that is pending', task({ lastStatus: 'PENDING' }), false],
    ['that is about to stop', task({ desiredStatus: 'STOPPED' }), false],
    ['that has stopped', task({ desiredStatus: 'STOPPED', lastStatus: 'STOPPED' }), false],
    ['on EC2', task({ launchType: 'EC2' }), false],
    ['of another event', { ...task(), 'detail-type': 'ECS Container Instance State Change' }, false],
  ])('%s', (_, event, expected) => {
    expect(matches(pattern, event)).toBe(expected);
  });
});

test('only a cluster, and only some repositories', () => {
  const template = templateWith((stack) => ({
    cluster: Cluster.fromClusterArn(stack, 'Cluster', 'arn:aws:ecs:eu-west-1:111111111111:cluster/app'),
    repositories: [repositoryIn(stack)],
  }));
  expect(onlyResource(template, RULE).Properties).toMatchObject({
    EventPattern: { detail: { clusterArn: ['arn:aws:ecs:eu-west-1:111111111111:cluster/app'] } },
  });
  const text = JSON.stringify(statementsOf(template, 'lambda.amazonaws.com'));
  expect(text).toContain(':repository/app');
  expect(text).not.toContain(':repository/*');
});

test('in isolated subnets a warning names the endpoints', () => {
  const stack = new Stack(new App(), 'Stack');
  new SociStartTimes(stack, 'Starts', { vpc: vpcIn(stack, SubnetType.PRIVATE_ISOLATED) });
  expect(onlyResource(Template.fromStack(stack), FUNCTION).Properties).toHaveProperty('VpcConfig.SubnetIds');
  Annotations.fromStack(stack).hasWarning('*', Match.stringLikeRegexp('VPC interface endpoints for ecr.api, it hangs'));
});

test('a retention beside a log group is refused before anything is defined', () => {
  const stack = new Stack(new App(), 'Stack');
  const props = { logGroup: new LogGroup(stack, 'Log'), logRetention: RetentionDays.ONE_DAY };
  expect(() => new SociStartTimes(stack, 'Starts', props)).toThrow("'logRetention' cannot be combined with 'logGroup'");
  expect(stack.node.findChild('Starts').node.children).toEqual([]);
});

test('a dashboard on request, with and without an index', () => {
  const template = templateWith(() => ({ dashboard: true }));
  const text = JSON.stringify(onlyResource(template, 'AWS::CloudWatch::Dashboard').Properties);
  for (const word of ['v1', 'v2', 'none', 'unknown', 'PullSeconds', 'StartSeconds', 'SociIndexBuild,TaskFamily,Indexed']) {
    expect(text).toContain(word);
  }
  templateWith().resourceCountIs('AWS::CloudWatch::Dashboard', 0);
});
