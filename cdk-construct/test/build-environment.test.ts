// Where an index is built: Lambda compute, the log, a project for each setting, and what reaches all that is made.

import { App, Aspects, Duration, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { ComputeType } from 'aws-cdk-lib/aws-codebuild';
import { SecurityGroup, Vpc } from 'aws-cdk-lib/aws-ec2';
import { CfnRole, ManagedPolicy, PermissionsBoundary, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Key } from 'aws-cdk-lib/aws-kms';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { LambdaComputeType, SociIndexBuild, SociIndexOptions, SociIndexV2Build } from '../src';
import { allowing, BUILDER, Options, PROJECT, stackWith, templateWith, vpcIn } from './build';
import { onlyResource, repositoryIn, Resource, resourcesOf } from './template';

describe('with Lambda compute', () => {
  // eslint-disable-next-line @typescript-eslint/no-unsafe-enum-assignment -- newer aws-cdk-lib have a name for it
  const named = 'BUILD_LAMBDA_4GB' as ComputeType;

  test.each<[string, SociIndexOptions]>([
    ['its own name', { lambdaComputeType: LambdaComputeType.LAMBDA_4GB }],
    ['the name of newer aws-cdk-lib', { computeType: named }],
  ])('the project has no times of its own, by %s', (_, options) => {
    const project = onlyResource(templateWith(options), PROJECT);

    expect(project.Properties['Environment']).toEqual({
      Type: 'LINUX_LAMBDA_CONTAINER',
      Image: 'aws/codebuild/amazonlinux-x86_64-lambda-standard:python3.12',
      ComputeType: 'BUILD_LAMBDA_4GB',
      PrivilegedMode: false,
    });
    expect(project.Properties).not.toHaveProperty('TimeoutInMinutes');
    expect(project.Properties).not.toHaveProperty('QueuedTimeoutInMinutes');
    expect(project.id).toBe('SociIndexBuildProjectd7c4a675Project5BD8A2B5');
  });

  test('every size is one of CodeBuild’s', () => {
    const sizes = Object.entries(LambdaComputeType).map(([name, value]) => [`BUILD_${name}`, value as string]);
    expect(sizes).toHaveLength(5);
    for (const [named, value] of sizes) {
      expect(value).toBe(named);
    }
  });
});

test.each<[string, SociIndexOptions, [number, number]]>([
  ['20 and 30 minutes', {}, [20, 30]],
  ['what the build leaves', { timeout: Duration.minutes(45) }, [45, 9]],
  ['what the queue leaves', { queuedTimeout: Duration.minutes(40) }, [14, 40]],
  ['the usual queue for a short build', { timeout: Duration.minutes(5) }, [5, 30]],
])('the times are %s', (_, options, [build, queue]) => {
  expect(onlyResource(templateWith(options), PROJECT).Properties).toMatchObject({
    TimeoutInMinutes: build,
    QueuedTimeoutInMinutes: queue,
  });
});

describe('the log', () => {
  test('goes to the group that is given, and to no other', () => {
    const template = templateWith((stack) => ({ logGroup: LogGroup.fromLogGroupName(stack, 'Given', 'builds') }));

    template.resourceCountIs('AWS::Logs::LogGroup', 1);
    expect(onlyResource(template, PROJECT).Properties['LogsConfig']).toEqual({
      CloudWatchLogs: { Status: 'ENABLED', GroupName: 'builds' },
    });
    expect(JSON.stringify(allowing(template, 'logs:PutLogEvents').Resource)).toContain(':log-group:builds:*"');
  });

  test('is kept as long as is asked', () => {
    const template = templateWith({ logRetention: RetentionDays.ONE_YEAR });

    const days = Object.values(resourcesOf(template, 'AWS::Logs::LogGroup')).map(
      ({ Properties }) => Properties['RetentionInDays'],
    );
    expect(days.sort()).toEqual([30, 365]);
  });
});

describe('each setting is another project', () => {
  const settings: [string, Options][] = [
    ['vpc', (stack) => ({ vpc: Vpc.fromLookup(stack, 'Vpc', { vpcId: 'vpc-1' }) })],
    ['lambdaComputeType', { lambdaComputeType: LambdaComputeType.LAMBDA_1GB }],
    ['encryptionKey', (stack) => ({ encryptionKey: new Key(stack, 'Key') })],
    ['role', (stack) => ({ role: Role.fromRoleName(stack, 'Given', 'builds') })],
    ['logGroup', (stack) => ({ logGroup: LogGroup.fromLogGroupName(stack, 'Given', 'builds') })],
    ['logRetention', { logRetention: RetentionDays.ONE_YEAR }],
    [
      'subnetSelection',
      (stack) => ({
        vpc: Vpc.fromLookup(stack, 'Vpc', { vpcId: 'vpc-1' }),
        subnetSelection: { availabilityZones: ['dummy1a'] },
      }),
    ],
    [
      'securityGroups',
      (stack) => ({
        vpc: Vpc.fromLookup(stack, 'Vpc', { vpcId: 'vpc-1' }),
        securityGroups: [SecurityGroup.fromSecurityGroupId(stack, 'Group', 'sg-1')],
      }),
    ],
  ];
  const env = { account: '111111111111', region: 'eu-west-1' };
  const idOf = (options: Options): string => onlyResource(Template.fromStack(stackWith(options, { env })), PROJECT).id;

  test('and all of them are different', () => {
    const ids = settings.map(([, options]) => idOf(options));
    expect(new Set([...ids, idOf({})]).size).toBe(settings.length + 1);
  });

  test.each(settings)('%s, which two indexes share', (_, options) => {
    const stack = new Stack(new App(), 'Stack', { env });
    const given = typeof options === 'function' ? options(stack) : options;
    new SociIndexV2Build(stack, 'a', { repository: repositoryIn(stack, 'a'), inputImageTag: 'v1', ...given });
    new SociIndexBuild(stack, 'b', { repository: repositoryIn(stack, 'b'), imageTag: 'v1', ...given });

    Template.fromStack(stack).resourceCountIs(PROJECT, 1);
  });

  test('what is written out and is the default is none', () => {
    expect(idOf({ logRetention: RetentionDays.ONE_MONTH })).toBe(idOf({}));
    expect(idOf({ timeout: Duration.minutes(20), queuedTimeout: Duration.minutes(30) })).toBe(idOf({}));
  });

  test('two roles of other stacks are two, also where they have one logical id', () => {
    const app = new App();
    const stack = new Stack(app, 'Stack');
    for (const name of ['A', 'B']) {
      const role = new Role(new Stack(app, name), 'Role', { assumedBy: new ServicePrincipal(BUILDER) });
      new SociIndexV2Build(stack, `Index${name}`, {
        repository: repositoryIn(stack, name.toLowerCase()),
        inputImageTag: 'v1',
        role,
      });
    }
    Template.fromStack(stack).resourceCountIs(PROJECT, 2);
  });
});

test('permissions boundaries and other aspects reach every role', () => {
  const stack = stackWith((inner) => ({ vpc: vpcIn(inner), encryptionKey: new Key(inner, 'Key') }));
  const boundary = ManagedPolicy.fromManagedPolicyName(stack, 'Boundary', 'limits');
  PermissionsBoundary.of(stack).apply(boundary);
  Aspects.of(stack).add({
    visit: (node) => {
      if (node instanceof CfnRole) {
        node.path = '/builds/';
      }
    },
  });

  const roles: Resource[] = Object.values(resourcesOf(Template.fromStack(stack), 'AWS::IAM::Role'));
  expect(roles).toHaveLength(2);
  for (const { Properties } of roles) {
    expect(JSON.stringify(Properties['PermissionsBoundary'])).toContain(':policy/limits');
    expect(Properties['Path']).toBe('/builds/');
  }
});
