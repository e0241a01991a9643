// A policy of a role. In: the role, whatever kind it is, and statements. Out: the policy, to depend on. It is not in the
// template where the role takes none: an imported one that is not to be changed, or one of `Role.customizeRoles`.

import { IRole, Policy, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { Construct } from 'constructs';

/** The policy by this id; made where there is none yet. */
export function attachedPolicy(role: IRole, scope: Construct, id: string, statements: PolicyStatement[]): Policy {
  const existing = scope.node.tryFindChild(id) as Policy | undefined;
  if (existing !== undefined) {
    return existing;
  }
  const policy = new Policy(scope, id, { statements });
  // Asked itself, and when the statements are there: a role of customizeRoles copies them to its report, once.
  role.attachInlinePolicy(policy);
  return policy;
}
