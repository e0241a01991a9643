// SociIndexV2Build: the digest that it gives out is that of its tag, and a service runs the image by this digest.

import { ExpectedResult, IntegTest, Match } from '@aws-cdk/integ-tests-alpha';
import { App, RemovalPolicy, Size, Stack } from 'aws-cdk-lib';
import { SociIndexV2Build } from 'soci-index-build';
import { expectStable, imageOf, serviceOf } from './service';

const app = new App();
const stack = new Stack(app, 'SociIndexV2BuildInteg');
const image = imageOf(stack);
const index = SociIndexV2Build.fromDockerImageAsset(stack, 'Index', image, {
  minLayerSize: Size.mebibytes(5),
  removalPolicy: RemovalPolicy.DESTROY,
});
const service = serviceOf(stack, index.toEcsDockerImageCode());

const test = new IntegTest(app, 'SociIndexV2Build', { testCases: [stack] });
test.assertions
  .awsApiCall('ecr', 'describeImages', {
    repositoryName: index.repository.repositoryName,
    imageIds: [{ imageTag: index.outputImageTag }],
  })
  .expect(
    ExpectedResult.objectLike({ imageDetails: [Match.objectLike({ imageDigest: index.outputImageDigest })] }),
  );
expectStable(test, service);

app.synth();
