// Images that are pushed are indexed. The asset is pushed before the rule is there, so a backfill finds it, as it finds any image from before.

import { ExpectedResult, IntegTest, Match } from '@aws-cdk/integ-tests-alpha';
import { App, Duration, Size, Stack } from 'aws-cdk-lib';
import { SociIndexOnPush, SociStartTimes } from 'soci-index-build';
import { imageOf } from './service';

const app = new App();
const stack = new Stack(app, 'SociIndexOnPushInteg');
const { repository, imageTag } = imageOf(stack);
const indexes = new SociIndexOnPush(stack, 'Indexes', { repositories: [repository], minLayerSize: Size.mebibytes(5), dashboard: true });
new SociStartTimes(stack, 'StartTimes', { dashboard: true });

const test = new IntegTest(app, 'SociIndexOnPush', { testCases: [stack] });
test.assertions
  .invokeFunction({
    functionName: indexes.function.functionName,
    payload: JSON.stringify({ backfill: { repository: repository.repositoryName, tags: imageTag } }),
  })
  .next(
    test.assertions
      .awsApiCall('ecr', 'describeImages', {
        repositoryName: repository.repositoryName,
        imageIds: [{ imageTag: `${imageTag}-soci` }],
      })
      .expect(ExpectedResult.objectLike({ imageDetails: [Match.objectLike({ imageTags: Match.arrayWith([`${imageTag}-soci`]) })] }))
      .waitForAssertions({ totalTimeout: Duration.minutes(5), interval: Duration.seconds(10) }),
  );

app.synth();
