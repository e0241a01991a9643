// Selects resources to depend on. In: a construct, and resource types. Out: the resources in it when the template is written.
// Depending on the whole construct could be a cycle, because it may contain resources that wait for the index.

import { CfnResource } from 'aws-cdk-lib';
import { Dependable, IConstruct, IDependable } from 'constructs';

class ResourcesIn extends Dependable {
  constructor(
    private readonly construct: IDependable,
    private readonly types: string[],
  ) {
    super();
  }

  /** Evaluated when the template is written. */
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

/** The policies in the construct; for a role, all that are separate resources. */
export function policiesOf(construct: IDependable): IDependable {
  return resourcesIn(construct, ['AWS::IAM::ManagedPolicy', 'AWS::IAM::Policy']);
}

/** Network resources that nothing refers to: routes, endpoints, network ACLs. */
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

/** A security group with the rules that are separate resources. */
export function rulesOf(construct: IDependable): IDependable {
  return resourcesIn(construct, [
    'AWS::EC2::SecurityGroup',
    'AWS::EC2::SecurityGroupEgress',
    'AWS::EC2::SecurityGroupIngress',
  ]);
}
