// An index that is built in a function: nothing of CodeBuild is in the stack, and a service runs the image by its digest.

import { IntegTest } from '@aws-cdk/integ-tests-alpha';
import { App, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { SociBuilder, SociImage } from 'soci-index-build';
import { expectStable, imageOf, serviceOf } from './service';

const app = new App();
const stack = new Stack(app, 'SociIndexFunctionInteg');
const image = SociImage.fromDockerImageAsset(imageOf(stack), {
  builder: SociBuilder.FUNCTION,
  removalPolicy: RemovalPolicy.DESTROY,
});
const service = serviceOf(stack, image);

const test = new IntegTest(app, 'SociIndexFunction', { testCases: [stack] });
expectStable(test, service);

app.synth();
