// A package that was made for ARM: its function and its builds run there. Templates of the other tests are of x86_64.

import { Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { ProgramArchitecture, programArchitecture } from '../src/assets';
import { LambdaComputeType, SociIndexOptions, SociIndexV2Build } from '../src';
import { onlyResource, repositoryIn, templateOf } from './template';

const PROJECT = 'AWS::CodeBuild::Project';

function template(architecture: ProgramArchitecture, options: SociIndexOptions = {}): Template {
  jest.mocked(programArchitecture).mockReturnValue(architecture);
  return templateOf((stack: Stack) => {
    new SociIndexV2Build(stack, 'Index', { repository: repositoryIn(stack), inputImageTag: 'v1', ...options });
  });
}

test('the function runs on ARM, under the same id', () => {
  const [x86, arm] = (['x86_64', 'aarch64'] as const).map((each) => onlyResource(template(each), 'AWS::Lambda::Function'));

  expect(arm.Properties['Architectures']).toEqual(['arm64']);
  expect(arm.id).toBe(x86.id);
});

test('builds run on ARM machines', () => {
  const { Environment } = onlyResource(template('aarch64'), PROJECT).Properties;

  expect(Environment).toMatchObject({
    Type: 'ARM_CONTAINER',
    Image: 'aws/codebuild/amazonlinux-aarch64-standard:3.0',
    ComputeType: 'BUILD_GENERAL1_SMALL',
  });
});

test("so do those on CodeBuild's Lambda compute", () => {
  const options = { lambdaComputeType: LambdaComputeType.LAMBDA_2GB };
  const { Environment } = onlyResource(template('aarch64', options), PROJECT).Properties;

  expect(Environment).toEqual({
    Type: 'ARM_LAMBDA_CONTAINER',
    Image: 'aws/codebuild/amazonlinux-aarch64-lambda-standard:python3.12',
    ComputeType: 'BUILD_LAMBDA_2GB',
    PrivilegedMode: false,
  });
});

test('the project for ARM is another one; that for x86_64 keeps its id', () => {
  const idOf = (architecture: ProgramArchitecture): string =>
    onlyResource(template(architecture), PROJECT).id;

  expect(idOf('x86_64')).toBe('SociIndexBuildProject7F577793');
  expect(idOf('aarch64')).not.toBe(idOf('x86_64'));
});
