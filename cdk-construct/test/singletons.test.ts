// One provider function per stack, one project per stack and build environment, under ids that never change.

import { App, Duration, NestedStack, Stack, Stage } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { ComputeType } from 'aws-cdk-lib/aws-codebuild';
import { Repository } from 'aws-cdk-lib/aws-ecr';
import { SociIndexBuild, SociIndexOptions, SociIndexV2Build } from '../src';
import { INDEX, onlyResource, repositoryIn, resourcesOf, templateOf, valueOf } from './template';

function index(stack: Stack, id: string, options: SociIndexOptions = {}): SociIndexV2Build {
  return new SociIndexV2Build(stack, id, { repository: repositoryIn(stack, id), inputImageTag: 'v1', ...options });
}

/** The project that each index names. */
function projectsOf(template: Template): unknown[] {
  return Object.values(resourcesOf(template, INDEX)).map(({ Properties }) => Properties['ProjectName']);
}

test('two indexes share the function and the project, whatever their version', () => {
  const template = templateOf((stack) => {
    index(stack, 'a');
    index(stack, 'b', { computeType: ComputeType.SMALL, timeout: Duration.minutes(20) });
    new SociIndexBuild(stack, 'c', { repository: repositoryIn(stack, 'c'), imageTag: 'v1' });
  });

  template.resourceCountIs(INDEX, 3);
  template.resourceCountIs('AWS::Lambda::Function', 1);
  template.resourceCountIs('AWS::CodeBuild::Project', 1);
  template.resourceCountIs('AWS::Logs::LogGroup', 2);
  expect(new Set(projectsOf(template).map((name) => JSON.stringify(name))).size).toBe(1);
});

test.each<[string, SociIndexOptions]>([
  ['compute type', { computeType: ComputeType.LARGE }],
  ['timeout', { timeout: Duration.minutes(10) }],
  ['queue timeout', { queuedTimeout: Duration.minutes(8) }],
])('another %s is another project, and the same function', (_, options) => {
  const template = templateOf((stack) => {
    index(stack, 'a');
    index(stack, 'b', options);
    index(stack, 'c', { ...options });
  });

  template.resourceCountIs('AWS::Lambda::Function', 1);
  template.resourceCountIs('AWS::CodeBuild::Project', 2);
  const [a, b, c] = projectsOf(template);
  expect(a).not.toEqual(b);
  expect(b).toEqual(c);
});

test('ids do not change from release to release', () => {
  const template = templateOf((stack) => {
    index(stack, 'Index', { computeType: ComputeType.LARGE });
    index(stack, 'Other');
  });

  const ids = (type: string): string[] => Object.keys(resourcesOf(template, type)).sort();
  expect(ids(INDEX)).toEqual(['IndexSociIndex5507E314', 'OtherSociIndexF8C56409']);
  expect(ids('AWS::Lambda::Function')).toEqual(['SociIndexBuildProviderFunction0AD4B199']);
  expect(ids('AWS::CodeBuild::Project')).toEqual([
    'SociIndexBuildProject7F577793',
    'SociIndexBuildProject7ea406ccProject0F8281DF',
  ]);
});

test('each stack has its own', () => {
  const app = new App();
  const stacks = ['A', 'B'].map((name) => new Stack(app, name));
  stacks.forEach((stack) => index(stack, 'Index'));

  for (const stack of stacks) {
    Template.fromStack(stack).resourceCountIs('AWS::Lambda::Function', 1);
    Template.fromStack(stack).resourceCountIs('AWS::CodeBuild::Project', 1);
  }
});

test('a nested stack has its own', () => {
  const parent = new Stack(new App(), 'Parent');
  const nested = new NestedStack(parent, 'Nested');
  index(nested, 'Index');

  Template.fromStack(nested).resourceCountIs('AWS::Lambda::Function', 1);
  Template.fromStack(nested).resourceCountIs(INDEX, 1);
  Template.fromStack(parent).resourceCountIs('AWS::Lambda::Function', 0);
});

test('works in a stage', () => {
  const stack = new Stack(new Stage(new App(), 'Prod', { env: { region: 'cn-north-1' } }), 'Stack');
  index(stack, 'Index');

  const template = Template.fromStack(stack);
  template.resourceCountIs('AWS::CodeBuild::Project', 1);
  // The registry's domain is not the same in every partition.
  expect(JSON.stringify(onlyResource(template, INDEX).Properties['RepositoryUri'])).toContain('AWS::URLSuffix');
});

test('a repository of another stack is named by a value of that stack', () => {
  const app = new App();
  const repository = new Repository(new Stack(app, 'Images'), 'Repository');
  const stack = new Stack(app, 'Service');
  new SociIndexV2Build(stack, 'Index', { repository, inputImageTag: 'v1' });

  const { Properties } = onlyResource(Template.fromStack(stack), INDEX);
  expect(JSON.stringify(Properties['RepositoryUri'])).toMatch(valueOf('Images'));
});
