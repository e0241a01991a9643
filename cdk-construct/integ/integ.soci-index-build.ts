// SociIndexBuild: the image has an index of version 1 that refers to it. Where it is used depends on the account, so no
// service is asked whether it does.

import { ExpectedResult, IntegTest, Match } from '@aws-cdk/integ-tests-alpha';
import { App, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { SociIndexBuild } from 'soci-index-build';
import { imageOf } from './service';

/** The artifact type of these indexes. */
const INDEX = 'application/vnd.amazon.soci.index.v1+json';

const app = new App();
const stack = new Stack(app, 'SociIndexBuildInteg');
const index = SociIndexBuild.fromDockerImageAsset(stack, 'Index', imageOf(stack), {
  removalPolicy: RemovalPolicy.DESTROY,
});

const test = new IntegTest(app, 'SociIndexBuild', { testCases: [stack] });
const referrers = test.assertions.awsApiCall('ecr', 'listImageReferrers', {
  repositoryName: index.repository.repositoryName,
  subjectId: { imageDigest: index.outputImageDigest },
  filter: { artifactTypes: [INDEX] },
});
// The right to read an image is the one that is asked for.
referrers.provider.addToRolePolicy({ Effect: 'Allow', Action: ['ecr:BatchGetImage'], Resource: ['*'] });
referrers.expect(ExpectedResult.objectLike({ referrers: [Match.objectLike({ artifactType: INDEX })] }));

app.synth();
