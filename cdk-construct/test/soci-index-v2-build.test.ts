// Version 2: what it asks of the provider, its tags, and how others use it.

import { join } from 'path';
import { App, CfnParameter, Duration, NestedStack, RemovalPolicy, Size, Stack, Token } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { ComputeType } from 'aws-cdk-lib/aws-codebuild';
import { DockerImageAsset, Platform } from 'aws-cdk-lib/aws-ecr-assets';
import { FargateTaskDefinition } from 'aws-cdk-lib/aws-ecs';
import { SociIndexV2Build, SociIndexV2BuildOptions, WhenNotIndexed } from '../src';
import { INDEX, onlyResource, repositoryIn, requestOf, resourcesOf, templateOf, valueOf } from './template';

function indexIn(stack: Stack, options: SociIndexV2BuildOptions = {}, inputImageTag = 'v1'): SociIndexV2Build {
  return new SociIndexV2Build(stack, 'Index', { repository: repositoryIn(stack), inputImageTag, ...options });
}

function outputTagOf(options: SociIndexV2BuildOptions): string {
  const template = templateOf((stack) => indexIn(stack, options));
  return onlyResource(template, INDEX).Properties['OutputImageTag'] as string;
}

test('asks for nothing but the image where nothing else is given', () => {
  const template = templateOf((stack) => indexIn(stack));

  expect(requestOf(template)).toEqual({ IndexVersion: 'v2', InputImageTag: 'v1', OutputImageTag: 'v1-soci' });
  const [projectId] = Object.keys(resourcesOf(template, 'AWS::CodeBuild::Project'));
  const [functionId] = Object.keys(resourcesOf(template, 'AWS::Lambda::Function'));
  const index = onlyResource(template, INDEX);
  expect(index.Properties).toMatchObject({
    ServiceToken: { 'Fn::GetAtt': [functionId, 'Arn'] },
    ServiceTimeout: '3600',
    ProjectName: { Ref: projectId },
  });
  // Retaining is the provider's business: CloudFormation must always send it the Delete.
  expect(index.DeletionPolicy ?? 'Delete').toBe('Delete');
});

test('asks for everything that is given', () => {
  const template = templateOf((stack) =>
    indexIn(stack, {
      outputImageTag: 'fast',
      platforms: [Platform.LINUX_AMD64, Platform.custom('linux/arm/v7')],
      minLayerSize: Size.mebibytes(20),
      spanSize: Size.kibibytes(512),
      prefetchFiles: ['/app/a file', '/app/$b'],
      whenTooSmall: WhenNotIndexed.FAIL,
      whenUnsupported: WhenNotIndexed.USE_ORIGINAL,
      removalPolicy: RemovalPolicy.DESTROY,
      computeType: ComputeType.LARGE,
      timeout: Duration.minutes(30),
      queuedTimeout: Duration.minutes(10),
    }),
  );

  expect(requestOf(template)).toEqual({
    IndexVersion: 'v2',
    InputImageTag: 'v1',
    OutputImageTag: 'fast',
    Platforms: ['linux/amd64', 'linux/arm/v7'],
    MinLayerSize: '20971520',
    SpanSize: '524288',
    PrefetchFiles: ['/app/a file', '/app/$b'],
    WhenTooSmall: 'fail',
    WhenUnsupported: 'use-original',
    RemovalPolicy: 'destroy',
  });
  expect(onlyResource(template, 'AWS::CodeBuild::Project').Properties).toMatchObject({
    Environment: { ComputeType: 'BUILD_GENERAL1_LARGE' },
    TimeoutInMinutes: 30,
    QueuedTimeoutInMinutes: 10,
  });
});

test.each([
  [false, { WaitForIndex: 'false' }],
  [true, {}],
  [undefined, {}],
])('with waitForIndex %s, asks for the same index and only whether to wait is another', (waitForIndex, waiting) => {
  const template = templateOf((stack) => indexIn(stack, { waitForIndex }));

  const request = { IndexVersion: 'v2', InputImageTag: 'v1', OutputImageTag: 'v1-soci' };
  expect(requestOf(template)).toEqual({ ...request, ...waiting });
});

test('passes tokens on', () => {
  const template = templateOf((stack) => {
    const tag = new CfnParameter(stack, 'Tag').valueAsString;
    const bytes = new CfnParameter(stack, 'Bytes', { type: 'Number' }).valueAsNumber;
    const files = new CfnParameter(stack, 'Files', { type: 'CommaDelimitedList' }).valueAsList;
    const platform = new CfnParameter(stack, 'Platform').valueAsString;
    indexIn(
      stack,
      {
        platforms: [Platform.custom(platform)],
        minLayerSize: Size.bytes(bytes),
        spanSize: Size.bytes(bytes),
        prefetchFiles: files,
        outputImageTag: tag,
      },
      tag,
    );
  });

  expect(requestOf(template)).toEqual({
    IndexVersion: 'v2',
    InputImageTag: { Ref: 'Tag' },
    OutputImageTag: { Ref: 'Tag' },
    Platforms: [{ Ref: 'Platform' }],
    MinLayerSize: { Ref: 'Bytes' },
    SpanSize: { Ref: 'Bytes' },
    PrefetchFiles: { Ref: 'Files' },
  });
});

test('indexes an image asset in the repository of the assets', () => {
  const hash = /^[0-9a-f]{64}$/;
  const template = templateOf((stack) => {
    const asset = new DockerImageAsset(stack, 'Image', { directory: join(__dirname, 'programs', 'image') });
    const index = SociIndexV2Build.fromDockerImageAsset(stack, 'Index', asset, { minLayerSize: Size.mebibytes(20) });
    expect(asset.imageTag).toMatch(hash);
    expect(index.repository).toBe(asset.repository);
  });

  const request = requestOf(template);
  expect(request['InputImageTag']).toMatch(hash);
  expect(request).toMatchObject({ MinLayerSize: '20971520' });
  // As text: `cdk gc` keeps an image where one of its tags stands in a template.
  expect(request['OutputImageTag']).toMatch(new RegExp(`^${request['InputImageTag'] as string}-soci-[0-9a-f]{8}$`));
});

describe('the default output tag', () => {
  test('is the same for the same options, however they are written', () => {
    expect(outputTagOf({ minLayerSize: Size.mebibytes(10), spanSize: Size.kibibytes(4096) })).toBe('v1-soci');
    expect(outputTagOf({ prefetchFiles: [] })).toBe('v1-soci');
    const platforms = [Platform.LINUX_ARM64, Platform.LINUX_AMD64];
    expect(outputTagOf({ platforms })).toBe(outputTagOf({ platforms: [Platform.LINUX_AMD64, ...platforms] }));
  });

  test('does not change from release to release', () => {
    expect(outputTagOf({ minLayerSize: Size.mebibytes(20) })).toBe('v1-soci-5b99e427');
    expect(outputTagOf({ platforms: [Platform.LINUX_AMD64], prefetchFiles: ['/a'], spanSize: Size.mebibytes(1) })).toBe(
      'v1-soci-e99b4a51',
    );
  });

  test('is another for each option that makes another index', () => {
    const options: SociIndexV2BuildOptions[] = [
      {},
      { minLayerSize: Size.mebibytes(1) },
      { spanSize: Size.mebibytes(1) },
      { platforms: [Platform.LINUX_AMD64] },
      { prefetchFiles: ['/a', '/b'] },
      { prefetchFiles: ['/b', '/a'] },
    ];
    expect(new Set(options.map(outputTagOf)).size).toBe(options.length);
  });

  test('is the same for options that only say when to fail, where to build and what to delete', () => {
    expect(
      outputTagOf({
        whenTooSmall: WhenNotIndexed.FAIL,
        whenUnsupported: WhenNotIndexed.USE_ORIGINAL,
        removalPolicy: RemovalPolicy.DESTROY,
        computeType: ComputeType.LARGE,
        timeout: Duration.minutes(10),
      }),
    ).toBe('v1-soci');
  });

  test('does not depend on how many tokens there were before', () => {
    const tags = [0, 5].map((before) => {
      const template = templateOf((stack) => {
        for (let count = 0; count < before; count++) {
          Token.asString({ Ref: 'Other' });
        }
        indexIn(stack, { prefetchFiles: [Token.asString({ Ref: 'AWS::StackName' })] });
      });
      return requestOf(template)['OutputImageTag'];
    });
    expect(tags[0]).toMatch(/^v1-soci-[0-9a-f]{8}$/);
    expect(tags[1]).toBe(tags[0]);
  });
});

describe('who uses the index waits for it', () => {
  test('a task definition, which takes the image by digest and may pull it', () => {
    const template = templateOf((stack) => {
      const task = new FargateTaskDefinition(stack, 'Task');
      task.addContainer('app', { image: indexIn(stack).toEcsDockerImageCode() });
    });

    const { id, Properties } = onlyResource(template, INDEX);
    const task = onlyResource(template, 'AWS::ECS::TaskDefinition');
    const [container] = task.Properties['ContainerDefinitions'] as { Image: { 'Fn::Join': [string, unknown[]] } }[];
    const uri = (Properties['RepositoryUri'] as { 'Fn::Join': [string, unknown[]] })['Fn::Join'][1];
    const image = container.Image['Fn::Join'][1];
    expect(image.slice(-1)).toEqual([{ 'Fn::GetAtt': [id, 'OutputImageDigest'] }]);
    expect(image.slice(0, -1).join()).toEqual([...uri.slice(0, -1), `${String(uri.slice(-1)[0])}@`].join());

    const policy = Object.entries(resourcesOf(template, 'AWS::IAM::Policy')).find(([name]) =>
      name.startsWith('TaskExecutionRole'),
    );
    expect(JSON.stringify(policy)).toContain('ecr:BatchGetImage');
    expect(JSON.stringify(policy)).toContain('repository/app');
  });

  test('a task of another stack, through a value of this one', () => {
    const app = new App();
    const index = indexIn(new Stack(app, 'Images'));
    const service = new Stack(app, 'Service');
    new FargateTaskDefinition(service, 'Task').addContainer('app', { image: index.toEcsDockerImageCode() });

    const task = onlyResource(Template.fromStack(service), 'AWS::ECS::TaskDefinition');
    const containers = JSON.stringify(task.Properties['ContainerDefinitions']);
    expect(containers).toMatch(valueOf('Images'));
    expect(containers).toMatch(/OutputFnGetAttIndexSociIndex[0-9A-F]{8}OutputImageDigest/);
  });

  test('a task of a nested stack, through a parameter', () => {
    const parent = new Stack(new App(), 'Parent');
    const nested = new NestedStack(parent, 'Nested');
    const image = indexIn(parent).toEcsDockerImageCode();
    new FargateTaskDefinition(nested, 'Task').addContainer('app', { image });

    const task = onlyResource(Template.fromStack(nested), 'AWS::ECS::TaskDefinition');
    expect(JSON.stringify(task.Properties['ContainerDefinitions'])).toMatch(
      /@",\{"Ref":"referencetoParentIndexSociIndex[0-9A-F]{8}OutputImageDigest"\}/,
    );
  });

  test('by the tag and the digest', () => {
    const outputs = templateOf((stack) => {
      const index = indexIn(stack);
      stack.exportValue(index.outputImageTag, { name: 'tag' });
      stack.exportValue(index.outputImageDigest, { name: 'digest' });
    }).toJSON() as { Outputs: Record<string, { Value: { 'Fn::GetAtt': string[] } }> };

    const used = Object.values(outputs.Outputs).map(({ Value }) => Value['Fn::GetAtt'][1]);
    expect(used.sort()).toEqual(['OutputImageDigest', 'OutputImageTag']);
  });
});

test('waits for both roles’ policies, without which its first calls would be denied', () => {
  const template = templateOf((stack) => indexIn(stack));

  const policies = Object.keys(resourcesOf(template, 'AWS::IAM::Policy'));
  expect(policies).toHaveLength(5);
  expect(onlyResource(template, INDEX).DependsOn).toEqual(expect.arrayContaining(policies));
});
