// A stack with SociIndexOnPush and, where wanted, SociStartTimes. Context: `stack`, its name; `onPush`, JSON: its properties, with sizes in bytes and
// times in seconds; `startTimes`, JSON likewise.

const { cdk, soci } = require('./construct');

const app = new cdk.App();
const stack = new cdk.Stack(app, app.node.tryGetContext('stack'));

const of = ({ minLayerSize, timeout, maxEventAge, ...others }) => ({
  ...others,
  minLayerSize: minLayerSize === undefined ? undefined : cdk.Size.bytes(minLayerSize),
  timeout: timeout === undefined ? undefined : cdk.Duration.seconds(timeout),
  maxEventAge: maxEventAge === undefined ? undefined : cdk.Duration.seconds(maxEventAge),
});
const named = (name) => JSON.parse(app.node.tryGetContext(name) ?? 'null');

const onPush = named('onPush');
if (onPush !== null) {
  new soci.SociIndexOnPush(stack, 'Indexes', of(onPush));
}
const startTimes = named('startTimes');
if (startTimes !== null) {
  new soci.SociStartTimes(stack, 'Starts', of(startTimes));
}
