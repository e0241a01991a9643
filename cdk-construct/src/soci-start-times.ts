// Measures how long containers on Fargate take to start. In: a cluster and repositories. Out: a rule on tasks that have started, and a
// function that writes a line for each of their containers, from which CloudWatch makes metrics.

import { Duration, Stack } from 'aws-cdk-lib';
import { ISecurityGroup, IVpc, SubnetSelection } from 'aws-cdk-lib/aws-ec2';
import { IRepository } from 'aws-cdk-lib/aws-ecr';
import { ICluster } from 'aws-cdk-lib/aws-ecs';
import { EventPattern, IRule, Rule } from 'aws-cdk-lib/aws-events';
import { LambdaFunction } from 'aws-cdk-lib/aws-events-targets';
import { IKey } from 'aws-cdk-lib/aws-kms';
import { IFunction } from 'aws-cdk-lib/aws-lambda';
import { ILogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { withDefaults } from './defaults-of';
import { functionRole } from './function-role';
import { logGroupIn } from './log-group';
import { checkValues } from './lookups';
import { networkOf, programFunction, ProgramFunctionProps } from './program-function';
import { ProgramRole } from './program-role';
import { LOOK } from './repository-rights';
import { startTimesDashboard } from './start-times-dashboard';
import { checkPlace, networkWarnings } from './validate-build';
import { warn } from './warnings';

/** What the program reads to know that it is this function. */
const ENVIRONMENT = { SOCI_INDEX_BUILD_FUNCTION: 'start-times' };

/** In MB; it reads a few manifests of each image. */
const MEMORY_SIZE = 256;
const TIMEOUT = Duration.seconds(30);

const ENDPOINTS = 'ecr.api';

/**
 * Properties of SociStartTimes.
 */
export interface SociStartTimesProps {
  /**
   * The cluster whose tasks are measured.
   *
   * @default - all clusters of the account and region
   */
  readonly cluster?: ICluster;

  /**
   * The repositories in which the function looks for the indexes of images. For images of other repositories, it is unknown whether
   * they have an index.
   *
   * @default - all repositories of the account and region
   */
  readonly repositories?: IRepository[];

  /**
   * Whether to create a CloudWatch dashboard: seconds to pull and to start, by task family, with and without an index.
   *
   * @default false
   */
  readonly dashboard?: boolean;

  /**
   * The VPC in which the function runs.
   *
   * @default - no VPC
   */
  readonly vpc?: IVpc;

  /**
   * The subnets in which the function runs. They must be private, with a NAT gateway or with a VPC endpoint for
   * `ecr.api`.
   *
   * @default - the private subnets of the VPC, or its isolated ones if it has no others
   */
  readonly subnetSelection?: SubnetSelection;

  /**
   * The security groups of the function. It needs only outbound HTTPS.
   *
   * @default - a new security group that allows all outbound and no inbound traffic
   */
  readonly securityGroups?: ISecurityGroup[];

  /**
   * The KMS key of the new log group. A key that is defined in this app gets the policy statement that lets CloudWatch Logs use
   * it; any other key must already have it. It does not apply to `logGroup`.
   *
   * @default - a key of AWS
   */
  readonly encryptionKey?: IKey;

  /**
   * The log group of the function: one line of JSON for each container, from which CloudWatch makes the metrics.
   *
   * @default - a new log group that is deleted with the stack
   */
  readonly logGroup?: ILogGroup;

  /**
   * The retention of the new log group. Cannot be combined with `logGroup`.
   *
   * @default RetentionDays.ONE_MONTH
   */
  readonly logRetention?: RetentionDays;
}

/**
 * Measures how long containers on Fargate take to start, as CloudWatch metrics by task family and by whether their image has an index:
 * what an index brings, before and after.
 */
export class SociStartTimes extends Construct {
  /**
   * The function that writes the metrics.
   */
  public readonly function: IFunction;

  /**
   * The rule that selects the events of tasks that have started.
   */
  public readonly rule: IRule;

  constructor(scope: Construct, id: string, props: SociStartTimesProps = {}) {
    super(scope, id);

    const settings = withDefaults(this, props);
    checkValues(this, () => {
      checkPlace(this, settings);
    });
    for (const warning of networkWarnings(settings, ENDPOINTS)) {
      warn(this, 'soci-index-build:noInternet', warning);
    }

    const { vpc, subnetSelection, securityGroups } = settings;
    const logGroup = settings.logGroup ?? logGroupIn(this, settings);
    const role = functionRole(this, { logGroup, vpc });
    allowRepositories(Stack.of(this), role, settings.repositories);
    const functionSettings: ProgramFunctionProps = {
      description: 'Measures how long containers on Fargate take to start',
      environment: ENVIRONMENT,
      memorySize: MEMORY_SIZE,
      timeout: TIMEOUT,
      role: role.role,
      logGroup,
      vpc,
      subnetSelection,
      securityGroups,
    };
    const handler = programFunction(this, functionSettings);
    for (const policy of role.policy) {
      handler.node.addDependency(policy);
    }
    const rule = new Rule(this, 'Rule', {
      description: 'Tasks on Fargate that have started',
      eventPattern: startedTasks(settings.cluster),
      targets: [new LambdaFunction(handler)],
    });
    rule.node.addDependency(...role.essentials, ...networkOf(handler, functionSettings));
    if (settings.dashboard === true) {
      startTimesDashboard(this);
    }
    this.function = handler;
    this.rule = rule;
  }
}

/** A task that is going to stop reports once more that it is running. */
function startedTasks(cluster?: ICluster): EventPattern {
  return {
    source: ['aws.ecs'],
    detailType: ['ECS Task State Change'],
    detail: {
      clusterArn: cluster && [cluster.clusterArn],
      desiredStatus: ['RUNNING'],
      lastStatus: ['RUNNING'],
      launchType: ['FARGATE'],
    },
  };
}

function allowRepositories(stack: Stack, role: ProgramRole, repositories?: IRepository[]): void {
  for (const repository of repositories ?? []) {
    role.allow(LOOK, { arn: repository.repositoryArn, owner: repository.stack });
  }
  if (repositories === undefined) {
    const arn = stack.formatArn({ service: 'ecr', resource: 'repository', resourceName: '*' });
    role.allow(LOOK, { arn, owner: stack });
    role.acceptWildcards('Any repository may hold the image of a task, unless repositories are given');
  }
}
