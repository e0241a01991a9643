// The role of a program and its permissions: our own role, or a given one. In: the service principal, and permissions in addition to
// those on repositories. Out: the role, and what must exist before the program runs.

import { IRepository } from 'aws-cdk-lib/aws-ecr';
import { IRole, Policy, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { ILogGroup } from 'aws-cdk-lib/aws-logs';
import { Construct, IConstruct, IDependable } from 'constructs';
import { attachedPolicy } from './attached-policy';
import { acceptFindings } from './nag';
import { PUSH } from './repository-rights';
import { policiesOf } from './resources-of';
import { Right } from './rights-policy';
import { RoleRights, Target } from './role-rights';
import { allow } from './statement';

export interface ProgramRoleProps {
  /** The user's role, if given. */
  readonly given?: IRole;
  /** The service that runs the program. */
  readonly service: string;
  readonly logGroup: ILogGroup;
  /** Additional permissions, in the order of the policy. */
  readonly statements: PolicyStatement[];
  /** Why some of them apply to all resources, if they do. */
  readonly reason?: string;
}

export class ProgramRole {
  public readonly role: IRole;
  /** Resources that check the role's permissions at creation must depend on this. */
  public readonly policy: IDependable[];
  /** What must exist before the program runs, and until after. Empty for an immutable role. */
  public readonly essentials: IDependable[];
  private readonly given: IRole | undefined;
  private readonly rights: RoleRights;

  constructor(
    private readonly scope: Construct,
    { given, service, logGroup, statements, reason }: ProgramRoleProps,
  ) {
    this.given = given;
    this.role = given ?? new Role(scope, 'Role', { assumedBy: new ServicePrincipal(service) });
    const logs = allow(['logs:CreateLogStream', 'logs:PutLogEvents'], logGroup.logGroupArn);
    const policy = this.add([logs, ...statements]);
    this.policy = policy === undefined ? [] : [policy];
    if (reason !== undefined) {
      acceptFindings(policy?.node.defaultChild, [{ id: 'AwsSolutions-IAM5', appliesTo: ['Resource::*'], reason }]);
    }
    this.rights = new RoleRights(scope, 'Rights', { role: this.role });
    this.essentials = [policiesOf(scope), ...(given === undefined || this.rights.isAttached ? [] : [policiesOf(given)])];
  }

  /** Grants permission to read images in the repository and push indexes to it. */
  public useRepository(repository: IRepository): void {
    this.allow(PUSH, { arn: repository.repositoryArn, owner: repository.stack });
  }

  /** A permission on one of many resources. */
  public allow(right: Right, target: Target): void {
    this.rights.allow(right, target);
  }

  /** Says why permissions that were added until now have wildcards in their resources. */
  public acceptWildcards(reason: string): void {
    this.rights.acceptWildcards(reason);
  }

  /** Additional permissions, in a separate policy. */
  public attach(id: string, statements: PolicyStatement[]): Policy {
    return attachedPolicy(this.role, this.scope, id, statements);
  }

  /** In the default policy of our own role, or in a separate policy. */
  private add(statements: PolicyStatement[]): IConstruct | undefined {
    if (this.given !== undefined) {
      // The default policy would be in the role's stack and could not refer to resources of this stack.
      return this.attach('Policy', statements);
    }
    statements.forEach((statement) => this.role.addToPrincipalPolicy(statement));
    return this.role.node.tryFindChild('DefaultPolicy');
  }
}

/** An ECR token; this action does not support resource-level permissions. */
export function passwordStatement(): PolicyStatement {
  return allow(['ecr:GetAuthorizationToken'], '*');
}
