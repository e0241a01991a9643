// Where an index is built: one template for each property, one refusal for each thing that cannot work.

import { App, Aspects, CfnParameter, Duration, Stack, StackProps } from 'aws-cdk-lib';
import { Annotations, Match, Template } from 'aws-cdk-lib/assertions';
import { ComputeType } from 'aws-cdk-lib/aws-codebuild';
import {
  InterfaceVpcEndpointAwsService,
  IpAddresses,
  SecurityGroup,
  Subnet,
  SubnetType,
  Vpc,
  VpcProps,
} from 'aws-cdk-lib/aws-ec2';
import { IRepository, Repository } from 'aws-cdk-lib/aws-ecr';
import { CfnRole, ManagedPolicy, PermissionsBoundary, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Key } from 'aws-cdk-lib/aws-kms';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { LambdaComputeType, SociIndexBuild, SociIndexOptions, SociIndexV2Build } from '../src';
import { INDEX, onlyResource, repositoryIn, Resource, resourcesOf, Statement, statementsOf } from './template';

const PROJECT = 'AWS::CodeBuild::Project';
const BUILDER = 'codebuild.amazonaws.com';

type Options = SociIndexOptions | ((stack: Stack) => SociIndexOptions);

function stackWith(options: Options, props: StackProps = {}): Stack {
  const stack = new Stack(new App(), 'Stack', props);
  new SociIndexV2Build(stack, 'Index', {
    repository: repositoryIn(stack),
    inputImageTag: 'v1',
    ...(typeof options === 'function' ? options(stack) : options),
  });
  return stack;
}

function templateWith(options: Options): Template {
  return Template.fromStack(stackWith(options));
}

function vpcIn(stack: Stack, ...types: SubnetType[]): Vpc {
  const subnets: VpcProps =
    types.length === 0 ? {} : { subnetConfiguration: types.map((subnetType) => ({ name: subnetType, subnetType })) };
  return new Vpc(stack, 'Vpc', { ipAddresses: IpAddresses.cidr('10.0.0.0/16'), maxAzs: 2, ...subnets });
}

function idsOf(template: Template, type: string, part = ''): string[] {
  return Object.keys(resourcesOf(template, type)).filter((id) => id.includes(part));
}

function dependenciesOf(template: Template): string[] {
  return onlyResource(template, INDEX).DependsOn ?? [];
}

/** The statement of a builder's policies that allows this. */
function allowing(template: Template, action: string): Statement & { readonly Condition?: unknown } {
  const found = statementsOf(template, BUILDER).filter(({ Action }) => [Action].flat().includes(action));
  expect(found).toHaveLength(1);
  return found[0];
}

/** What is in the policies that this template gives to a role by this name. */
function statementsFor(template: Template, roleName: unknown): Statement[] {
  return Object.values(resourcesOf(template, 'AWS::IAM::Policy'))
    .filter(({ Properties }) => JSON.stringify(Properties['Roles']) === JSON.stringify([roleName]))
    .flatMap(({ Properties }) => (Properties['PolicyDocument'] as { Statement: Statement[] }).Statement);
}

describe('in a VPC', () => {
  const template = templateWith((stack) => ({ vpc: vpcIn(stack) }));
  const [vpcId] = idsOf(template, 'AWS::EC2::VPC');
  const privateIds = idsOf(template, 'AWS::EC2::Subnet', 'Private');

  test('builds run in the private subnets, in a security group that lets nothing in', () => {
    const group = onlyResource(template, 'AWS::EC2::SecurityGroup');
    expect(privateIds).toHaveLength(2);
    expect(onlyResource(template, PROJECT).Properties['VpcConfig']).toEqual({
      VpcId: { Ref: vpcId },
      Subnets: privateIds.map((id) => ({ Ref: id })),
      SecurityGroupIds: [{ 'Fn::GetAtt': [group.id, 'GroupId'] }],
    });
    expect(group.Properties).toMatchObject({ VpcId: { Ref: vpcId } });
    expect(group.Properties).not.toHaveProperty('SecurityGroupIngress');
  });

  test('CodeBuild may make network interfaces, but only for itself and in these subnets', () => {
    const arn = (what: string, name: unknown): unknown => ({
      'Fn::Join': [
        '',
        [
          'arn:',
          { Ref: 'AWS::Partition' },
          ':ec2:',
          { Ref: 'AWS::Region' },
          ':',
          { Ref: 'AWS::AccountId' },
          ...(typeof name === 'string' ? [`:${what}/${name}`] : [`:${what}/`, name]),
        ],
      ],
    });
    expect(allowing(template, 'ec2:CreateNetworkInterfacePermission')).toEqual({
      Effect: 'Allow',
      Action: 'ec2:CreateNetworkInterfacePermission',
      Resource: arn('network-interface', '*'),
      Condition: {
        StringEquals: { 'ec2:AuthorizedService': 'codebuild.amazonaws.com' },
        ArnEquals: { 'ec2:Subnet': privateIds.map((id) => arn('subnet', { Ref: id })) },
      },
    });
  });

  test('what CodeBuild’s documentation asks for without a limit is all that is for everything', () => {
    const anywhere = statementsOf(template, BUILDER).filter(({ Resource: on }) => on === '*');
    expect(anywhere.map(({ Action }) => Action)).toEqual([
      'ecr:GetAuthorizationToken',
      [
        'ec2:CreateNetworkInterface',
        'ec2:DeleteNetworkInterface',
        'ec2:DescribeDhcpOptions',
        'ec2:DescribeNetworkInterfaces',
        'ec2:DescribeSecurityGroups',
        'ec2:DescribeSubnets',
        'ec2:DescribeVpcs',
      ],
    ]);
  });

  test('the project waits for its rights, and the index for them and for the network', () => {
    const [policyId] = idsOf(template, 'AWS::IAM::Policy', 'NetworkPolicy');
    expect(onlyResource(template, PROJECT).DependsOn).toEqual([policyId]);
    expect(dependenciesOf(template)).toEqual(
      expect.arrayContaining([
        policyId,
        ...idsOf(template, 'AWS::EC2::SecurityGroup'),
        ...idsOf(template, 'AWS::EC2::NatGateway'),
        ...idsOf(template, 'AWS::EC2::Route'),
      ]),
    );
  });

  test('there is nothing to warn of', () => {
    const stack = stackWith((inner) => ({ vpc: vpcIn(inner) }));
    expect(Annotations.fromStack(stack).findWarning('*', Match.anyValue())).toEqual([]);
  });

  test('builds run where they are told to', () => {
    const selected = templateWith((stack) => {
      const vpc = vpcIn(stack);
      const securityGroups = [SecurityGroup.fromSecurityGroupId(stack, 'Given', 'sg-1')];
      return { vpc, subnetSelection: { subnets: [vpc.privateSubnets[1]] }, securityGroups };
    });

    selected.resourceCountIs('AWS::EC2::SecurityGroup', 0);
    expect(onlyResource(selected, PROJECT).Properties['VpcConfig']).toMatchObject({
      Subnets: [{ Ref: expect.stringContaining('PrivateSubnet2') as unknown }],
      SecurityGroupIds: ['sg-1'],
    });
    expect(JSON.stringify(allowing(selected, 'ec2:CreateNetworkInterfacePermission').Condition)).not.toContain('Subnet1');
  });

  test('the index waits for the rules of the security groups that are given', () => {
    const given = templateWith((stack) => {
      const vpc = vpcIn(stack);
      const group = new SecurityGroup(stack, 'Given', { vpc, allowAllOutbound: false });
      return { vpc, securityGroups: [group] };
    });

    expect(dependenciesOf(given)).toEqual(expect.arrayContaining(idsOf(given, 'AWS::EC2::SecurityGroup', 'Given')));
  });

  test('isolated subnets get a warning that names the endpoints, for which the index waits', () => {
    const stack = stackWith((inner) => {
      const vpc = vpcIn(inner, SubnetType.PRIVATE_ISOLATED);
      vpc.addInterfaceEndpoint('Registry', { service: InterfaceVpcEndpointAwsService.ECR_DOCKER });
      return { vpc };
    });

    Annotations.fromStack(stack).hasWarning(
      '/Stack/Index',
      Match.stringLikeRegexp('without a way to the internet.*ecr.api, ecr.dkr, logs and codebuild.*s3'),
    );
    const isolated = Template.fromStack(stack);
    expect(dependenciesOf(isolated)).toEqual(expect.arrayContaining(idsOf(isolated, 'AWS::EC2::VPCEndpoint')));
  });

  test('a VPC that is looked up is not judged before it is found', () => {
    const env = { account: '111111111111', region: 'eu-west-1' };
    const options = (stack: Stack): SociIndexOptions => ({
      vpc: Vpc.fromLookup(stack, 'Vpc', { isDefault: true }),
      subnetSelection: { subnetGroupName: 'builds' },
    });
    expect(() => stackWith(options, { env })).not.toThrow();
  });

  test('tokens pass', () => {
    const given = templateWith((stack) => ({
      vpc: Vpc.fromVpcAttributes(stack, 'Vpc', {
        vpcId: new CfnParameter(stack, 'VpcId').valueAsString,
        availabilityZones: ['a'],
        privateSubnetIds: [new CfnParameter(stack, 'SubnetId').valueAsString],
      }),
    }));
    expect(onlyResource(given, PROJECT).Properties['VpcConfig']).toMatchObject({
      VpcId: { Ref: 'VpcId' },
      Subnets: [{ Ref: 'SubnetId' }],
    });
  });
});

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
    expect(dependenciesOf(template)).toContain(key.id);
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
    expect(JSON.stringify(resourcesOf(template, 'AWS::IAM::Policy'))).toContain('Fn::ImportValue');
    expect(resourcesOf(Template.fromStack(Stack.of(role)), 'AWS::IAM::Policy')).toEqual({});
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

const LAMBDA = LambdaComputeType.LAMBDA_1GB;
const HERE = { account: '111111111111', region: 'eu-west-1' };

const refused: [string, Options, string][] = [
  [
    'two compute types',
    { computeType: ComputeType.LARGE, lambdaComputeType: LAMBDA },
    `'computeType' and 'lambdaComputeType' exclude each other: give one, got "BUILD_GENERAL1_LARGE" and "BUILD_LAMBDA_1GB"`,
  ],
  [
    'Lambda compute with a timeout',
    { lambdaComputeType: LAMBDA, timeout: Duration.minutes(10) },
    `'timeout' cannot be set with Lambda compute, where a build ends after 15 minutes, got 10 minutes: leave it out, or`,
  ],
  [
    'Lambda compute with a queue timeout',
    { lambdaComputeType: LAMBDA, queuedTimeout: Duration.minutes(5) },
    `'queuedTimeout' cannot be set with Lambda compute`,
  ],
  [
    'Lambda compute in a VPC',
    (stack) => ({ lambdaComputeType: LAMBDA, vpc: vpcIn(stack) }),
    `'vpc' cannot be used with Lambda compute, which runs in no VPC, got "Stack/Vpc": leave it out, or`,
  ],
  [
    'a VPC with public subnets only',
    (stack) => ({ vpc: vpcIn(stack, SubnetType.PUBLIC) }),
    `'vpc' must give the build private subnets, got public ones (Stack/Vpc/PublicSubnet1, Stack/Vpc/PublicSubnet2)`,
  ],
  [
    'public subnets that are asked for',
    (stack) => ({ vpc: vpcIn(stack), subnetSelection: { subnetType: SubnetType.PUBLIC } }),
    `'vpc' must give the build private subnets, got public ones`,
  ],
  [
    'a selection of no subnet',
    (stack) => ({ vpc: vpcIn(stack), subnetSelection: { subnets: [] } }),
    `'subnetSelection' selects no subnet of the VPC "Stack/Vpc"`,
  ],
  [
    'subnets without a VPC',
    (stack) => ({ subnetSelection: { subnets: [Subnet.fromSubnetId(stack, 'Subnet', 'subnet-1')] } }),
    `'subnetSelection' needs a 'vpc', got "subnets" without`,
  ],
  [
    'security groups without a VPC',
    (stack) => ({ securityGroups: [SecurityGroup.fromSecurityGroupId(stack, 'Group', 'sg-1')] }),
    `'securityGroups' need a 'vpc', got "Stack/Group" without`,
  ],
  [
    'no security group',
    (stack) => ({ vpc: vpcIn(stack), securityGroups: [] }),
    `'securityGroups' is empty: leave it out to get a new security group`,
  ],
  [
    'a retention of a log group that is given',
    (stack) => ({ logGroup: new LogGroup(stack, 'Given'), logRetention: RetentionDays.ONE_YEAR }),
    `'logRetention' is for the log group that is made for the build, got 365 and the 'logGroup' "Stack/Given"`,
  ],
  [
    'a log group in another region',
    (stack) => ({
      logGroup: LogGroup.fromLogGroupArn(stack, 'Given', 'arn:aws:logs:us-east-1:111111111111:log-group:builds:*'),
    }),
    `'logGroup' must be in the region of its stack ("eu-west-1"), got "us-east-1"`,
  ],
  [
    'a log group of another account',
    (stack) => ({
      logGroup: LogGroup.fromLogGroupArn(stack, 'Given', 'arn:aws:logs:eu-west-1:222222222222:log-group:builds:*'),
    }),
    `'logGroup' must be in the account of its stack ("111111111111"), got "222222222222"`,
  ],
  [
    'a key in another region',
    (stack) => ({ encryptionKey: Key.fromKeyArn(stack, 'Given', 'arn:aws:kms:us-east-1:111111111111:key/1') }),
    `'encryptionKey' must be in the region of its stack ("eu-west-1"), got "us-east-1"`,
  ],
  [
    'a role of another account',
    (stack) => ({ role: Role.fromRoleArn(stack, 'Given', 'arn:aws:iam::222222222222:role/builds') }),
    `'role' must be in the account of its stack ("111111111111"), got "222222222222"`,
  ],
];

test.each(refused)('refuses %s, before anything is defined', (_, options, message) => {
  const stack = new Stack(new App(), 'Stack', { env: HERE });
  const given = typeof options === 'function' ? options(stack) : options;
  const repository = repositoryIn(stack);
  const before = stack.node.children.length;

  expect(() => new SociIndexV2Build(stack, 'Index', { repository, inputImageTag: 'v1', ...given })).toThrow(message);
  expect(() => new SociIndexBuild(stack, 'V1', { repository, imageTag: 'v1', ...given })).toThrow(message);
  expect(stack.node.children).toHaveLength(before + 2);
});

describe('a repository elsewhere', () => {
  const indexOf = (repositoryArn: string): Template => {
    const stack = new Stack(new App(), 'Stack', { env: HERE });
    const repository = Repository.fromRepositoryArn(stack, 'Repository', repositoryArn);
    new SociIndexV2Build(stack, 'Index', { repository, inputImageTag: 'v1' });
    return Template.fromStack(stack);
  };

  test.each([
    ['in another region', 'arn:aws:ecr:us-east-1:111111111111:repository/app', '111111111111.dkr.ecr.us-east-1.'],
    ['of another account', 'arn:aws:ecr:eu-west-1:222222222222:repository/app', '222222222222.dkr.ecr.eu-west-1.'],
  ])('%s is named by its own address and ARN', (_, arn, host) => {
    const template = indexOf(arn);

    expect(JSON.stringify(onlyResource(template, INDEX).Properties['RepositoryUri'])).toContain(host);
    expect(allowing(template, 'ecr:PutImage').Resource).toBe(arn);
    const provider = statementsOf(template, 'lambda.amazonaws.com').filter(({ Resource: on }) => on === arn);
    expect(provider).toHaveLength(1);
  });

  test('of another account, in a stack of this app, gets no policy from here', () => {
    const app = new App();
    const there = new Stack(app, 'There', { env: { ...HERE, account: '222222222222' } });
    const repository = new Repository(there, 'Repository', { repositoryName: 'app' });
    const stack = new Stack(app, 'Stack', { env: HERE });
    new SociIndexV2Build(stack, 'Index', { repository, inputImageTag: 'v1' });

    const arn = JSON.stringify(allowing(Template.fromStack(stack), 'ecr:PutImage').Resource);
    expect(arn).toContain(':ecr:eu-west-1:222222222222:repository/app');
    expect(onlyResource(Template.fromStack(there), 'AWS::ECR::Repository').Properties).toEqual({ RepositoryName: 'app' });
  });

  const chinese = 'arn:aws-cn:ecr:cn-north-1:222222222222:repository/app';
  const attributes = { repositoryArn: chinese, repositoryName: 'app' };

  test.each<[string, (stack: Stack) => IRepository, string]>([
    ['by its ARN', (stack) => Repository.fromRepositoryArn(stack, 'R', chinese), chinese],
    ['by its attributes', (stack) => Repository.fromRepositoryAttributes(stack, 'R', attributes), chinese],
    [
      'by its stack',
      () => new Repository(new Stack(new App(), 'There', { env: { region: 'cn-north-1' } }), 'R'),
      'cn-north-1',
    ],
  ])('in another partition is refused, known %s', (_, repositoryOf, where) => {
    const stack = new Stack(new App(), 'Stack', { env: HERE });
    const repository = repositoryOf(stack);
    expect(() => new SociIndexV2Build(stack, 'Index', { repository, inputImageTag: 'v1' })).toThrow(
      `'repository' must be in the partition of its stack (aws), got one of aws-cn (${where}): copy the image`,
    );
  });

  test('passes where one of the two partitions is not known', () => {
    const anywhere = new Stack(new App(), 'Stack');
    const known = Repository.fromRepositoryArn(anywhere, 'R', chinese);
    expect(() => new SociIndexV2Build(anywhere, 'Index', { repository: known, inputImageTag: 'v1' })).not.toThrow();

    const app = new App();
    const stack = new Stack(app, 'Stack', { env: HERE });
    const token = new Repository(new Stack(app, 'Anywhere'), 'R', { repositoryName: 'app' });
    expect(() => new SociIndexV2Build(stack, 'Index', { repository: token, inputImageTag: 'v1' })).not.toThrow();
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
