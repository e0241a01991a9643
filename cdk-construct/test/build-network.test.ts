// Builds in a VPC: where they run, what they may do there, and what the index waits for.

import { CfnParameter, Stack } from 'aws-cdk-lib';
import { Annotations, Match, Template } from 'aws-cdk-lib/assertions';
import { InterfaceVpcEndpointAwsService, SecurityGroup, SubnetType, Vpc } from 'aws-cdk-lib/aws-ec2';
import { SociIndexOptions } from '../src';
import { allowing, BUILDER, dependenciesOf, idsOf, PROJECT, stackWith, templateWith, vpcIn } from './build';
import { onlyResource, statementsOf } from './template';

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
          // A subnet that is shared has the account of its owner in its ARN, which nothing here knows.
          ...(typeof name === 'string' ? [':', { Ref: 'AWS::AccountId' }, `:${what}/${name}`] : [`:*:${what}/`, name]),
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
      Match.stringLikeRegexp('without internet access.*ecr.api, ecr.dkr, logs and codebuild.*s3'),
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
