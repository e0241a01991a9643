// The template without CDK: with its parameters filled in, it is what the construct makes of the same properties.

import { App, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { ManagedPolicy, PermissionsBoundary } from 'aws-cdk-lib/aws-iam';
import { Key } from 'aws-cdk-lib/aws-kms';
import { RetentionDays } from 'aws-cdk-lib/aws-logs';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { SociIndexOnPush, SociIndexOnPushProps } from '../src';
import { onPushTemplate } from '../template/on-push';

type Values = Record<string, string | number | string[]>;
type Resources = Record<string, { Properties: Record<string, unknown>; Condition?: string; Metadata?: unknown }>;

interface Json {
  readonly Parameters: Record<string, { Type: string; Default?: unknown; AllowedPattern?: string; AllowedValues?: unknown[] }>;
  readonly Conditions: Record<string, unknown>;
  readonly Resources: Resources;
  readonly Outputs: Record<string, unknown>;
}

const template = onPushTemplate() as Json;

/** CloudFormation's functions, as far as parameters decide what they give. */
class Evaluation {
  constructor(private readonly values: Values) {}

  public resources(): Resources {
    const wanted = Object.entries(template.Resources).filter(([, { Condition: name }]) => name === undefined || this.isTrue(name));
    return this.of(Object.fromEntries(wanted.map(([id, resource]) => [id, { ...resource, Condition: undefined }]))) as Resources;
  }

  private of(value: unknown): unknown {
    if (Array.isArray(value)) {
      return value.map((each) => this.of(each)).filter((each) => each !== undefined);
    }
    if (typeof value !== 'object' || value === null) {
      return value;
    }
    const [name, argument] = (Object.entries(value)[0] ?? []) as [string?, unknown?];
    switch (name) {
      case 'Ref':
        return argument === 'AWS::NoValue' ? undefined : (this.values[argument as string] ?? value);
      case 'Fn::If':
        return this.of((argument as unknown[])[this.isTrue((argument as string[])[0]) ? 1 : 2]);
      case 'Fn::Join':
        return this.joined(this.of(argument) as [string, unknown[]]);
      case 'Fn::Split':
        return (this.of((argument as unknown[])[1]) as string).split((argument as string[])[0]);
      default: {
        const all = Object.entries(value).map(([key, inner]) => [key, this.of(inner)] as const);
        return Object.fromEntries(all.filter(([, inner]) => inner !== undefined));
      }
    }
  }

  private joined([separator, parts]: [string, unknown[]]): unknown {
    return parts.every((part) => typeof part === 'string') ? parts.join(separator) : { 'Fn::Join': [separator, parts] };
  }

  private isTrue(condition: string): boolean {
    const holds = (expression: unknown): boolean => {
      const [[name, argument]] = Object.entries(expression as Record<string, unknown[]>);
      return name === 'Fn::Not' ? !holds(argument[0]) : String(this.of(argument[0])) === String(argument[1]);
    };
    return holds(template.Conditions[condition]);
  }
}

function filledIn(given: Values = {}): Resources {
  const valueOf = (type: string, value: unknown): Values[string] => {
    if (type === 'CommaDelimitedList') {
      return [value as string];
    }
    return type === 'Number' ? Number(value) : (value as string);
  };
  const defaults = Object.entries(template.Parameters).map(([name, { Type: type, Default: value }]) => [name, valueOf(type, value)]);
  return new Evaluation({ ...(Object.fromEntries(defaults) as Values), ...given }).resources();
}

/** Of the construct, under the names of the template. */
function constructed(propsOf: (stack: Stack) => SociIndexOnPushProps): Resources {
  const stack = new Stack(new App(), 'SociIndexOnPush');
  new SociIndexOnPush(stack, 'Indexes', propsOf(stack));
  const { Resources: resources } = Template.fromStack(stack).toJSON() as Json;
  const names = Object.keys(resources).map((id): [string, string] => [
    id,
    id.startsWith('IndexesRuleAllow') ? 'RulePermission' : id.replace(/^Indexes(.*)[0-9A-F]{8}$/, '$1'),
  ]);
  const text = names.reduce((all, [id, name]) => all.replaceAll(`"${id}"`, `"${name}"`), JSON.stringify(resources));
  return JSON.parse(text) as Resources;
}

/** Everything but the code, the permissions on repositories, and the metadata. */
function comparable(resources: Resources): unknown {
  const copy = structuredClone(resources);
  Object.values(copy).forEach((resource) => delete resource.Metadata);
  delete copy['Function'].Properties['Code'];
  const [statement] = (copy['RightsPolicy'].Properties['PolicyDocument'] as { Statement: Record<string, unknown>[] }).Statement;
  delete statement['Resource'];
  delete statement['Condition'];
  return copy;
}

test('with nothing but the code given, it is the construct for every image', () => {
  const resources = filledIn({ CodeBucket: 'bucket', CodeKey: 'program.zip' });
  expect(comparable(resources)).toEqual(comparable(constructed(() => ({ filters: ['*'] }))));
  expect(resources['Function'].Properties['Code']).toEqual({ S3Bucket: 'bucket', S3Key: 'program.zip' });
});

test('with everything given, it is the construct with the same properties', () => {
  const arn = (service: string, resource: string): string => `arn:aws:${service}:eu-west-1:111111111111:${resource}`;
  const [key, topic, boundary] = [arn('kms', 'key/k'), arn('sns', 'alarms'), 'arn:aws:iam::111111111111:policy/boundary'];
  const resources = filledIn({
    Filters: ['*'],
    IndexVersion: 'v2',
    OutputSuffix: '.fast',
    MemorySize: 4_096,
    MaxConcurrency: 5,
    AlarmTopicArn: topic,
    CreateDashboard: 'yes',
    LogRetention: 365,
    KmsKeyArn: key,
    PermissionsBoundaryArn: boundary,
  });
  const expected = constructed((stack) => {
    PermissionsBoundary.of(stack).apply(ManagedPolicy.fromManagedPolicyArn(stack, 'Boundary', boundary));
    return {
      filters: ['*'],
      outputSuffix: '.fast',
      memorySize: 4_096,
      maxConcurrency: 5,
      alarmTopic: Topic.fromTopicArn(stack, 'Topic', topic),
      dashboard: true,
      logRetention: RetentionDays.ONE_YEAR,
      encryptionKey: Key.fromKeyArn(stack, 'Key', key),
    };
  });
  expect(comparable(resources)).toEqual(comparable(expected));
});

test('the function reads the list of filters, and may work in the list of repositories, here only', () => {
  const { Function: handler, RightsPolicy: policy } = filledIn({ Filters: ['team/*:v*', 'app'], Repositories: ['team/*', 'app'] });
  expect(handler.Properties).toMatchObject({
    Environment: {
      Variables: { SOCI_ON_PUSH: '{"Filters":["team/*:v*","app"],"OutputSuffix":"-soci","IndexVersion":"v2"}' },
    },
  });
  const [statement] = (policy.Properties['PolicyDocument'] as { Statement: Record<string, unknown>[] }).Statement;
  expect(statement).toMatchObject({
    Resource: ['arn:*:ecr:*:*:repository/team/*', 'arn:*:ecr:*:*:repository/app'],
    Condition: { StringEquals: { 'aws:ResourceAccount': { Ref: 'AWS::AccountId' }, 'aws:RequestedRegion': { Ref: 'AWS::Region' } } },
  });
});

test.each([
  ['Filters', ['*', 'app', 'team/*:v*', 'app:V1_x'], ['', 'App', 'a:b:c', 'app:', ':v1', 'a b', 'app"']],
  ['Repositories', ['*', 'team/app'], ['', 'app:v1', 'App', 'a,b']],
  ['OutputSuffix', ['-soci', '.x'], ['', ':x', 'x'.repeat(128), '"']],
  ['KmsKeyArn', ['', 'arn:aws:kms:eu-west-1:111111111111:key/k'], ['alias/k']],
])('%s takes what the program takes', (name, good, bad) => {
  // CloudFormation wants the whole value to match.
  const pattern = new RegExp(`^(?:${template.Parameters[name].AllowedPattern ?? ''})$`);
  expect([good.filter((each) => !pattern.test(each)), bad.filter((each) => pattern.test(each))]).toEqual([[], []]);
});

test('it needs nothing of the CDK, and its size allows to deploy it from a file', () => {
  const text = JSON.stringify(template);
  expect(text).not.toMatch(/cdk|BootstrapVersion|assets/);
  // CloudFormation's limit for a template in a request.
  expect(`${JSON.stringify(template, undefined, 1)}\n`.length).toBeLessThan(51_200);
  const names = [...Object.keys(template.Parameters), ...Object.keys(template.Resources), ...Object.keys(template.Conditions)];
  expect(new Set(names).size).toBe(names.length);
  expect(Object.keys(template.Outputs)).toEqual(['FunctionName', 'QueueUrl', 'RedriveMapping']);
});
