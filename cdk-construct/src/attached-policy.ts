// A policy attached to a role. In: any kind of role, and statements. Out: the policy, to depend on. It is not in the
// template if the role is immutable: an imported role without updates, or one of `Role.customizeRoles`.

import { IRole, Policy, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { Construct } from 'constructs';

/** Returns the policy with this id; creates it if needed. */
export function attachedPolicy(role: IRole, scope: Construct, id: string, statements: PolicyStatement[]): Policy {
  const existing = scope.node.tryFindChild(id) as Policy | undefined;
  if (existing !== undefined) {
    return existing;
  }
  const policy = new Policy(scope, id, { statements });
  // Attach directly, after adding the statements: a role of customizeRoles copies them to its report only once.
  role.attachInlinePolicy(policy);
  return policy;
}
