// The role of a function that works with images. In: its log group, its VPC, whether it reads layers, and what else it may. Out: the
// role, and what must exist before the function.

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
  /** Whether it reads and pushes layers, as registries do it, for which it needs a password. */
  readonly isPulling?: boolean;
  /** Additional permissions, in the order of the policy. */
  readonly statements?: PolicyStatement[];
}

export function functionRole(scope: Construct, props: FunctionRoleProps): ProgramRole {
  const { given, logGroup, vpc, isPulling = false, statements = [] } = props;
  return new ProgramRole(scope, {
    given,
    service: 'lambda.amazonaws.com',
    logGroup,
    statements: [
      ...(isPulling ? [passwordStatement()] : []),
      ...statements,
      ...(vpc === undefined ? [] : [networkStatement()]),
    ],
    reason: reasonOf(props),
  });
}

/** Why there are rights on everything, if there are any. */
function reasonOf({ vpc, isPulling = false }: FunctionRoleProps): string | undefined {
  const ofNetwork = vpc && NETWORK_FINDING.reason;
  if (!isPulling) {
    return ofNetwork;
  }
  const ofPassword = 'The only right on * is ecr:GetAuthorizationToken, for which IAM knows no resource';
  return ofNetwork === undefined ? ofPassword : `${ofPassword}, and in a VPC those for network interfaces: ${ofNetwork}`;
}
