// SociIndexOnPush as one CloudFormation template, for those without CDK. In: nothing; parameters take the place of the construct's
// properties. Out: the template. All resources are the construct's own, so that both are the same; what a template cannot take from a
// parameter (a list inside of a text, a property that may be absent) is put over them here.

import { App, CfnCondition, CfnOutput, CfnParameter, CfnParameterProps, CfnResource, DefaultStackSynthesizer, Fn, Stack } from 'aws-cdk-lib';
import { Key } from 'aws-cdk-lib/aws-kms';
import { RetentionDays } from 'aws-cdk-lib/aws-logs';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { IConstruct } from 'constructs';
import { SociIndexOnPush, SociIndexVersion } from 'soci-index-build';

/** What CloudWatch Logs takes (API reference, "PutRetentionPolicy"). */
const RETENTIONS = [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];

const ANY = '*';
const NO_VALUE = { Ref: 'AWS::NoValue' };

/** Of its own account and region, as the conditions of the policy say: `Fn::Join` takes only a constant between two names. */
const REPOSITORY_ARN = 'arn:*:ecr:*:*:repository/';

export function onPushTemplate(): object {
  const app = new App({ analyticsReporting: false });
  // The code comes from the user's bucket, nothing from that of a bootstrapped account.
  const synthesizer = new DefaultStackSynthesizer({ generateBootstrapVersionRule: false });
  const description = 'Builds SOCI indexes of container images when they are pushed to ECR (soci-index-build, ON-PUSH.md)';
  const stack = new Stack(app, 'SociIndexOnPush', { synthesizer, description });
  new Template(stack);
  return app.synth().getStackArtifact(stack.artifactId).template as object;
}

class Template {
  private readonly groups: { readonly Label: { readonly default: string }; readonly Parameters: string[] }[] = [];

  constructor(private readonly stack: Stack) {
    this.group('Images');
    const filters = this.parameter('Filters', {
      type: 'CommaDelimitedList',
      description: 'Images to index: REPOSITORY for all tags, or REPOSITORY:TAG, with * for any number of any characters: team/*:v*,app',
      default: ANY,
      allowedPattern: '[a-z0-9._/*-]+(:[A-Za-z0-9._*-]+)?',
    });
    const repositories = this.parameter('Repositories', {
      type: 'CommaDelimitedList',
      description: 'Repositories in which the function may read and push, with *. It needs those of the filters: team/*,app',
      default: ANY,
      allowedPattern: '[a-z0-9._/*-]+',
    });
    this.group('Index');
    const version = this.parameter('IndexVersion', {
      description: 'Version of the index. Fargate uses v1 only in accounts that AWS has enabled for it',
      allowedValues: Object.values(SociIndexVersion),
      default: SociIndexVersion.V2,
    });
    const outputSuffix = this.parameter('OutputSuffix', {
      description: 'What is appended to the tag of an image for its indexed image. Tags that end in it are not indexed',
      allowedPattern: '[A-Za-z0-9._-]{1,127}',
      default: '-soci',
    });
    this.group('Function');
    const memorySize = this.parameter('MemorySize', {
      type: 'Number',
      description: 'Memory of the function in MB, and with it its CPU. Some accounts allow at most 3008',
      minValue: 512,
      maxValue: 10_240,
      default: 2_048,
    });
    const maxConcurrency = this.parameter('MaxConcurrency', {
      type: 'Number',
      description: 'How many images are indexed at the same time. Reserves part of the account\'s concurrency; 0 reserves none',
      minValue: 0,
      default: 0,
    });
    const bucket = this.parameter('CodeBucket', { description: 'S3 bucket of the program, soci-provider.zip, in the region of the stack' });
    const key = this.parameter('CodeKey', {
      description: 'S3 key of the program. Use another one for each version: Lambda updates a function only when its key changes',
    });
    this.group('Operation');
    const topic = this.optional('AlarmTopicArn', 'ARN of the SNS topic to which the alarm sends a message when an image could not be indexed');
    const dashboard = this.parameter('CreateDashboard', { description: 'Whether to create a dashboard', allowedValues: ['yes', 'no'], default: 'no' });
    const logRetention = this.parameter('LogRetention', {
      type: 'Number',
      description: 'Retention of the log group, in days',
      allowedValues: RETENTIONS.map(String),
      default: String(RetentionDays.ONE_MONTH),
    });
    this.group('Organization');
    const kmsKey = this.optional('KmsKeyArn', 'ARN of the KMS key of the queue and of the log group; empty for keys of AWS');
    const boundary = this.optional('PermissionsBoundaryArn', 'ARN of the permissions boundary of the role');

    const indexes = new SociIndexOnPush(stack, 'Indexes', {
      filters: [ANY],
      // eslint-disable-next-line @typescript-eslint/no-unsafe-enum-assignment -- a parameter takes its place
      version: version.valueAsString as SociIndexVersion,
      outputSuffix: outputSuffix.valueAsString,
      memorySize: memorySize.valueAsNumber,
      // eslint-disable-next-line @typescript-eslint/no-unsafe-enum-assignment -- a parameter takes its place
      logRetention: logRetention.valueAsNumber,
      encryptionKey: Key.fromKeyArn(stack, 'Key', kmsKey.valueAsString),
      alarmTopic: Topic.fromTopicArn(stack, 'Topic', topic.valueAsString),
      dashboard: true,
    });

    this.name(indexes);
    const resource = (path: string): CfnResource => this.resource(indexes, path);
    resource('Function').addPropertyOverride('Code', { S3Bucket: bucket.valueAsString, S3Key: key.valueAsString });
    this.putFilters(resource('Function'), filters);
    this.putRepositories(resource('Rights/Policy'), repositories);
    const hasKey = this.isSet(kmsKey);
    this.onlyIf(hasKey, resource('Queue'), 'KmsMasterKeyId', 'SqsManagedSseEnabled');
    this.onlyIf(hasKey, resource('LogGroup'), 'KmsKeyId');
    this.putKeyRight(hasKey, resource('Role/DefaultPolicy'));
    this.onlyIf(this.isSet(topic), resource('Alarm'), 'AlarmActions');
    this.put(this.isSet(boundary), resource('Role'), 'PermissionsBoundary', boundary.valueAsString);
    const isLimited = this.condition('IsLimited', Fn.conditionNot(Fn.conditionEquals(maxConcurrency.valueAsString, '0')));
    this.put(isLimited, resource('Function'), 'ReservedConcurrentExecutions', maxConcurrency.valueAsString);
    resource('Dashboard').cfnOptions.condition = this.condition('IsDashboardWanted', Fn.conditionEquals(dashboard.valueAsString, 'yes'));

    this.output('FunctionName', indexes.function.functionName, 'The function, to invoke it for a backfill');
    this.output('QueueUrl', indexes.queue.queueUrl, 'The queue of images that could not be indexed');
    this.output('RedriveMapping', resource('Redrive').ref, 'The mapping that hands the queue to the function again, when it is turned on');
    stack.addMetadata('AWS::CloudFormation::Interface', { ParameterGroups: this.groups });
  }

  private group(label: string): void {
    this.groups.push({ Label: { default: label }, Parameters: [] });
  }

  private parameter(id: string, props: CfnParameterProps): CfnParameter {
    this.groups[this.groups.length - 1].Parameters.push(id);
    return new CfnParameter(this.stack, id, props);
  }

  private optional(id: string, description: string): CfnParameter {
    return this.parameter(id, { description, default: '', allowedPattern: '(arn:.+)?' });
  }

  private condition(id: string, expression: CfnCondition['expression']): CfnCondition {
    return new CfnCondition(this.stack, id, { expression });
  }

  private isSet(parameter: CfnParameter): CfnCondition {
    return this.condition(`Has${parameter.node.id}`, Fn.conditionNot(Fn.conditionEquals(parameter.valueAsString, '')));
  }

  /** By its path in the construct. */
  private resource(indexes: SociIndexOnPush, path: string): CfnResource {
    const found = path.split('/').reduce<IConstruct>((construct, id) => construct.node.findChild(id), indexes);
    return (CfnResource.isCfnResource(found) ? found : found.node.defaultChild) as CfnResource;
  }

  private put(condition: CfnCondition, resource: CfnResource, property: string, value: unknown): void {
    resource.addPropertyOverride(property, { 'Fn::If': [condition.logicalId, value, NO_VALUE] });
  }

  /** Leaves what the construct has set only if the condition holds; a second property, which excludes it, only if not. */
  private onlyIf(condition: CfnCondition, resource: CfnResource, property: string, otherwise?: string): void {
    this.put(condition, resource, property, this.propertyOf(resource, property));
    if (otherwise !== undefined) {
      resource.addPropertyOverride(otherwise, { 'Fn::If': [condition.logicalId, NO_VALUE, true] });
    }
  }

  private propertyOf(resource: CfnResource, property: string): unknown {
    const { Resources: resources } = this.stack.resolve((resource as unknown as { _toCloudFormation(): unknown })._toCloudFormation()) as {
      Resources: Record<string, { Properties: Record<string, unknown> }>;
    };
    return Object.values(resources)[0].Properties[property];
  }

  /** In the JSON that the function reads. */
  private putFilters(resource: CfnResource, filters: CfnParameter): void {
    const { Variables: variables } = this.propertyOf(resource, 'Environment') as {
      Variables: { SOCI_ON_PUSH: { 'Fn::Join': ['', [string, ...unknown[]]] } };
    };
    const [, [first, ...others]] = variables.SOCI_ON_PUSH['Fn::Join'];
    const [before, after] = first.split(`"${ANY}"`);
    const joined = ['', [`${before}"`, Fn.join('","', filters.valueAsList), `"${after}`, ...others]];
    resource.addPropertyOverride('Environment.Variables.SOCI_ON_PUSH', { 'Fn::Join': joined });
  }

  private putRepositories(resource: CfnResource, repositories: CfnParameter): void {
    const arns = Fn.join('', [REPOSITORY_ARN, Fn.join(`,${REPOSITORY_ARN}`, repositories.valueAsList)]);
    resource.addPropertyOverride('PolicyDocument.Statement.0.Resource', { 'Fn::Split': [',', arns] });
    resource.addPropertyOverride('PolicyDocument.Statement.0.Condition', {
      StringEquals: { 'aws:ResourceAccount': this.stack.account, 'aws:RequestedRegion': this.stack.region },
    });
  }

  private putKeyRight(condition: CfnCondition, resource: CfnResource): void {
    const { Statement: statements } = this.propertyOf(resource, 'PolicyDocument') as { Statement: { Action: string | string[] }[] };
    const at = statements.findIndex(({ Action: actions }) => actions.includes('kms:Decrypt'));
    this.put(condition, resource, `PolicyDocument.Statement.${at}`, statements[at]);
  }

  /** Names without hashes; there is only one of each. */
  private name(indexes: SociIndexOnPush): void {
    for (const resource of indexes.node.findAll().filter((each) => CfnResource.isCfnResource(each))) {
      const path = resource.node.path.slice(indexes.node.path.length + 1).split('/');
      const name = path.filter((id) => id !== 'Resource').join('');
      (resource).overrideLogicalId(name.startsWith('RuleAllow') ? 'RulePermission' : name);
      // Of the CDK's tools.
      delete (resource).cfnOptions.metadata;
    }
  }

  private output(id: string, value: string, description: string): void {
    new CfnOutput(this.stack, id, { value, description });
  }
}
