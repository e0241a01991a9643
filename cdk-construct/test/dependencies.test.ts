// What an index waits for: single resources, whatever else is in a construct that is given, and each once.

import { App, CfnResource, Duration, NestedStack, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { InterfaceVpcEndpoint, IVpc, PrivateSubnet, SecurityGroup, SubnetType, Vpc } from 'aws-cdk-lib/aws-ec2';
import { Repository } from 'aws-cdk-lib/aws-ecr';
import { Cluster, FargateService, FargateTaskDefinition } from 'aws-cdk-lib/aws-ecs';
import { PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Key } from 'aws-cdk-lib/aws-kms';
import { LogGroup } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { SociImage, SociIndexBuild, SociIndexOptions, SociIndexV2Build } from '../src';
import { BUILDER, idsOf, PROJECT, vpcIn } from './build';
import { INDEX, onlyResource, repositoryIn, resourcesOf } from './template';

const SERVICE = 'AWS::ECS::Service';

/** A service of an indexed image. */
function serviceIn(scope: Construct, vpc: IVpc, options: SociIndexOptions, repository = repositoryIn(Stack.of(scope))): FargateService {
  const taskDefinition = new FargateTaskDefinition(scope, 'Task');
  taskDefinition.addContainer('app', { image: SociImage.fromEcrRepository(repository, 'v1', options) });
  const cluster = new Cluster(scope, 'Cluster', { vpc });
  return new FargateService(scope, 'Service', { cluster, taskDefinition });
}

const roleIn = (scope: Construct): Role => new Role(scope, 'Given', { assumedBy: new ServicePrincipal(BUILDER) });

describe('what is given may hold the service', () => {
  // `Template` refuses a cycle.
  test.each<[string, (scope: Construct, vpc: Vpc) => { owner: Construct; options: SociIndexOptions }]>([
    ['a VPC', (_, vpc) => ({ owner: vpc, options: { vpc } })],
    [
      'a subnet',
      (scope, vpc) => {
        const place = { vpcId: vpc.vpcId, availabilityZone: vpc.availabilityZones[0], cidrBlock: '10.0.250.0/24' };
        const subnet = new PrivateSubnet(scope, 'Subnet', place);
        return { owner: subnet, options: { vpc, subnetSelection: { subnets: [subnet] } } };
      },
    ],
    [
      'a security group',
      (scope, vpc) => {
        const group = new SecurityGroup(scope, 'Group', { vpc, allowAllOutbound: false });
        return { owner: group, options: { vpc, securityGroups: [group] } };
      },
    ],
    [
      'a role',
      (scope) => {
        const role = roleIn(scope);
        return { owner: role, options: { role } };
      },
    ],
    [
      'a role that takes no policies',
      (scope) => {
        const role = roleIn(scope);
        return { owner: role, options: { role: role.withoutPolicyUpdates() } };
      },
    ],
    [
      'a key',
      (scope) => {
        const encryptionKey = new Key(scope, 'Key');
        return { owner: encryptionKey, options: { encryptionKey } };
      },
    ],
    [
      'a log group',
      (scope) => {
        const logGroup = new LogGroup(scope, 'Log');
        return { owner: logGroup, options: { logGroup } };
      },
    ],
  ])('%s', (_, given) => {
    const stack = new Stack(new App(), 'Stack');
    const vpc = vpcIn(stack);
    const { owner, options } = given(stack, vpc);
    serviceIn(owner, vpc, options);
    Template.fromStack(stack).resourceCountIs(SERVICE, 1);
  });

  test('a repository', () => {
    const stack = new Stack(new App(), 'Stack');
    const repository = new Repository(stack, 'Repository');
    serviceIn(repository, vpcIn(stack), {}, repository);
    Template.fromStack(stack).resourceCountIs(SERVICE, 1);
  });

  test('a role that may update the service', () => {
    const stack = new Stack(new App(), 'Stack');
    const role = roleIn(stack);
    const service = serviceIn(stack, vpcIn(stack), { role });
    role.addToPolicy(new PolicyStatement({ actions: ['ecs:UpdateService'], resources: [service.serviceArn] }));
    Template.fromStack(stack).resourceCountIs(SERVICE, 1);
  });

  test('a construct of the user’s that has all of them', () => {
    const stack = new Stack(new App(), 'Stack');
    const platform = new Construct(stack, 'Platform');
    const vpc = new Vpc(platform, 'Vpc');
    const group = new SecurityGroup(platform, 'Group', { vpc });
    const options = { vpc, role: roleIn(platform), securityGroups: [group], encryptionKey: new Key(platform, 'Key') };
    serviceIn(platform, vpc, options, new Repository(platform, 'Repository'));
    Template.fromStack(stack).resourceCountIs(SERVICE, 1);
  });

  test('a VPC whose service waits for an index of version 1', () => {
    const stack = new Stack(new App(), 'Stack');
    const vpc = vpcIn(stack);
    const service = serviceIn(vpc, vpc, { vpc });
    service.node.addDependency(new SociIndexBuild(vpc, 'V1', { repository: repositoryIn(stack, 'other'), imageTag: 'v1', vpc }));
    Template.fromStack(stack).resourceCountIs(INDEX, 2);
  });

  test('a VPC of the stack around a nested one', () => {
    const stack = new Stack(new App(), 'Stack');
    const vpc = vpcIn(stack);
    const nested = new NestedStack(vpc, 'Nested');
    serviceIn(nested, vpc, { vpc, role: roleIn(stack) });
    Template.fromStack(nested).resourceCountIs(SERVICE, 1);

    const [stackId] = idsOf(Template.fromStack(stack), 'AWS::CloudFormation::Stack');
    const { DependsOn } = resourcesOf(Template.fromStack(stack), 'AWS::CloudFormation::Stack')[stackId];
    expect(DependsOn).toEqual(expect.arrayContaining(idsOf(Template.fromStack(stack), 'AWS::EC2::Route', 'Private')));
  });
});

test('an index waits for all that its build needs of a network', () => {
  const stack = new Stack(new App(), 'Stack');
  const vpc = vpcIn(stack, SubnetType.PUBLIC, SubnetType.PRIVATE_WITH_EGRESS);
  // An endpoint with a name of the service, as users write them.
  vpc.addInterfaceEndpoint('Registry', { service: { name: 'com.amazonaws.eu-west-1.ecr.dkr', port: 443 } });
  const group = new SecurityGroup(stack, 'Group', { vpc, allowAllOutbound: false });
  group.connections.allowToDefaultPort(
    vpc.node.tryFindChild('Registry') as InterfaceVpcEndpoint,
  );
  new SociIndexV2Build(stack, 'Index', { repository: repositoryIn(stack), inputImageTag: 'v1', vpc, securityGroups: [group] });

  const template = Template.fromStack(stack);
  const { DependsOn } = onlyResource(template, INDEX);
  for (const type of ['Route', 'SubnetRouteTableAssociation', 'NatGateway', 'VPCEndpoint', 'VPCGatewayAttachment', 'SecurityGroupEgress']) {
    const ids = idsOf(template, `AWS::EC2::${type}`);
    expect(ids).not.toEqual([]);
    expect(DependsOn).toEqual(expect.arrayContaining(ids));
  }
});

test('an index waits for the policies of a role that takes none from here', () => {
  const stack = new Stack(new App(), 'Stack');
  const role = roleIn(stack);
  role.addToPolicy(new PolicyStatement({ actions: ['ecr:PutImage'], resources: ['*'] }));
  const options = { repository: repositoryIn(stack), inputImageTag: 'v1', role: role.withoutPolicyUpdates() };
  new SociIndexV2Build(stack, 'Index', options);

  const template = Template.fromStack(stack);
  expect(onlyResource(template, INDEX).DependsOn).toEqual(
    expect.arrayContaining(idsOf(template, 'AWS::IAM::Policy', 'GivenDefaultPolicy')),
  );
});

test.each<[string, (stack: Stack) => SociIndexOptions]>([
  ['by default', () => ({})],
  ['with a time of its own', () => ({ timeout: Duration.minutes(7) })],
  ['with everything given', (stack) => ({
    vpc: vpcIn(stack),
    role: roleIn(stack),
    encryptionKey: new Key(stack, 'Key'),
    logGroup: new LogGroup(stack, 'Log'),
  })],
])('nothing that a resource refers to stands among its dependencies again: %s', (_, options) => {
  const stack = new Stack(new App(), 'Stack');
  const repository = new Repository(stack, 'Repository');
  new SociIndexV2Build(stack, 'Index', { repository, inputImageTag: 'v1', ...options(stack) });
  const template = Template.fromStack(stack);

  // The CDK's own constructs do that, such as `Function` with its role.
  for (const type of [INDEX, PROJECT, 'AWS::IAM::Policy', 'AWS::IAM::ManagedPolicy']) {
    for (const { Properties, DependsOn = [] } of Object.values(resourcesOf(template, type))) {
      const text = JSON.stringify(Properties);
      expect([DependsOn].flat().filter((id) => text.includes(`{"Ref":"${id}"}`) || text.includes(`"Fn::GetAtt":["${id}",`))).toEqual([]);
      expect(new Set(DependsOn).size).toBe(DependsOn.length);
    }
  }
});

test('an index waits for what it is told to, whoever made it', () => {
  const stack = new Stack(new App(), 'Stack');
  const pushed = new CfnResource(stack, 'Pushed', { type: 'Custom::Pushed' });
  const repository = repositoryIn(stack);
  const dependencies = [pushed];
  const taskDefinition = new FargateTaskDefinition(stack, 'Task');
  // Two containers share the index.
  for (const name of ['one', 'two']) {
    taskDefinition.addContainer(name, { image: SociImage.fromEcrRepository(repository, 'v1', { dependencies }) });
  }
  new SociIndexV2Build(stack, 'V2', { repository, inputImageTag: 'v2', dependencies });
  new SociIndexBuild(stack, 'V1', { repository, imageTag: 'v1', dependencies });

  const indexes = Object.values(resourcesOf(Template.fromStack(stack), INDEX));
  expect(indexes.map(({ DependsOn }) => DependsOn?.includes('Pushed'))).toEqual([true, true, true]);
});
