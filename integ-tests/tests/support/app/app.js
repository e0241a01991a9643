// The app that the tests of the provider alone take their roles, policies, project and properties from. One stack for
// each way of use; every stack names the same repository.

const { App, Aws, DefaultStackSynthesizer, RemovalPolicy, Size, Stack } = require('aws-cdk-lib');
const { SecurityGroup, Vpc } = require('aws-cdk-lib/aws-ec2');
const { Repository } = require('aws-cdk-lib/aws-ecr');
const { Role, ServicePrincipal } = require('aws-cdk-lib/aws-iam');
const { Key } = require('aws-cdk-lib/aws-kms');
const { LogGroup } = require('aws-cdk-lib/aws-logs');
const { LambdaComputeType, SociBuilder, SociIndexBuild, SociIndexV2Build } = require(process.env.SOCI_INDEX_BUILD_PACKAGE);

// Images of tests are small: with the usual minimum nothing would be indexed.
const options = { minLayerSize: Size.bytes(1024) };

const app = new App({ analyticsReporting: false });

function stack(id, define) {
  const scope = new Stack(app, id, {
    env: { account: '000000000000', region: process.env.STACK_REGION },
    synthesizer: new DefaultStackSynthesizer({ generateBootstrapVersionRule: false }),
  });
  define(scope, Repository.fromRepositoryName(scope, 'Repository', 'app'));
}

stack('Keep', (scope, repository) => {
  new SociIndexV2Build(scope, 'Index', { ...options, repository, inputImageTag: 'v1' });
});
stack('Destroy', (scope, repository) => {
  new SociIndexV2Build(scope, 'Index', {
    ...options,
    repository,
    inputImageTag: 'v1',
    removalPolicy: RemovalPolicy.DESTROY,
  });
});
stack('KeepV1', (scope, repository) => {
  new SociIndexBuild(scope, 'Index', { ...options, repository, imageTag: 'v1' });
});
stack('DestroyV1', (scope, repository) => {
  new SociIndexBuild(scope, 'Index', {
    ...options,
    repository,
    imageTag: 'v1',
    removalPolicy: RemovalPolicy.DESTROY,
  });
});
stack('Private', (scope, repository) => {
  const vpc = Vpc.fromVpcAttributes(scope, 'Vpc', {
    vpcId: 'vpc-1',
    availabilityZones: ['us-east-1a', 'us-east-1b'],
    privateSubnetIds: ['subnet-1', 'subnet-2'],
    privateSubnetRouteTableIds: ['rtb-1', 'rtb-2'],
  });
  new SociIndexV2Build(scope, 'Index', {
    ...options,
    repository,
    inputImageTag: 'v1',
    removalPolicy: RemovalPolicy.DESTROY,
    vpc,
    securityGroups: ['sg-1', 'sg-2'].map((id) => SecurityGroup.fromSecurityGroupId(scope, id, id)),
    // Of no region, so that the project has the same id in all of them.
    encryptionKey: Key.fromKeyArn(scope, 'Key', `arn:${Aws.PARTITION}:kms:${Aws.REGION}:${Aws.ACCOUNT_ID}:key/one`),
    role: new Role(scope, 'Role', { assumedBy: new ServicePrincipal('codebuild.amazonaws.com') }),
    logGroup: new LogGroup(scope, 'Log'),
  });
});
stack('Lambda', (scope, repository) => {
  new SociIndexV2Build(scope, 'Index', {
    ...options,
    repository,
    inputImageTag: 'v1',
    removalPolicy: RemovalPolicy.DESTROY,
    lambdaComputeType: LambdaComputeType.LAMBDA_1GB,
  });
});
stack('Function', (scope, repository) => {
  new SociIndexV2Build(scope, 'Index', {
    ...options,
    repository,
    inputImageTag: 'v1',
    removalPolicy: RemovalPolicy.DESTROY,
    builder: SociBuilder.FUNCTION,
  });
});
stack('FunctionV1', (scope, repository) => {
  new SociIndexBuild(scope, 'Index', { ...options, repository, imageTag: 'v1', builder: SociBuilder.FUNCTION });
});

app.synth();
