// Roles that were made beforehand (`Role.customizeRoles`): nothing of them is in the template, and their rights are in CDK's report.

import { readFileSync } from 'fs';
import { join } from 'path';
import { App, Stack } from 'aws-cdk-lib';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { CloudAssembly } from 'aws-cdk-lib/cx-api';
import { SociBuilder, SociIndexOnPush, SociIndexOptions, SociIndexV2Build, SociStartTimes } from '../src';
import { BUILDER, vpcIn } from './build';
import { repositoryIn, Statement } from './template';

function synthOf(optionsIn: (stack: Stack) => SociIndexOptions): CloudAssembly {
  const app = new App();
  const stack = new Stack(app, 'Stack');
  Role.customizeRoles(stack, {
    usePrecreatedRoles: {
      'SociIndexBuildProvider/Role': 'provider',
      'SociIndexBuildProject/Role': 'builds',
      'SociIndexBuildFunction/Role': 'builds',
      'Given': 'builds',
    },
  });
  const options = optionsIn(stack);
  for (const tag of ['one', 'two']) {
    new SociIndexV2Build(stack, tag, { repository: repositoryIn(stack, tag), inputImageTag: tag, ...options });
  }
  return app.synth();
}

/** What the report says that a role by this name has to be allowed. */
function actionsOf(assembly: CloudAssembly, name: string): string[] {
  const text = readFileSync(join(assembly.directory, 'iam-policy-report.json'), 'utf8');
  const { roles } = JSON.parse(text) as { roles: { roleName: string; identityPolicyStatements: Statement[] }[] };
  return roles
    .filter(({ roleName }) => roleName === name)
    .flatMap(({ identityPolicyStatements }) => identityPolicyStatements.flatMap(({ Action }) => Action));
}

test.each<[string, (stack: Stack) => SociIndexOptions]>([
  ['our own roles', () => ({})],
  ['a role that is given', (stack) => ({ role: new Role(stack, 'Given', { assumedBy: new ServicePrincipal(BUILDER) }) })],
])('%s have no policy in the template, and all rights in the report', (_, options) => {
  const assembly = synthOf(options);

  const { Resources: resources } = assembly.getStackByName('Stack').template as { Resources: Record<string, { Type: string }> };
  expect(Object.values(resources).filter(({ Type }) => Type.startsWith('AWS::IAM::'))).toEqual([]);
  const provider = actionsOf(assembly, 'provider');
  expect(provider).toEqual(expect.arrayContaining(['lambda:InvokeFunction', 'codebuild:StartBuild', 'logs:PutLogEvents']));
  expect(provider.filter((action) => action === 'ecr:BatchGetImage')).toHaveLength(2);
  const build = actionsOf(assembly, 'builds');
  expect(build).toEqual(expect.arrayContaining(['s3:GetObject', 'ecr:GetAuthorizationToken', 'logs:PutLogEvents']));
  expect(build.filter((action) => action === 'ecr:PutImage')).toHaveLength(2);
  expect(build.filter((action) => action === 's3:GetObject')).toHaveLength(1);
});

test('those of the function that builds are in the report, too', () => {
  const assembly = synthOf(() => ({ builder: SociBuilder.FUNCTION }));

  const { Resources: resources } = assembly.getStackByName('Stack').template as { Resources: Record<string, { Type: string }> };
  expect(Object.values(resources).filter(({ Type }) => Type.startsWith('AWS::IAM::'))).toEqual([]);
  expect(actionsOf(assembly, 'provider').filter((action) => action === 'lambda:InvokeFunction')).toHaveLength(2);
  const build = actionsOf(assembly, 'builds');
  expect(build).toEqual(
    expect.arrayContaining([
      'cloudformation:DescribeStackResource',
      'ecr:GetAuthorizationToken',
      'lambda:InvokeFunction',
      'logs:PutLogEvents',
    ]),
  );
  expect(build.filter((action) => action === 'ecr:PutImage')).toHaveLength(2);
});

test('the rights in a VPC are in the report, too', () => {
  const assembly = synthOf((stack) => ({
    role: new Role(stack, 'Given', { assumedBy: new ServicePrincipal(BUILDER) }),
    vpc: vpcIn(stack),
  }));
  expect(actionsOf(assembly, 'builds')).toContain('ec2:CreateNetworkInterfacePermission');
});

test('those of functions that ECR’s and ECS’s events invoke are in the report, too', () => {
  const app = new App();
  const stack = new Stack(app, 'Stack');
  Role.customizeRoles(stack, { usePrecreatedRoles: { 'Indexes/Role': 'indexes', 'Starts/Role': 'starts' } });
  new SociIndexOnPush(stack, 'Indexes', { filters: ['team/*', 'app'] });
  new SociStartTimes(stack, 'Starts');
  const assembly = app.synth();

  const { Resources: resources } = assembly.getStackByName('Stack').template as { Resources: Record<string, { Type: string }> };
  expect(Object.values(resources).filter(({ Type }) => Type.startsWith('AWS::IAM::'))).toEqual([]);
  const indexes = actionsOf(assembly, 'indexes');
  expect(indexes).toEqual(
    expect.arrayContaining(['ecr:DescribeRepositories', 'ecr:GetAuthorizationToken', 'lambda:InvokeFunction', 'logs:PutLogEvents', 'sqs:SendMessage']),
  );
  expect(indexes.filter((action) => action === 'ecr:PutImage')).toHaveLength(2);
  expect(actionsOf(assembly, 'starts').sort()).toEqual(['ecr:BatchGetImage', 'logs:CreateLogStream', 'logs:PutLogEvents']);
});
