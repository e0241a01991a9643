// The role of a function that works with images: may get ECR's password, and in a VPC make network interfaces. In: its log group, and
// what else it may. Out: the role, and what must exist before the function.

import { IVpc } from 'aws-cdk-lib/aws-ec2';
import { IRole, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { ILogGroup } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { NETWORK_FINDING, networkStatement } from './program-function';
import { passwordStatement, ProgramRole } from './program-role';

export interface FunctionRoleProps {
  /** The user's role, if given. */
  readonly given?: IRole;
  readonly logGroup: ILogGroup;
  readonly vpc?: IVpc;
  /** Additional permissions, in the order of the policy. */
  readonly statements?: PolicyStatement[];
}

export function functionRole(scope: Construct, { given, logGroup, vpc, statements = [] }: FunctionRoleProps): ProgramRole {
  return new ProgramRole(scope, {
    given,
    service: 'lambda.amazonaws.com',
    logGroup,
    statements: [passwordStatement(), ...statements, ...(vpc === undefined ? [] : [networkStatement()])],
    reason:
      'The only right on * is ecr:GetAuthorizationToken, for which IAM knows no resource' +
      (vpc === undefined ? '' : `, and in a VPC those for network interfaces: ${NETWORK_FINDING.reason}`),
  });
}
