// What cdk-nag (AwsSolutions) says of everything that the constructs make: nothing, and for what it leaves out there is a
// reason each.

import { Aspects } from 'aws-cdk-lib';
import { Annotations, Match, Template } from 'aws-cdk-lib/assertions';
import { AwsSolutionsChecks, NagSuppressions } from 'cdk-nag';
import { everything } from './everything';

const REPOSITORIES = 'arn:<AWS::Partition>:ecr:<AWS::Region>:<AWS::AccountId>:repository';

/** Every reason for a finding that is left as it is: by resource, the rule and what it is about. */
const ACCEPTED = [
  ['OnPushQueue', 'AwsSolutions-SQS3', undefined],
  ['OnPushRoleDefaultPolicy', 'AwsSolutions-IAM5', ['Resource::*']],
  ['OnPushRightsPolicy', 'AwsSolutions-IAM5', [`Resource::${REPOSITORIES}/team/*`, `Resource::${REPOSITORIES}/*`]],
  ['StartsRightsPolicy', 'AwsSolutions-IAM5', [`Resource::${REPOSITORIES}/*`]],
  ['StartsInVpcRoleDefaultPolicy', 'AwsSolutions-IAM5', ['Resource::*']],
  ['OnPushInVpcQueue', 'AwsSolutions-SQS3', undefined],
  ['OnPushInVpcRoleDefaultPolicy', 'AwsSolutions-IAM5', ['Resource::*']],
  ['OnPushInVpcRightsPolicy', 'AwsSolutions-IAM5', [`Resource::${REPOSITORIES}/*`]],
  ['SociIndexBuildFunctionRoleDefaultPolicy', 'AwsSolutions-IAM5', ['Resource::*']],
  ['SociIndexBuildFunctionRoleDefaultPolicy', 'AwsSolutions-IAM5', ['Resource::*']],
  ['SociIndexBuildProject', 'AwsSolutions-CB4', undefined],
  ['SociIndexBuildProjectRoleDefaultPolicy', 'AwsSolutions-IAM5', ['Resource::*']],
  ['SociIndexBuildProjectRoleDefaultPolicy', 'AwsSolutions-IAM5', ['Resource::*']],
  [
    'SociIndexBuildProjectNetworkPolicy',
    'AwsSolutions-IAM5',
    ['Resource::*', 'Resource::arn:<AWS::Partition>:ec2:<AWS::Region>:<AWS::AccountId>:network-interface/*'],
  ],
];

test('finds nothing', () => {
  const stack = everything();
  NagSuppressions.addResourceSuppressions(stack.node.findChild('Vpc'), [{ id: 'AwsSolutions-VPC7', reason: 'It is not of the constructs' }]);
  Aspects.of(stack).add(new AwsSolutionsChecks());
  const annotations = Annotations.fromStack(stack);
  const rule = Match.stringLikeRegexp('AwsSolutions-|CdkNag');
  const found = [...annotations.findError('*', rule), ...annotations.findWarning('*', rule)];
  expect(found.map(({ id, entry }) => `${id}: ${entry.data as string}`)).toEqual([]);
});

test('leaves out what has a reason, and nothing else', () => {
  const resources = Template.fromStack(everything()).toJSON().Resources as Record<
    string,
    { Metadata?: { cdk_nag?: { rules_to_suppress: { id: string; reason: string; applies_to?: string[] }[] } } }
  >;
  const accepted = Object.entries(resources)
    .filter(([id]) => !id.startsWith('Vpc'))
    .flatMap(([id, { Metadata: metadata }]) =>
      (metadata?.cdk_nag?.rules_to_suppress ?? []).map((rule) => {
        expect(rule.reason.length).toBeGreaterThan(40);
        // Without its hash, and without that of a build environment.
        const name = id.replace(/[0-9A-F]{8}$/, '').replace(/(Function|Project)[0-9a-f]{8}/, '$1');
        return [name, rule.id, rule.applies_to];
      }),
    );
  expect(accepted.sort()).toEqual(ACCEPTED.sort());
});
