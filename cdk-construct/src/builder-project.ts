// The CodeBuild project that builds indexes: one per stack and build environment. Gives out its name and ARN, and takes
// the repositories that it works in. What is built comes with each build, in its environment variables.

import { RemovalPolicy, Stack } from 'aws-cdk-lib';
import { CfnProject, ComputeType } from 'aws-cdk-lib/aws-codebuild';
import { IRepository } from 'aws-cdk-lib/aws-ecr';
import { PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { Asset } from 'aws-cdk-lib/aws-s3-assets';
import { Construct } from 'constructs';
import { builderDirectory } from './assets';
import { SociIndexOptions } from './build-options';
import { shortHash } from './short-hash';
import { DEFAULT_QUEUED_TIMEOUT, DEFAULT_TIMEOUT } from './validate';

/** Part of the logical ids of deployed stacks: never changes. */
const ID = 'SociIndexBuildProject';

/** Amazon Linux 2023. The builder asks nothing of it but bash and glibc 2.34. */
const IMAGE = 'aws/codebuild/amazonlinux2-x86_64-standard:5.0';

/**
 * Starts the builder with one argument per line of `SOCI_ARGUMENTS`, and exports what it prints. It is one command,
 * because an array does not survive from one command of a buildspec to the next. No argument is ever read by the
 * shell as anything but a string.
 */
export const BUILDSPEC = `version: 0.2
env:
  shell: bash
  exported-variables: [SOCI_RESULT]
phases:
  build:
    commands:
      - |
        mapfile -t arguments <<<"$SOCI_ARGUMENTS"
        chmod +x "$CODEBUILD_SRC_DIR/soci-builder"
        status=0
        SOCI_RESULT=$("$CODEBUILD_SRC_DIR/soci-builder" "\${arguments[@]}") || status=$?
        export SOCI_RESULT
        (exit "$status")
`;

export class BuilderProject extends Construct {
  /** The project of the scope's stack for this build environment; made where there is none yet. */
  public static of(scope: Construct, options: SociIndexOptions): BuilderProject {
    const stack = Stack.of(scope);
    const environment = environmentOf(options);
    const id = idOf(stack, environment);
    return (
      (stack.node.tryFindChild(id) as BuilderProject | undefined) ?? new BuilderProject(stack, id, environment)
    );
  }

  public readonly projectName: string;
  public readonly projectArn: string;
  private readonly role: Role;

  private constructor(scope: Construct, id: string, environment: Environment) {
    super(scope, id);

    const program = new Asset(this, 'Program', { path: builderDirectory() });
    const logGroup = new LogGroup(this, 'LogGroup', {
      retention: RetentionDays.ONE_MONTH,
      removalPolicy: RemovalPolicy.DESTROY,
    });

    this.role = new Role(this, 'Role', { assumedBy: new ServicePrincipal('codebuild.amazonaws.com') });
    this.allow(['logs:CreateLogStream', 'logs:PutLogEvents'], logGroup.logGroupArn);
    this.allow(['s3:GetObject', 's3:GetObjectVersion'], program.bucket.arnForObjects(program.s3ObjectKey));
    this.allow(['s3:GetBucketAcl', 's3:GetBucketLocation'], program.bucket.bucketArn);
    this.allow(['ecr:GetAuthorizationToken'], '*');

    // The Project construct would add rights that nothing here uses.
    const project = new CfnProject(this, 'Project', {
      description: 'Builds SOCI indexes of container images',
      serviceRole: this.role.roleArn,
      source: {
        type: 'S3',
        location: `${program.s3BucketName}/${program.s3ObjectKey}`,
        buildSpec: BUILDSPEC,
      },
      artifacts: { type: 'NO_ARTIFACTS' },
      environment: {
        type: 'LINUX_CONTAINER',
        image: IMAGE,
        computeType: environment.computeType,
        privilegedMode: false,
      },
      logsConfig: { cloudWatchLogs: { status: 'ENABLED', groupName: logGroup.logGroupName } },
      timeoutInMinutes: environment.timeoutInMinutes,
      queuedTimeoutInMinutes: environment.queuedTimeoutInMinutes,
    });
    this.projectName = project.ref;
    this.projectArn = project.attrArn;
  }

  /** Lets builds read images of the repository and push indexes to it. */
  public useRepository(repository: IRepository): void {
    repository.grant(
      this.role,
      'ecr:BatchCheckLayerAvailability',
      'ecr:BatchGetImage',
      'ecr:CompleteLayerUpload',
      'ecr:GetDownloadUrlForLayer',
      'ecr:InitiateLayerUpload',
      'ecr:PutImage',
      'ecr:UploadLayerPart',
    );
  }

  private allow(actions: string[], resource: string): void {
    this.role.addToPolicy(new PolicyStatement({ actions, resources: [resource] }));
  }
}

interface Environment {
  readonly computeType: string;
  readonly timeoutInMinutes: number;
  readonly queuedTimeoutInMinutes: number;
}

function environmentOf(options: SociIndexOptions): Environment {
  return {
    computeType: options.computeType ?? ComputeType.SMALL,
    timeoutInMinutes: (options.timeout ?? DEFAULT_TIMEOUT).toMinutes(),
    queuedTimeoutInMinutes: (options.queuedTimeout ?? DEFAULT_QUEUED_TIMEOUT).toMinutes(),
  };
}

/**
 * Only what is not the default goes into the id, so that a setting that is added one day leaves all ids as they are.
 */
function idOf(stack: Stack, environment: Environment): string {
  const defaults = Object.entries(environmentOf({}));
  const settings = Object.entries(environment).filter(([name, value]) =>
    defaults.every(([otherName, usual]) => otherName !== name || usual !== value),
  );
  return settings.length === 0 ? ID : `${ID}-${shortHash(stack.resolve(settings))}`;
}
