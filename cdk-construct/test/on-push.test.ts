// The resources of SociIndexOnPush: what each push meets, where failures end, and what the function may do.

import { App, Duration, Stack } from 'aws-cdk-lib';
import { Annotations, Match, Template } from 'aws-cdk-lib/assertions';
import { SubnetType } from 'aws-cdk-lib/aws-ec2';
import { Repository } from 'aws-cdk-lib/aws-ecr';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Key } from 'aws-cdk-lib/aws-kms';
import { RetentionDays } from 'aws-cdk-lib/aws-logs';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { SociIndexBuildDefaults, SociIndexOnPush, SociIndexOnPushProps, SociIndexV2Build, SociIndexVersion } from '../src';
import { HERE, idsOf, vpcIn } from './build';
import { actionsByResource, onlyResource, repositoryIn, Statement, statementsOf, templateOf } from './template';

const FUNCTION = 'AWS::Lambda::Function';
const FAILURES = 'AWS::Lambda::EventInvokeConfig';
const MAPPING = 'AWS::Lambda::EventSourceMapping';
const QUEUE = 'AWS::SQS::Queue';
const ALARM = 'AWS::CloudWatch::Alarm';
const RULE = 'AWS::Events::Rule';
const POLICY = 'AWS::IAM::Policy';

type Props = SociIndexOnPushProps | ((stack: Stack) => SociIndexOnPushProps);

function templateWith(props: Props): Template {
  return templateOf((stack) => {
    new SociIndexOnPush(stack, 'Indexes', typeof props === 'function' ? props(stack) : props);
  });
}

const arnOf = (id: string): unknown => ({ 'Fn::GetAtt': [id, 'Arn'] });

/** What the function reads; references stand as their logical ids. */
function settingsIn(template: Template): unknown {
  const { Variables: variables } = onlyResource(template, FUNCTION).Properties['Environment'] as {
    Variables: { SOCI_ON_PUSH: string | { 'Fn::Join': [string, (string | { Ref: string })[]] } };
  };
  const text = variables.SOCI_ON_PUSH;
  return JSON.parse(typeof text === 'string' ? text : text['Fn::Join'][1].map((part) => (typeof part === 'string' ? part : part.Ref)).join(''));
}

describe('by default', () => {
  const template = templateWith({ filters: ['team/*:v*', 'app'] });
  const handler = onlyResource(template, FUNCTION);
  const queue = onlyResource(template, QUEUE);

  test('a function of its own runs the provider’s program, told which part and what to index', () => {
    expect(handler.Properties).toMatchObject({
      Architectures: ['x86_64'],
      Environment: { Variables: { SOCI_INDEX_BUILD_FUNCTION: 'on-push' } },
      Handler: 'bootstrap',
      MemorySize: 2048,
      Runtime: 'provided.al2023',
      // The last minute is for the report.
      Timeout: 15 * 60,
    });
    expect(handler.Properties).not.toHaveProperty('ReservedConcurrentExecutions');
    expect(settingsIn(template)).toEqual({ Filters: ['team/*:v*', 'app'], OutputSuffix: '-soci', IndexVersion: 'v2' });
  });

  test('the rule selects pushes and hands them to the function; what it cannot hand over goes to the queue', () => {
    const rule = onlyResource(template, RULE);
    expect(rule.Properties).toMatchObject({
      EventPattern: {
        source: ['aws.ecr'],
        'detail-type': ['ECR Image Action', 'ECR Replication Action'],
        detail: { $or: [{ 'repository-name': [{ prefix: 'team/' }] }, { 'repository-name': ['app'] }] },
      },
      State: 'ENABLED',
      Targets: [{ Arn: arnOf(handler.id), DeadLetterConfig: { Arn: arnOf(queue.id) } }],
    });
    template.hasResourceProperties('AWS::Lambda::Permission', {
      FunctionName: arnOf(handler.id),
      Principal: 'events.amazonaws.com',
      SourceArn: arnOf(rule.id),
    });
    expect(rule.DependsOn).toEqual(expect.arrayContaining([...idsOf(template, POLICY), ...idsOf(template, FAILURES)]));
  });

  test('what fails after Lambda’s retries goes to the queue', () => {
    expect(onlyResource(template, FAILURES).Properties).toEqual({
      DestinationConfig: { OnFailure: { Destination: arnOf(queue.id) } },
      FunctionName: { Ref: handler.id },
      MaximumEventAgeInSeconds: 6 * 3600,
      MaximumRetryAttempts: 2,
      Qualifier: '$LATEST',
    });
  });

  test('the queue keeps it for two weeks, encrypted, and takes it over TLS only', () => {
    expect(queue.Properties).toEqual({ MessageRetentionPeriod: 14 * 86_400, SqsManagedSseEnabled: true, VisibilityTimeout: 6 * 15 * 60 });
    template.hasResourceProperties('AWS::SQS::QueuePolicy', {
      PolicyDocument: {
        Statement: Match.arrayWith([
          Match.objectLike({ Effect: 'Deny', Action: 'sqs:*', Condition: { Bool: { 'aws:SecureTransport': 'false' } } }),
          Match.objectLike({ Effect: 'Allow', Action: 'sqs:SendMessage', Principal: { Service: 'events.amazonaws.com' } }),
        ]),
      },
      Queues: [{ Ref: queue.id }],
    });
  });

  test('the way back from the queue is off', () => {
    expect(onlyResource(template, MAPPING).Properties).toEqual({
      BatchSize: 1,
      Enabled: false,
      EventSourceArn: arnOf(queue.id),
      FunctionName: { Ref: handler.id },
    });
  });

  test('an alarm goes off with the first message, and an idle queue is no alarm', () => {
    expect(onlyResource(template, ALARM).Properties).toMatchObject({
      ComparisonOperator: 'GreaterThanOrEqualToThreshold',
      Dimensions: [{ Name: 'QueueName', Value: { 'Fn::GetAtt': [queue.id, 'QueueName'] } }],
      EvaluationPeriods: 1,
      MetricName: 'ApproximateNumberOfMessagesVisible',
      Namespace: 'AWS/SQS',
      Statistic: 'Maximum',
      Threshold: 1,
      TreatMissingData: 'notBreaching',
    });
    expect(onlyResource(template, ALARM).Properties).not.toHaveProperty('AlarmActions');
  });

  test('it logs to a group that ends with the stack', () => {
    const group = onlyResource(template, 'AWS::Logs::LogGroup');
    expect(handler.Properties['LoggingConfig']).toEqual({ LogGroup: { Ref: group.id } });
    expect(group).toMatchObject({ DeletionPolicy: 'Delete', Properties: { RetentionInDays: 30 } });
  });

  test('Lambda tries the rights of the role when it makes the function and its ways to the queue', () => {
    const [policy] = idsOf(template, POLICY, 'DefaultPolicy');
    for (const type of [FUNCTION, FAILURES, MAPPING]) {
      expect(onlyResource(template, type).DependsOn).toContain(policy);
    }
  });

  test('the logical ids never change', () => {
    const resources = Object.entries(template.toJSON().Resources as Record<string, { Type: string }>);
    // The CDK puts the path of the stack into the id of this one; another one may take its place at any time.
    const ids = resources.filter(([, { Type }]) => Type !== 'AWS::Lambda::Permission').map(([id, { Type }]) => [id, Type]);
    expect(ids).toHaveLength(resources.length - 1);
    expect(Object.fromEntries(ids)).toEqual({
      IndexesAlarmB0DBF77F: ALARM,
      IndexesFailuresC2BBB192: FAILURES,
      IndexesFunctionE88FA7EC: FUNCTION,
      IndexesInvokeItself9A5D50DC: POLICY,
      IndexesLogGroup77153D42: 'AWS::Logs::LogGroup',
      IndexesQueue48D96F43: QUEUE,
      IndexesQueuePolicyFCB94B1D: 'AWS::SQS::QueuePolicy',
      IndexesRedrive6040252A: MAPPING,
      IndexesRightsPolicy4748CDBE: POLICY,
      IndexesRoleC21E6207: 'AWS::IAM::Role',
      IndexesRoleDefaultPolicy6D2DFF1F: POLICY,
      IndexesRule206BE5C1: RULE,
    });
  });
});

const INDEX = [
  'ecr:BatchCheckLayerAvailability',
  'ecr:BatchGetImage',
  'ecr:CompleteLayerUpload',
  'ecr:DescribeImages',
  'ecr:GetDownloadUrlForLayer',
  'ecr:InitiateLayerUpload',
  'ecr:PutImage',
  'ecr:UploadLayerPart',
];
const BASE = {
  '"*"': ['ecr:GetAuthorizationToken'],
  LogGroup: ['logs:CreateLogStream', 'logs:PutLogEvents'],
  Queue: ['sqs:DeleteMessage', 'sqs:GetQueueAttributes', 'sqs:ReceiveMessage', 'sqs:SendMessage'],
  Function: ['lambda:InvokeFunction'],
};

/** A resource in words; anything unknown stays as it is, so that it is seen. */
function meaning(resource: unknown): string {
  return JSON.stringify(resource)
    .replace(/^\{"Fn::GetAtt":\["Indexes(LogGroup|Queue|Function)[0-9A-F]{8}","Arn"\]\}$/, '$1')
    .replace(/^\{"Fn::Join":\["",\["arn:",\{"Ref":"AWS::Partition"\},":ecr:",\{"Ref":"AWS::Region"\},":",\{"Ref":"AWS::AccountId"\},":repository\/([^"]*)"\]\]\}$/, '$1');
}

/** Each resource of a list counts for itself. */
function rightsOf(template: Template): Record<string, string[]> {
  const each = statementsOf(template, 'lambda.amazonaws.com').flatMap(({ Action, Resource }): Statement[] =>
    [Resource].flat().map((one) => ({ Action, Resource: one })),
  );
  return actionsByResource(each, meaning);
}

describe('the function may', () => {
  test('index what the filters name, and nothing else', () => {
    expect(rightsOf(templateWith({ filters: ['app:v1', 'app:v2', 'other'] }))).toEqual({ ...BASE, app: INDEX, other: INDEX });
  });

  test('list all repositories only where a filter has a pattern of names, because IAM allows no less', () => {
    expect(rightsOf(templateWith({ filters: ['team/*:v*'] }))).toEqual({ ...BASE, 'team/*': INDEX, '*': ['ecr:DescribeRepositories'] });
  });

  test('index given repositories', () => {
    const template = templateWith((stack) => ({ repositories: [new Repository(stack, 'New'), repositoryIn(stack, 'app')] }));
    const [id] = idsOf(template, 'AWS::ECR::Repository');
    expect(rightsOf(template)).toEqual({ ...BASE, app: INDEX, [JSON.stringify(arnOf(id))]: INDEX });
    expect(settingsIn(template)).toMatchObject({ Filters: [id, 'app'] });
    expect(onlyResource(template, RULE).Properties).toMatchObject({
      EventPattern: { detail: { 'repository-name': [{ Ref: id }, 'app'] } },
    });
  });

  test('use the key of the queue, as EventBridge and CloudWatch Logs may', () => {
    const template = templateWith((stack) => ({ filters: ['app'], encryptionKey: new Key(stack, 'Key') }));
    const { id, Properties } = onlyResource(template, 'AWS::KMS::Key');
    expect(rightsOf(template)).toEqual({ ...BASE, app: INDEX, [JSON.stringify(arnOf(id))]: ['kms:Decrypt', 'kms:GenerateDataKey'] });
    expect(onlyResource(template, QUEUE).Properties).toMatchObject({ KmsMasterKeyId: arnOf(id) });
    expect(onlyResource(template, 'AWS::Logs::LogGroup').Properties).toMatchObject({ KmsKeyId: arnOf(id) });
    const { Statement: statements } = Properties['KeyPolicy'] as { Statement: unknown[] };
    expect(statements).toContainEqual({
      Action: ['kms:Decrypt', 'kms:GenerateDataKey'],
      Condition: { StringEquals: { 'aws:SourceAccount': { Ref: 'AWS::AccountId' } } },
      Effect: 'Allow',
      Principal: { Service: 'events.amazonaws.com' },
      Resource: '*',
    });
  });

  test('have a role that takes no policies', () => {
    const template = templateWith((stack) => ({ filters: ['app'], role: Role.fromRoleName(stack, 'Given', 'indexes', { mutable: false }) }));
    expect(idsOf(template, POLICY)).toEqual([]);
    template.resourceCountIs(FUNCTION, 1);
  });

  test('have a given role, with a policy of ours', () => {
    const template = templateWith((stack) => ({
      filters: ['app'],
      role: new Role(stack, 'Given', { assumedBy: new ServicePrincipal('lambda.amazonaws.com') }),
    }));
    expect(rightsOf(template)).toEqual({ ...BASE, app: INDEX });
    expect(onlyResource(template, FUNCTION).DependsOn).toContain(idsOf(template, POLICY, 'IndexesPolicy')[0]);
  });
});

describe('many filters', () => {
  const filters = Array.from({ length: 60 }, (_, at) => `repository-${at}/with-a-long-name-of-its-own`);

  test('fit into the role', () => {
    const template = templateWith({ filters });
    const text = JSON.stringify(template.toJSON());
    expect(filters.every((each) => text.includes(`:repository/${each}"`))).toBe(true);
    expect(idsOf(template, 'AWS::IAM::ManagedPolicy').length).toBeGreaterThan(0);
  });

  test('but not more than Lambda takes as environment', () => {
    expect(() => templateWith({ filters: [...filters, ...filters.map((each) => `${each}-too`)] })).toThrow(
      /^the environment variables of the function must have at most 4096 bytes \(Lambda's limit\), got \d+: use fewer 'filters'/,
    );
    // A name that is known only at deployment may be short.
    expect(() =>
      templateWith((stack) => ({ repositories: Array.from({ length: 100 }, (_, at) => new Repository(stack, `R${at}`)) })),
    ).not.toThrow();
  });
});

test('a VPC: rights of Lambda, a security group, and a warning about what isolated subnets lack', () => {
  const stack = new Stack(new App(), 'Stack');
  new SociIndexOnPush(stack, 'Indexes', { filters: ['app'], vpc: vpcIn(stack, SubnetType.PRIVATE_ISOLATED) });
  const template = Template.fromStack(stack);
  expect(rightsOf(template)['"*"']).toEqual([
    'ec2:AssignPrivateIpAddresses',
    'ec2:CreateNetworkInterface',
    'ec2:DeleteNetworkInterface',
    'ec2:DescribeNetworkInterfaces',
    'ec2:DescribeSubnets',
    'ec2:UnassignPrivateIpAddresses',
    'ecr:GetAuthorizationToken',
  ]);
  expect(onlyResource(template, FUNCTION).Properties).toHaveProperty('VpcConfig.SubnetIds');
  Annotations.fromStack(stack).hasWarning('*', Match.stringLikeRegexp('ecr.api, ecr.dkr and lambda, and a gateway endpoint for s3'));
});

test('version 1 has no output tag', () => {
  const template = templateWith({ filters: ['app'], version: SociIndexVersion.V1 });
  expect(settingsIn(template)).toEqual({ Filters: ['app'], IndexVersion: 'v1' });
  expect(onlyResource(template, RULE).Properties).toMatchObject({ EventPattern: { detail: { 'image-tag': [{ exists: true }] } } });
});

test('the organization’s rules apply', () => {
  const stack = new Stack(new App(), 'Stack');
  const key = new Key(stack, 'Key');
  SociIndexBuildDefaults.of(stack).set({ vpc: vpcIn(stack), encryptionKey: key, logRetention: RetentionDays.ONE_YEAR });
  new SociIndexOnPush(stack, 'Indexes', { filters: ['app'] });
  const template = Template.fromStack(stack);
  expect(onlyResource(template, FUNCTION).Properties).toHaveProperty('VpcConfig.SubnetIds');
  expect(onlyResource(template, QUEUE).Properties).toHaveProperty('KmsMasterKeyId');
  expect(onlyResource(template, 'AWS::Logs::LogGroup').Properties).toMatchObject({ RetentionInDays: 365 });
});

test('rules that come too late are rejected', () => {
  const stack = new Stack(new App(), 'Stack');
  new SociIndexOnPush(stack, 'Indexes', { filters: ['app'] });
  expect(() => {
    SociIndexBuildDefaults.of(stack).set({ logRetention: RetentionDays.ONE_YEAR });
  }).toThrow('SociIndexBuildDefaults must be set before the first index is defined, but Stack/Indexes already exists');
});

test('beside an index of the deployment, and twice', () => {
  const template = templateOf((stack) => {
    new SociIndexV2Build(stack, 'Index', { repository: repositoryIn(stack), inputImageTag: 'v1' });
    new SociIndexOnPush(stack, 'A', { filters: ['a'] });
    new SociIndexOnPush(stack, 'B', { filters: ['b'] });
  });
  template.resourceCountIs(FUNCTION, 3);
  template.resourceCountIs(QUEUE, 2);
});

test('the public attributes', () => {
  const stack = new Stack(new App(), 'Stack');
  const indexes = new SociIndexOnPush(stack, 'Indexes', { filters: ['app'] });
  const template = Template.fromStack(stack);
  const ids = { function: FUNCTION, queue: QUEUE, alarm: ALARM, rule: RULE } as const;
  expect(stack.resolve([indexes.function.functionArn, indexes.queue.queueArn, indexes.alarm.alarmArn, indexes.rule.ruleArn])).toEqual(
    Object.values(ids).map((type) => arnOf(onlyResource(template, type).id)),
  );
});

test('a dashboard on request', () => {
  const template = templateWith((stack) => ({ filters: ['app'], dashboard: true, alarmTopic: new Topic(stack, 'Topic') }));
  const text = JSON.stringify(onlyResource(template, 'AWS::CloudWatch::Dashboard').Properties);
  for (const word of ['already-there', 'failed', 'Seconds', 'BytesRead', 'DestinationDeliveryFailures', 'AsyncEventAge']) {
    expect(text).toContain(word);
  }
  expect(text).toContain(String.raw`SEARCH('{SociIndexBuild,Repository,Outcome} MetricName=\\\"Images\\\" Outcome=\\\"indexed\\\"', 'Sum', 300)`);
  templateWith({ filters: ['app'], dashboard: false }).resourceCountIs('AWS::CloudWatch::Dashboard', 0);
});

describe('is refused before anything is defined:', () => {
  const [account, region] = ['222222222222', 'us-east-1'];
  test.each<[string, Props, string]>([
    ['nothing to index', {}, "'filters' or 'repositories' is required: they select the images to index, and ['*'] selects every image"],
    ['empty lists', { filters: [], repositories: [] }, "'filters' or 'repositories' is required"],
    ['an empty filter', { filters: [''] }, `'filters' must be like 'team/app' or 'team/*:v*': the repository must contain only lowercase`],
    ['capitals', { filters: ['Team/app'] }, `digits, '.', '_', '-', '/' and '*', got "Team/app"`],
    ['a line break', { filters: ['app\n'] }, String.raw`got "app\n"`],
    ['two tags', { filters: ['app:a:b'] }, `the tag must contain only letters, digits, '.', '_', '-' and '*', got "app:a:b"`],
    ['an empty tag', { filters: ['app:'] }, 'the tag must contain only letters'],
    ['a tag with a slash', { filters: ['app:a/b'] }, 'the tag must contain only letters'],
    ['two wildcards', { filters: ['app**'] }, `'**' means the same as '*', got "app**"`],
    ['two wildcards in a tag', { filters: ['app:v**'] }, `'**' means the same as '*', got "app:v**"`],
    [
      'a registry',
      { filters: ['123456789012.dkr.ecr.eu-west-1.amazonaws.com/app'] },
      "a repository's name does not include its registry, got",
    ],
    ['output tags', { filters: ['app:*-soci'] }, `tags that end in the output suffix "-soci" are never indexed, got "app:*-soci"`],
    ['other output tags', { filters: ['app:v1.x'], outputSuffix: '.x' }, `tags that end in the output suffix ".x" are never indexed`],
    ['a filter of the deployment', (stack) => ({ filters: [new Repository(stack, 'R').repositoryName] }), "'filters' must be known at synth"],
    ['an empty suffix', { filters: ['app'], outputSuffix: '' }, `'outputSuffix' must have 1 to 127 letters, digits, '.', '_' and '-', got ""`],
    ['a suffix that is no tag', { filters: ['app'], outputSuffix: ':soci' }, 'got ":soci"'],
    [
      'a suffix for version 1',
      { filters: ['app'], outputSuffix: '-x', version: SociIndexVersion.V1 },
      `'outputSuffix' cannot be combined with version 1, whose index has no tag, got "-x": omit it`,
    ],
    // eslint-disable-next-line @typescript-eslint/no-unsafe-enum-assignment -- not every language enforces the enum
    ['version 3', { filters: ['app'], version: 'v3' as SociIndexVersion }, `'version' must be V1 or V2 of SociIndexVersion, got "v3"`],
    ['too little memory', { filters: ['app'], memorySize: 511 }, "'memorySize' must be a whole number of MB between 512"],
    [
      'too much time',
      { filters: ['app'], timeout: Duration.minutes(15) },
      "got 15 minutes: for longer builds index larger images during a deployment (SociIndexV2Build), which CodeBuild can do",
    ],
    ['no concurrency', { filters: ['app'], maxConcurrency: 0 }, "'maxConcurrency' must be a whole number, at least 1, got 0"],
    ['half a retry', { filters: ['app'], retryAttempts: 0.5 }, "'retryAttempts' must be a whole number, between 0 and 2, got 0.5"],
    ['three retries', { filters: ['app'], retryAttempts: 3 }, 'got 3'],
    ['a short life', { filters: ['app'], maxEventAge: Duration.seconds(59) }, "'maxEventAge' must be between 60 seconds and 6 hours (Lambda's limits), got 59"],
    ['a long life', { filters: ['app'], maxEventAge: Duration.hours(7) }, 'got 25200 seconds'],
    ['an empty list of platforms', { filters: ['app'], platforms: [] }, "'platforms' is empty"],
    ['an empty path', { filters: ['app'], prefetchFiles: [''] }, "'prefetchFiles' must contain non-empty, single-line paths"],
    ['public subnets', (stack) => ({ filters: ['app'], vpc: vpcIn(stack), subnetSelection: { subnetType: SubnetType.PUBLIC } }), "'vpc' must use private subnets"],
  ])('%s', (_, props, message) => {
    const stack = new Stack(new App(), 'Stack');
    const given = typeof props === 'function' ? props(stack) : props;
    expect(() => new SociIndexOnPush(stack, 'Indexes', given)).toThrow(message);
    expect(stack.node.findChild('Indexes').node.children).toEqual([]);
  });

  test.each([
    ['account', { account, region: HERE.region }, account],
    ['region', { account: HERE.account, region }, region],
  ])('a repository of another %s', (what, env, got) => {
    const app = new App();
    const repository = new Repository(new Stack(app, 'There', { env }), 'Repository', { repositoryName: 'app' });
    const stack = new Stack(app, 'Here', { env: HERE });
    expect(() => new SociIndexOnPush(stack, 'Indexes', { repositories: [repository] })).toThrow(
      `'repositories' must be in the ${what} of their stack (`,
    );
    expect(() => new SociIndexOnPush(stack, 'Again', { repositories: [repository] })).toThrow(
      `got "${got}" for There/Repository: define another SociIndexOnPush in a stack there`,
    );
  });
});
