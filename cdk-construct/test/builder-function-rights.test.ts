// What the function that builds may do, and the provider with it: exactly this, on exactly that.

import { App, Stack } from 'aws-cdk-lib';
import { Annotations, Match, Template } from 'aws-cdk-lib/assertions';
import { SecurityGroup, SubnetType } from 'aws-cdk-lib/aws-ec2';
import { Key } from 'aws-cdk-lib/aws-kms';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { SociBuilder, SociIndexBuildDefaults, SociIndexOptions, SociIndexV2Build } from '../src';
import { dependenciesOf, idsOf, stackWith, vpcIn } from './build';
import { actionsByResource, isRepository, onlyResource, repositoryIn, resourcesOf, statementsIn } from './template';

const FUNCTION = 'AWS::Lambda::Function';
const PASSWORD = 'ecr:GetAuthorizationToken';
const NETWORK = [
  'ec2:AssignPrivateIpAddresses',
  'ec2:CreateNetworkInterface',
  'ec2:DeleteNetworkInterface',
  'ec2:DescribeNetworkInterfaces',
  'ec2:DescribeSubnets',
  'ec2:UnassignPrivateIpAddresses',
];

function templateWith(options: (stack: Stack) => SociIndexOptions = () => ({})): Template {
  return Template.fromStack(stackWith((stack) => ({ builder: SociBuilder.FUNCTION, ...options(stack) })));
}

/** The rights of the role whose id begins so: actions by the resource that they are on. */
function rightsOf(template: Template, role: string): Record<string, string[]> {
  const policies = Object.values(resourcesOf(template, 'AWS::IAM::Policy')).filter(({ Properties }) =>
    JSON.stringify(Properties['Roles']).includes(`"${role}`),
  );
  return actionsByResource(policies.flatMap(statementsIn), meaning);
}

/** A resource in words; anything unknown stays as it is, so that it is seen. */
function meaning(resource: unknown): string {
  const text = JSON.stringify(resource);
  if (isRepository(text)) {
    return 'the repository';
  }
  // Where the settings are not the defaults, eight characters of their hash stand in the id.
  const ours = /^\{"Fn::GetAtt":\["SociIndexBuild(Provider|Function)(?:[0-9a-f]{8})?(LogGroup|Function)?[0-9A-F]{8}","Arn"\]\}$/;
  return text.replace(ours, (_, part: string, kind = 'Function') => `${kind} of ${part}`);
}

const OF_BUILDER = {
  'LogGroup of Function': ['logs:CreateLogStream', 'logs:PutLogEvents'],
  'Function of Provider': ['lambda:InvokeFunction'],
  'the repository': [
    'ecr:BatchCheckLayerAvailability',
    'ecr:BatchGetImage',
    'ecr:CompleteLayerUpload',
    'ecr:GetDownloadUrlForLayer',
    'ecr:InitiateLayerUpload',
    'ecr:PutImage',
    'ecr:UploadLayerPart',
  ],
  '{"Ref":"AWS::StackId"}': ['cloudformation:DescribeStackResource'],
  '"*"': [PASSWORD],
};

test('the builder works in its repositories, hands failures to the provider, and sees the resources of its stack', () => {
  expect(rightsOf(templateWith(), 'SociIndexBuildFunction')).toEqual(OF_BUILDER);
});

test('in a VPC it may make its network interfaces, too', () => {
  const template = templateWith((stack) => ({ vpc: vpcIn(stack) }));
  expect(rightsOf(template, 'SociIndexBuildFunction')).toEqual({ ...OF_BUILDER, '"*"': [...NETWORK, PASSWORD] });
});

test('the provider may invoke it, and nothing of CodeBuild', () => {
  expect(rightsOf(templateWith(), 'SociIndexBuildProvider')).toEqual({
    'LogGroup of Provider': ['logs:CreateLogStream', 'logs:PutLogEvents'],
    'Function of Provider': ['lambda:InvokeFunction'],
    'Function of Function': ['lambda:InvokeFunction'],
    'the repository': ['ecr:BatchCheckLayerAvailability', 'ecr:BatchGetImage', 'ecr:GetDownloadUrlForLayer'],
  });
});

describe('in a VPC', () => {
  const builderOf = (template: Template): Record<string, unknown> => {
    const [found] = Object.entries(resourcesOf(template, FUNCTION)).filter(([id]) => id.startsWith('SociIndexBuildFunction'));
    return found[1].Properties;
  };

  test('it runs in the private subnets, and the index waits for the network', () => {
    const template = templateWith((stack) => ({ vpc: vpcIn(stack) }));
    expect(builderOf(template)['VpcConfig']).toMatchObject({
      SubnetIds: idsOf(template, 'AWS::EC2::Subnet', 'Private').map((id) => ({ Ref: id })),
    });
    expect(onlyResource(template, 'AWS::EC2::SecurityGroup').Properties).not.toHaveProperty('SecurityGroupIngress');
    expect(dependenciesOf(template)).toEqual(
      expect.arrayContaining([...idsOf(template, 'AWS::EC2::SecurityGroup'), ...idsOf(template, 'AWS::EC2::Route', 'Private')]),
    );
    // The provider stays where the defaults say.
    expect(onlyProvider(template).Properties).not.toHaveProperty('VpcConfig');
  });

  test('it runs where it is told to', () => {
    const template = templateWith((stack) => {
      const vpc = vpcIn(stack);
      const securityGroups = [SecurityGroup.fromSecurityGroupId(stack, 'Given', 'sg-1')];
      return { vpc, subnetSelection: { subnets: [vpc.privateSubnets[1]] }, securityGroups };
    });
    expect(builderOf(template)['VpcConfig']).toEqual({
      SecurityGroupIds: ['sg-1'],
      SubnetIds: [{ Ref: expect.stringContaining('PrivateSubnet2') as unknown }],
    });
  });

  test('isolated subnets get a warning that names what it calls', () => {
    const stack = stackWith((inner) => ({ builder: SociBuilder.FUNCTION, vpc: vpcIn(inner, SubnetType.PRIVATE_ISOLATED) }));
    Annotations.fromStack(stack).hasWarning(
      '/Stack/Index',
      Match.stringLikeRegexp('without internet access.*for ecr.api, ecr.dkr and cloudformation, and a gateway endpoint for s3'),
    );
  });

  function onlyProvider(template: Template): { Properties: Record<string, unknown> } {
    const found = Object.entries(resourcesOf(template, FUNCTION)).filter(([id]) => id.startsWith('SociIndexBuildProvider'));
    expect(found).toHaveLength(1);
    return found[0][1];
  }
});

test('key and retention are those of its log group', () => {
  const template = templateWith((stack) => ({ encryptionKey: new Key(stack, 'Key'), logRetention: RetentionDays.ONE_YEAR }));
  const key = onlyResource(template, 'AWS::KMS::Key');
  const [group] = idsOf(template, 'AWS::Logs::LogGroup', 'SociIndexBuildFunction');
  expect(resourcesOf(template, 'AWS::Logs::LogGroup')[group].Properties).toEqual({
    KmsKeyId: { 'Fn::GetAtt': [key.id, 'Arn'] },
    RetentionInDays: 365,
  });
  expect(JSON.stringify(key.Properties['KeyPolicy'])).toContain('kms:EncryptionContext:aws:logs:arn');
});

test('a log group that is given is used', () => {
  const template = templateWith((stack) => ({ logGroup: new LogGroup(stack, 'Given') }));
  const [given] = idsOf(template, 'AWS::Logs::LogGroup', 'Given');
  expect(JSON.stringify(resourcesOf(template, FUNCTION))).toContain(`{"LogGroup":{"Ref":"${given}"}}`);
  template.resourceCountIs('AWS::Logs::LogGroup', 2);
});

test('the rules of an organization reach it', () => {
  const stack = new Stack(new App(), 'Stack');
  const builder = SociBuilder.FUNCTION;
  SociIndexBuildDefaults.of(stack).set({ builder, vpc: vpcIn(stack), logRetention: RetentionDays.ONE_YEAR });
  new SociIndexV2Build(stack, 'Index', { repository: repositoryIn(stack), inputImageTag: 'v1' });

  const template = Template.fromStack(stack);
  const functions = Object.values(resourcesOf(template, FUNCTION));
  expect(functions.map(({ Properties }) => Properties['VpcConfig'])).toEqual([expect.anything(), expect.anything()]);
  const groups = Object.values(resourcesOf(template, 'AWS::Logs::LogGroup'));
  expect(groups.map(({ Properties }) => Properties['RetentionInDays'])).toEqual([365, 365]);
});
