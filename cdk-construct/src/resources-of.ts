// Single resources to depend on. In: a construct, and types of resources. Out: those that are in it when the template is written.
// A construct as a whole can hold anything, also what waits for the index: to depend on that would be a cycle.

import { CfnResource } from 'aws-cdk-lib';
import { Dependable, IConstruct, IDependable } from 'constructs';

class ResourcesIn extends Dependable {
  constructor(
    private readonly construct: IDependable,
    private readonly types: string[],
  ) {
    super();
  }

  /** Asked when the template is written. */
  public get dependencyRoots(): IConstruct[] {
    return Dependable.of(this.construct)
      .dependencyRoots.flatMap((root) => root.node.findAll())
      .filter((each) => CfnResource.isCfnResource(each) && this.types.includes(each.cfnResourceType));
  }
}

function resourcesIn(construct: IDependable, types: string[]): IDependable {
  const dependable: IDependable = {};
  Dependable.implement(dependable, new ResourcesIn(construct, types));
  return dependable;
}

/** The policies in the construct: of a role, all that are not written into it. */
export function policiesOf(construct: IDependable): IDependable {
  return resourcesIn(construct, ['AWS::IAM::ManagedPolicy', 'AWS::IAM::Policy']);
}

/** What makes a network of subnets that nothing refers to: routes, endpoints, and what lets packets through. */
export function connectionsOf(construct: IDependable): IDependable {
  return resourcesIn(construct, [
    'AWS::EC2::NatGateway',
    'AWS::EC2::NetworkAclEntry',
    'AWS::EC2::Route',
    'AWS::EC2::SubnetNetworkAclAssociation',
    'AWS::EC2::SubnetRouteTableAssociation',
    'AWS::EC2::VPCEndpoint',
    'AWS::EC2::VPCGatewayAttachment',
  ]);
}

/** A security group, with the rules that are not written into it. */
export function rulesOf(construct: IDependable): IDependable {
  return resourcesIn(construct, [
    'AWS::EC2::SecurityGroup',
    'AWS::EC2::SecurityGroupEgress',
    'AWS::EC2::SecurityGroupIngress',
  ]);
}
