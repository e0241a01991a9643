// The CodeBuild project that builds indexes: one per stack and build environment. What is built comes with each build, in its
// environment variables.

import { Stack } from 'aws-cdk-lib';
import { CfnProject } from 'aws-cdk-lib/aws-codebuild';
import { SecurityGroup, SelectedSubnets } from 'aws-cdk-lib/aws-ec2';
import { IRepository } from 'aws-cdk-lib/aws-ecr';
import { Policy } from 'aws-cdk-lib/aws-iam';
import { Asset } from 'aws-cdk-lib/aws-s3-assets';
import { Construct, IDependable } from 'constructs';
import { builderZip, programArchitecture } from './assets';
import { machineOf, projectKeyOf } from './build-environment';
import { SociIndexOptions } from './build-options';
import { Builder } from './builder';
import { logGroupIn } from './log-group';
import { acceptFindings, resourceFinding } from './nag';
import { passwordStatement, ProgramRole } from './program-role';
import { anyInterfaceOf, keyStatements, networkStatements, programStatements } from './project-rights';
import { connectionsOf, rulesOf } from './resources-of';
import { Right } from './rights-policy';

/** Part of the logical ids of deployed stacks; must not change. */
const ID = 'SociIndexBuildProject';

/** Of the provider. */
const BUILD: Right = {
  name: 'build',
  actions: [
    'codebuild:BatchGetBuilds',
    'codebuild:ListBuildsForProject',
    'codebuild:StartBuild',
    'codebuild:StopBuild',
  ],
};

/**
 * Starts the builder with the arguments in `SOCI_ARGUMENTS` and, where they are longer than one variable may be,
 * `SOCI_ARGUMENTS_2` and so on: percent-encoded, with commas in between. No argument is ever read by the shell as anything
 * but a string. What the builder prints is exported by a command that succeeds, because CodeBuild does not promise to keep
 * what a failed one exports; the next command fails where the builder did.
 */
export const BUILDSPEC = `version: 0.2
env:
  shell: bash
  exported-variables: [SOCI_RESULT]
phases:
  build:
    commands:
      - |
        encoded=$SOCI_ARGUMENTS
        for ((part = 2; ; part++)); do
          name=SOCI_ARGUMENTS_$part
          [[ -v $name ]] || break
          encoded+=\${!name}
        done
        IFS=, read -ra arguments <<<"$encoded"
        for at in "\${!arguments[@]}"; do
          printf -v "arguments[at]" %b "\${arguments[at]//%/\\\\x}"
        done
        chmod +x "$CODEBUILD_SRC_DIR/soci-builder"
        status=0
        SOCI_RESULT=$("$CODEBUILD_SRC_DIR/soci-builder" "\${arguments[@]}") || status=$?
        export SOCI_RESULT SOCI_STATUS=$status
      - (exit "$SOCI_STATUS")
`;

export class BuilderProject extends Construct implements Builder {
  /** Returns the project of the scope's stack for this build environment; creates it if needed. */
  public static of(scope: Construct, options: SociIndexOptions): BuilderProject {
    const stack = Stack.of(scope);
    const key = projectKeyOf(stack, options, programArchitecture());
    const id = key === undefined ? ID : `${ID}-${key}`;
    return (stack.node.tryFindChild(id) as BuilderProject | undefined) ?? new BuilderProject(stack, id, options);
  }

  public readonly property: Builder['property'];
  public readonly arn: string;
  public readonly right = BUILD;
  public readonly essentials: IDependable[];
  private readonly role: ProgramRole;

  private constructor(scope: Construct, id: string, options: SociIndexOptions) {
    super(scope, id);

    const { encryptionKey } = options;
    const machine = machineOf(options, programArchitecture());
    const program = new Asset(this, 'Program', { path: builderZip() });
    const logGroup = options.logGroup ?? logGroupIn(this, options);

    this.role = new ProgramRole(this, {
      given: options.role,
      service: 'codebuild.amazonaws.com',
      logGroup,
      statements: [...programStatements(program), passwordStatement(), ...keyStatements(encryptionKey)],
      reason: 'The only right on * is ecr:GetAuthorizationToken, for which IAM knows no resource',
    });
    const network = this.networkOf(options);

    // The Project construct would add permissions that are not used.
    const project = new CfnProject(this, 'Project', {
      description: 'Builds SOCI indexes of container images',
      serviceRole: this.role.role.roleArn,
      source: {
        type: 'S3',
        location: `${program.s3BucketName}/${program.s3ObjectKey}`,
        buildSpec: BUILDSPEC,
      },
      artifacts: { type: 'NO_ARTIFACTS' },
      environment: {
        type: machine.type,
        image: machine.image,
        computeType: machine.computeType,
        privilegedMode: false,
      },
      logsConfig: { cloudWatchLogs: { status: 'ENABLED', groupName: logGroup.logGroupName } },
      timeoutInMinutes: machine.timeoutInMinutes,
      queuedTimeoutInMinutes: machine.queuedTimeoutInMinutes,
      encryptionKey: encryptionKey?.keyArn,
      vpcConfig: network?.vpcConfig,
    });
    if (network !== undefined) {
      project.node.addDependency(network.policy);
    }
    if (encryptionKey === undefined) {
      const reason = 'The builds have no artifacts and no cache, which is what the key of a project encrypts';
      acceptFindings(project, [{ id: 'AwsSolutions-CB4', reason }]);
    }
    this.property = { ProjectName: project.ref };
    this.arn = project.attrArn;
    this.essentials = [...this.role.essentials, ...(network?.essentials ?? [])];
  }

  public useRepository(repository: IRepository): void {
    this.role.useRepository(repository);
  }

  private networkOf({ vpc, subnetSelection, securityGroups }: SociIndexOptions): Network | undefined {
    if (vpc === undefined) {
      return undefined;
    }
    const subnets = vpc.selectSubnets(subnetSelection);
    const groups = securityGroups ?? [
      new SecurityGroup(this, 'SecurityGroup', { vpc, description: 'Builds of SOCI indexes' }),
    ];
    return {
      policy: this.allowSubnets(subnets),
      essentials: [...[vpc, ...subnets.subnets].map(connectionsOf), ...groups.map(rulesOf)],
      vpcConfig: {
        vpcId: vpc.vpcId,
        subnets: subnets.subnetIds,
        securityGroupIds: groups.map(({ securityGroupId }) => securityGroupId),
      },
    };
  }

  /** Lets CodeBuild put a build into the subnets. A project can be made only after these rights, which it tries. */
  private allowSubnets(subnets: SelectedSubnets): Policy {
    const stack = Stack.of(this);
    const policy = this.role.attach('NetworkPolicy', networkStatements(stack, subnets));
    acceptFindings(policy.node.defaultChild, [
      {
        id: 'AwsSolutions-IAM5',
        appliesTo: ['Resource::*', resourceFinding(stack, anyInterfaceOf(stack))],
        reason: "CodeBuild's user guide asks for these rights: interfaces have no names before they are made",
      },
    ]);
    return policy;
  }
}

interface Network {
  readonly policy: IDependable;
  readonly essentials: IDependable[];
  readonly vpcConfig: CfnProject.VpcConfigProperty;
}
