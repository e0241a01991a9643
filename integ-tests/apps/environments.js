// An index that is built where the construct can be told to build. Context: `stack`, its name; `repository` and `tag`, the
// image; `where`: `vpc`, in isolated subnets with endpoints, with security groups, a key, a role and a log group of the
// stack's own, or `lambda`, on Lambda compute. Resources come by id here: those that builds need have late ids, so that what
// does not wait for them comes too early.

const { cdk, ec2, ecr, iam, kms, logs, soci } = require('./construct');

const app = new cdk.App();
const stack = new cdk.Stack(app, app.node.tryGetContext('stack'));

function vpc() {
  const network = new ec2.Vpc(stack, 'ZVpc', {
    maxAzs: 2,
    natGateways: 0,
    subnetConfiguration: [{ name: 'isolated', subnetType: ec2.SubnetType.PRIVATE_ISOLATED }],
  });
  const range = ec2.Peer.ipv4(ec2.Vpc.DEFAULT_CIDR_RANGE);
  const securityGroups = ['One', 'Two'].map((name) => new ec2.SecurityGroup(stack, `ZGroup${name}`, { vpc: network }));
  network.addGatewayEndpoint('S3', { service: ec2.GatewayVpcEndpointAwsService.S3 });
  for (const name of ['ECR', 'ECR_DOCKER', 'CLOUDWATCH_LOGS', 'CODEBUILD']) {
    // What `open` would do, but the emulator cannot be asked for the range of a VPC.
    const options = { service: ec2.InterfaceVpcEndpointAwsService[name], open: false };
    network.addInterfaceEndpoint(name, options).connections.allowDefaultPortFrom(range);
  }
  const assumedBy = new iam.ServicePrincipal('codebuild.amazonaws.com');
  return {
    vpc: network,
    subnetSelection: { subnetType: ec2.SubnetType.PRIVATE_ISOLATED },
    securityGroups,
    encryptionKey: new kms.Key(stack, 'ZKey', { removalPolicy: cdk.RemovalPolicy.DESTROY }),
    role: new iam.Role(stack, 'ZRole', { assumedBy }),
    logGroup: new logs.LogGroup(stack, 'ZLog', { removalPolicy: cdk.RemovalPolicy.DESTROY }),
  };
}

const places = { vpc, lambda: () => ({ lambdaComputeType: soci.LambdaComputeType.LAMBDA_2GB }) };

new soci.SociIndexV2Build(stack, 'Index', {
  repository: ecr.Repository.fromRepositoryName(stack, 'Repository', app.node.tryGetContext('repository')),
  inputImageTag: app.node.tryGetContext('tag'),
  minLayerSize: cdk.Size.bytes(1024),
  ...places[app.node.tryGetContext('where')](),
});
