// Two functions: what one fails at, the other is told. Context: `stack`, its name; `mayTell`: `false` where the role of the one may not
// invoke the other.

const { join } = require('node:path');
const { cdk, iam, lambda } = require('./construct');

const app = new cdk.App();
const stack = new cdk.Stack(app, app.node.tryGetContext('stack'));

const functionOf = (id, seconds) =>
  new lambda.Function(stack, id, {
    functionName: `${stack.stackName}-${id}`,
    runtime: lambda.Runtime.PROVIDED_AL2023 ?? new lambda.Runtime('provided.al2023'),
    handler: 'bootstrap',
    code: lambda.Code.fromAsset(join(__dirname, 'functions')),
    memorySize: 128,
    timeout: cdk.Duration.seconds(seconds),
  });
const [worker, receiver] = [functionOf('Worker', 3), functionOf('Receiver', 60)];
const right = (id, { role }, action, resource) =>
  new iam.Policy(stack, id, {
    roles: [role],
    statements: [new iam.PolicyStatement({ actions: [action], resources: [resource] })],
  });
const looks = right('Looks', receiver, 'cloudformation:DescribeStackResource', stack.stackId);
const failures = new lambda.CfnEventInvokeConfig(stack, 'Failures', {
  functionName: worker.functionName,
  qualifier: '$LATEST',
  maximumRetryAttempts: 0,
  maximumEventAgeInSeconds: 60,
  destinationConfig: { onFailure: { destination: receiver.functionArn } },
});
const described = new cdk.CfnResource(stack, 'Described', {
  type: 'Custom::Described',
  properties: { ServiceToken: receiver.functionArn, ServiceTimeout: '200' },
});
described.node.addDependency(looks);
if (app.node.tryGetContext('mayTell') !== 'false') {
  failures.node.addDependency(right('Tells', worker, 'lambda:InvokeFunction', receiver.functionArn));
}
