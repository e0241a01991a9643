// SociImage: a service of an image that brings its index with it. The indexed image is under its tag, and the service runs.

import { ExpectedResult, IntegTest, Match } from '@aws-cdk/integ-tests-alpha';
import { App, Stack } from 'aws-cdk-lib';
import { SociImage } from 'soci-index-build';
import { expectStable, imageOf, serviceOf } from './service';

const app = new App();
const stack = new Stack(app, 'SociImageInteg');
const image = imageOf(stack);
const service = serviceOf(stack, SociImage.fromDockerImageAsset(image));

const test = new IntegTest(app, 'SociImage', { testCases: [stack] });
test.assertions
  .awsApiCall('ecr', 'describeImages', {
    repositoryName: image.repository.repositoryName,
    imageIds: [{ imageTag: `${image.imageTag}-soci` }],
  })
  .expect(
    ExpectedResult.objectLike({
      imageDetails: [Match.objectLike({ imageManifestMediaType: Match.stringLikeRegexp('index|list') })],
    }),
  );
expectStable(test, service);

app.synth();
