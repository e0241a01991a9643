// What cdk-nag (AwsSolutions) says of everything that the constructs make: nothing, and for what it leaves out there is a
// reason each.

import { App, Aspects, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { Annotations, Match, Template } from 'aws-cdk-lib/assertions';
import { SubnetType, Vpc } from 'aws-cdk-lib/aws-ec2';
import { Repository } from 'aws-cdk-lib/aws-ecr';
import { Key } from 'aws-cdk-lib/aws-kms';
import { AwsSolutionsChecks, NagSuppressions } from 'cdk-nag';
import { SociIndexBuild, SociIndexV2Build } from '../src';

/** Every reason for a finding that is left as it is: by resource, the rule and what it is about. */
const ACCEPTED = [
  ['SociIndexBuildProject', 'AwsSolutions-CB4', undefined],
  ['SociIndexBuildProjectRoleDefaultPolicy', 'AwsSolutions-IAM5', ['Resource::*']],
  ['SociIndexBuildProjectRoleDefaultPolicy', 'AwsSolutions-IAM5', ['Resource::*']],
  [
    'SociIndexBuildProjectNetworkPolicy',
    'AwsSolutions-IAM5',
    ['Resource::*', 'Resource::arn:<AWS::Partition>:ec2:<AWS::Region>:<AWS::AccountId>:network-interface/*'],
  ],
];

/** A stack with all that the constructs can make. */
function everything(): Stack {
  const stack = new Stack(new App(), 'Stack');
  const repository = Repository.fromRepositoryName(stack, 'Repository', 'app');
  new SociIndexV2Build(stack, 'V2', { repository, inputImageTag: 'v1', removalPolicy: RemovalPolicy.DESTROY });
  new SociIndexBuild(stack, 'V1', { repository, imageTag: 'v1' });
  const vpc = new Vpc(stack, 'Vpc', {
    natGateways: 0,
    subnetConfiguration: [{ name: 'isolated', subnetType: SubnetType.PRIVATE_ISOLATED }],
  });
  NagSuppressions.addResourceSuppressions(vpc, [{ id: 'AwsSolutions-VPC7', reason: 'It is not of the constructs' }]);
  const encryptionKey = new Key(stack, 'Key', { enableKeyRotation: true });
  new SociIndexV2Build(stack, 'InVpc', { repository, inputImageTag: 'v2', vpc, encryptionKey });
  return stack;
}

test('finds nothing', () => {
  const stack = everything();
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
        const name = id.replace(/[0-9A-F]{8}$/, '').replace(/(Project)[0-9a-f]{8}/, '$1');
        return [name, rule.id, rule.applies_to];
      }),
    );
  expect(accepted.sort()).toEqual(ACCEPTED.sort());
});
