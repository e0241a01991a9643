// A Lambda function that runs the provider's program, whichever part of it. In: its role, log group, sizes and network. Out: the
// function, and the rights that Lambda asks of the role of a function in a VPC.

import { Duration } from 'aws-cdk-lib';
import { ISecurityGroup, IVpc, SubnetSelection } from 'aws-cdk-lib/aws-ec2';
import { IRole, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { Architecture, CfnFunction, Code, Function, Runtime, RuntimeFamily } from 'aws-cdk-lib/aws-lambda';
import { ILogGroup } from 'aws-cdk-lib/aws-logs';
import { Construct, IDependable } from 'constructs';
import { programArchitecture, providerZip } from './assets';
import { Finding } from './nag';
import { connectionsOf, rulesOf } from './resources-of';
import { allow } from './statement';

/** Part of the logical ids of deployed stacks; must not change. */
const ID = 'Function';

export interface ProgramFunctionProps {
  readonly description: string;
  readonly environment?: Record<string, string>;
  readonly memorySize: number;
  readonly timeout: Duration;
  readonly role: IRole;
  readonly logGroup: ILogGroup;
  readonly reservedConcurrentExecutions?: number;
  readonly vpc?: IVpc;
  readonly subnetSelection?: SubnetSelection;
  readonly securityGroups?: ISecurityGroup[];
}

export function programFunction(scope: Construct, props: ProgramFunctionProps): Function {
  const { logGroup, subnetSelection, ...others } = props;
  const made = new Function(scope, ID, {
    ...others,
    runtime: new Runtime('provided.al2023', RuntimeFamily.OTHER),
    architecture: programArchitecture() === 'aarch64' ? Architecture.ARM_64 : Architecture.X86_64,
    handler: 'bootstrap',
    code: Code.fromAsset(providerZip()),
    vpcSubnets: subnetSelection,
    // Newer than the oldest aws-cdk-lib that we work with. Without it, a feature flag makes a second group, which stays.
    ...{ logGroup },
  });
  // For an older aws-cdk-lib. A group named after the function could not be named in the role, on which the function
  // depends.
  (made.node.defaultChild as CfnFunction).addPropertyOverride('LoggingConfig', { LogGroup: logGroup.logGroupName });
  return made;
}

/** What has to be there before the function runs, and until after, beside its rights. */
export function networkOf(made: Function, { vpc, subnetSelection }: ProgramFunctionProps): IDependable[] {
  if (vpc === undefined) {
    return [];
  }
  return [
    ...[vpc, ...vpc.selectSubnets(subnetSelection).subnets].map(connectionsOf),
    ...made.connections.securityGroups.map(rulesOf),
  ];
}

/** Lambda makes the network interfaces with the role of the function, and makes no function whose role may not. */
export function networkStatement(): PolicyStatement {
  return allow(
    [
      'ec2:AssignPrivateIpAddresses',
      'ec2:CreateNetworkInterface',
      'ec2:DeleteNetworkInterface',
      'ec2:DescribeNetworkInterfaces',
      'ec2:DescribeSubnets',
      'ec2:UnassignPrivateIpAddresses',
    ],
    '*',
  );
}

export const NETWORK_FINDING: Finding = {
  id: 'AwsSolutions-IAM5',
  appliesTo: ['Resource::*'],
  reason: "Lambda's developer guide asks for these rights: interfaces have no names before they are made",
};
