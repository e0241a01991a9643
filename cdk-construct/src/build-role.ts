// The role of builds, whatever runs them, and its rights: a role of our own, or one that is given. In: who assumes it, and what it may do
// beside its work in repositories. Out: the role, and what has to be there before a build.

import { IRepository } from 'aws-cdk-lib/aws-ecr';
import { IRole, Policy, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { ILogGroup } from 'aws-cdk-lib/aws-logs';
import { Construct, IConstruct, IDependable } from 'constructs';
import { attachedPolicy } from './attached-policy';
import { acceptFindings } from './nag';
import { policiesOf } from './resources-of';
import { Right } from './rights-policy';
import { RoleRights } from './role-rights';

/** Reading images, and pushing indexes. */
const PUSH: Right = {
  name: 'push',
  actions: [
    'ecr:BatchCheckLayerAvailability',
    'ecr:BatchGetImage',
    'ecr:CompleteLayerUpload',
    'ecr:GetDownloadUrlForLayer',
    'ecr:InitiateLayerUpload',
    'ecr:PutImage',
    'ecr:UploadLayerPart',
  ],
};

export interface BuildRoleProps {
  /** Of the user's own. */
  readonly given?: IRole;
  /** The service that runs builds. */
  readonly service: string;
  readonly logGroup: ILogGroup;
  /** What it may do besides, in the order of the policy. */
  readonly statements: PolicyStatement[];
  /** Why some of them are for everything. */
  readonly reason: string;
}

export class BuildRole {
  public readonly role: IRole;
  /** What runs builds can depend on this, and has to where it tries its rights when it is made. */
  public readonly policy: IDependable[];
  /** What every index has to depend on. A given role that takes no policies has to have its own. */
  public readonly essentials: IDependable[];
  private readonly given: IRole | undefined;
  private readonly rights: RoleRights;

  constructor(
    private readonly scope: Construct,
    { given, service, logGroup, statements, reason }: BuildRoleProps,
  ) {
    this.given = given;
    this.role = given ?? new Role(scope, 'Role', { assumedBy: new ServicePrincipal(service) });
    const logs = allow(['logs:CreateLogStream', 'logs:PutLogEvents'], logGroup.logGroupArn);
    const policy = this.allow([logs, ...statements]);
    this.policy = policy === undefined ? [] : [policy];
    acceptFindings(policy?.node.defaultChild, [{ id: 'AwsSolutions-IAM5', appliesTo: ['Resource::*'], reason }]);
    this.rights = new RoleRights(scope, 'Rights', { role: this.role });
    this.essentials = [policiesOf(scope), ...(given === undefined || this.rights.isAttached ? [] : [policiesOf(given)])];
  }

  /** Lets builds read images of the repository and push indexes to it. */
  public useRepository(repository: IRepository): void {
    this.rights.allow(PUSH, { arn: repository.repositoryArn, owner: repository.stack });
  }

  /** More of it, in a policy of its own. */
  public attach(id: string, statements: PolicyStatement[]): Policy {
    return attachedPolicy(this.role, this.scope, id, statements);
  }

  /** In the default policy of our own role, or in a policy of its own. */
  private allow(statements: PolicyStatement[]): IConstruct | undefined {
    if (this.given !== undefined) {
      // The default policy would be in the stack of the role, and could not name what is in this one.
      return this.attach('Policy', statements);
    }
    statements.forEach((statement) => this.role.addToPrincipalPolicy(statement));
    return this.role.node.tryFindChild('DefaultPolicy');
  }
}

/** The registry's password, for which IAM knows no resource. */
export function passwordStatement(): PolicyStatement {
  return allow(['ecr:GetAuthorizationToken'], '*');
}

function allow(actions: string[], resource: string): PolicyStatement {
  return new PolicyStatement({ actions, resources: [resource] });
}
