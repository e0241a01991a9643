// The CodeBuild project that builds indexes: one per stack and build environment. Gives out its name and ARN, and takes
// the repositories that it works in. What is built comes with each build, in its environment variables.

import { Stack } from 'aws-cdk-lib';
import { CfnProject } from 'aws-cdk-lib/aws-codebuild';
import { SecurityGroup } from 'aws-cdk-lib/aws-ec2';
import { IRepository } from 'aws-cdk-lib/aws-ecr';
import { Asset } from 'aws-cdk-lib/aws-s3-assets';
import { Construct, IDependable } from 'constructs';
import { builderZip, programArchitecture } from './assets';
import { keyOf, machineOf } from './build-environment';
import { SociIndexOptions } from './build-options';
import { BuildRole } from './build-role';
import { logGroupIn } from './log-group';
import { acceptFindings } from './nag';
import { connectionsOf, rulesOf } from './resources-of';

/** Part of the logical ids of deployed stacks: never changes. */
const ID = 'SociIndexBuildProject';

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

export class BuilderProject extends Construct {
  /** The project of the scope's stack for this build environment; made where there is none yet. */
  public static of(scope: Construct, options: SociIndexOptions): BuilderProject {
    const stack = Stack.of(scope);
    const key = keyOf(stack, options, programArchitecture());
    const id = key === undefined ? ID : `${ID}-${key}`;
    return (stack.node.tryFindChild(id) as BuilderProject | undefined) ?? new BuilderProject(stack, id, options);
  }

  public readonly projectName: string;
  public readonly projectArn: string;
  /**
   * What every index has to depend on, beside the project: the rights and the network of a build must be there before it
   * and until after.
   */
  public readonly essentials: IDependable[];
  private readonly role: BuildRole;

  private constructor(scope: Construct, id: string, options: SociIndexOptions) {
    super(scope, id);

    const { encryptionKey } = options;
    const machine = machineOf(options, programArchitecture());
    const program = new Asset(this, 'Program', { path: builderZip() });
    const logGroup = options.logGroup ?? logGroupIn(this, options);

    this.role = new BuildRole(this, options.role, { logGroup, program, encryptionKey });
    const network = this.networkOf(options);

    // The Project construct would add rights that nothing here uses.
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
    this.projectName = project.ref;
    this.projectArn = project.attrArn;

    this.essentials = [...this.role.essentials, ...(network?.essentials ?? [])];
  }

  /** Lets builds read images of the repository and push indexes to it. */
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
      policy: this.role.useSubnets(subnets),
      essentials: [...[vpc, ...subnets.subnets].map(connectionsOf), ...groups.map(rulesOf)],
      vpcConfig: {
        vpcId: vpc.vpcId,
        subnets: subnets.subnetIds,
        securityGroupIds: groups.map(({ securityGroupId }) => securityGroupId),
      },
    };
  }
}

interface Network {
  readonly policy: IDependable;
  readonly essentials: IDependable[];
  readonly vpcConfig: CfnProject.VpcConfigProperty;
}
