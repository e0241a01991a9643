// What cdk-nag (AwsSolutions) says of everything that the constructs make: the findings below and no other. Each has
// its reason, with which a user can suppress it.

import { App, Aspects, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { Annotations, Match } from 'aws-cdk-lib/assertions';
import { Repository } from 'aws-cdk-lib/aws-ecr';
import { AwsSolutionsChecks, NagPackSuppression, NagSuppressions } from 'cdk-nag';
import { SociIndexBuild, SociIndexV2Build } from '../src';

/** By the path of the construct below its stack. */
const FINDINGS: Record<string, NagPackSuppression> = {
  'SociIndexBuildProject/Role/DefaultPolicy/Resource': {
    id: 'AwsSolutions-IAM5',
    appliesTo: ['Resource::*'],
    reason: 'The only right on * is ecr:GetAuthorizationToken, for which IAM knows no resource',
  },
  'SociIndexBuildProject/Project': {
    id: 'AwsSolutions-CB4',
    reason: 'The builds have no artifacts and no cache, which is what the key of a project encrypts',
  },
};

/** A stack with all that the constructs can make, after `change`, and its findings: path below the stack, and rule. */
function findingsAfter(change: (stack: Stack) => void = () => undefined): string[] {
  const stack = new Stack(new App(), 'Stack');
  const repository = Repository.fromRepositoryName(stack, 'Repository', 'app');
  new SociIndexV2Build(stack, 'V2', { repository, inputImageTag: 'v1', removalPolicy: RemovalPolicy.DESTROY });
  new SociIndexBuild(stack, 'V1', { repository, imageTag: 'v1' });
  change(stack);
  Aspects.of(stack).add(new AwsSolutionsChecks());

  const annotations = Annotations.fromStack(stack);
  const rule = Match.stringLikeRegexp('AwsSolutions-|CdkNag');
  return [...annotations.findError('*', rule), ...annotations.findWarning('*', rule)].map(
    ({ id, entry }) => `${id.replace('/Stack/', '')}: ${(entry.data as string).split(':')[0].replace(/\[.*/, '')}`,
  );
}

test('finds what has a reason, and nothing else', () => {
  const expected = Object.entries(FINDINGS).map(([path, { id }]) => `${path}: ${id}`);
  expect(findingsAfter().sort()).toEqual(expected.sort());
});

test('finds nothing where a user suppresses these by their paths', () => {
  const findings = findingsAfter((stack) => {
    for (const [path, suppression] of Object.entries(FINDINGS)) {
      NagSuppressions.addResourceSuppressionsByPath(stack, `/Stack/${path}`, [suppression]);
    }
  });
  expect(findings).toEqual([]);
});
