// The rights of the two roles: exactly these, on exactly that. Each is there for a call that the programs make.

import { App, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { ComputeType } from 'aws-cdk-lib/aws-codebuild';
import { Repository } from 'aws-cdk-lib/aws-ecr';
import { SociIndexBuild, SociIndexOptions, SociIndexV2Build } from '../src';
import {
  actionsByResource,
  isRepository,
  repositoryIn,
  resourcesOf,
  statementsIn,
  statementsOf,
  templateOf,
  valueOf,
} from './template';

const PROVIDER = 'lambda.amazonaws.com';
const BUILDER = 'codebuild.amazonaws.com';

const v2 = (options: SociIndexOptions = {}): Template =>
  templateOf((stack) => {
    new SociIndexV2Build(stack, 'Index', { repository: repositoryIn(stack), inputImageTag: 'v1', ...options });
  });
const v1 = (options: SociIndexOptions = {}): Template =>
  templateOf((stack) => {
    new SociIndexBuild(stack, 'Index', { repository: repositoryIn(stack), imageTag: 'v1', ...options });
  });

/** The actions of a role, by what they are for. */
function rightsOf(template: Template, service: string): Record<string, string[]> {
  return actionsByResource(statementsOf(template, service), (on) => meaning(template, on));
}

/** A resource of a policy in words; anything unknown stays as it is, so that it is seen. */
function meaning(template: Template, resource: unknown): string {
  const text = JSON.stringify(resource);
  const names: [string, string][] = [
    ['AWS::Lambda::Function', 'the function'],
    ['AWS::CodeBuild::Project', 'the project'],
    ['AWS::Logs::LogGroup', 'a log group'],
  ];
  for (const [type, name] of names) {
    if (Object.keys(resourcesOf(template, type)).some((id) => text === `{"Fn::GetAtt":["${id}","Arn"]}`)) {
      return name;
    }
  }
  if (isRepository(text)) {
    return 'the repository';
  }
  if (/":s3:::",\{"Fn::Sub":"cdk-hnb659fds-assets-[^"]*"\},"\/[0-9a-f]{64}\.zip"\]\]\}$/.test(text)) {
    return 'the program';
  }
  if (/":s3:::",\{"Fn::Sub":"cdk-hnb659fds-assets-[^"]*"\}\]\]\}$/.test(text)) {
    return 'the bucket of assets';
  }
  return text;
}

const PROVIDER_BASE = {
  'a log group': ['logs:CreateLogStream', 'logs:PutLogEvents'],
  'the function': ['lambda:InvokeFunction'],
  'the project': [
    'codebuild:BatchGetBuilds',
    'codebuild:ListBuildsForProject',
    'codebuild:StartBuild',
    'codebuild:StopBuild',
  ],
};
const READ = ['ecr:BatchCheckLayerAvailability', 'ecr:BatchGetImage', 'ecr:GetDownloadUrlForLayer'];

test.each([
  ['version 2', v2(), []],
  ['version 1', v1(), []],
  [
    'version 2 that is destroyed',
    v2({ removalPolicy: RemovalPolicy.DESTROY }),
    ['ecr:BatchDeleteImage', 'ecr:DescribeImages'],
  ],
  [
    'version 1 that is destroyed',
    v1({ removalPolicy: RemovalPolicy.DESTROY }),
    ['ecr:BatchDeleteImage', 'ecr:DescribeImages'],
  ],
  ['version 2 that is retained', v2({ removalPolicy: RemovalPolicy.RETAIN }), []],
])('the provider, for %s', (_, template, more) => {
  expect(rightsOf(template, PROVIDER)).toEqual({ ...PROVIDER_BASE, 'the repository': [...READ, ...more].sort() });
});

test.each([
  ['version 2', v2()],
  ['version 1', v1({ removalPolicy: RemovalPolicy.DESTROY })],
])('the builder, for %s', (_, template) => {
  expect(rightsOf(template, BUILDER)).toEqual({
    'a log group': ['logs:CreateLogStream', 'logs:PutLogEvents'],
    'the program': ['s3:GetObject', 's3:GetObjectVersion'],
    'the bucket of assets': ['s3:GetBucketAcl', 's3:GetBucketLocation'],
    'the repository': [
      'ecr:BatchCheckLayerAvailability',
      'ecr:BatchGetImage',
      'ecr:CompleteLayerUpload',
      'ecr:GetDownloadUrlForLayer',
      'ecr:InitiateLayerUpload',
      'ecr:PutImage',
      'ecr:UploadLayerPart',
    ],
    '"*"': ['ecr:GetAuthorizationToken'],
  });
});

test('nothing but the registry’s password is for everything', () => {
  const template = v1({ removalPolicy: RemovalPolicy.DESTROY });
  const statements = Object.values(resourcesOf(template, 'AWS::IAM::Policy')).flatMap(statementsIn);

  expect(statements.length).toBeGreaterThan(5);
  for (const statement of statements) {
    expect(JSON.stringify(statement.Action)).not.toContain('*');
    if (JSON.stringify(statement.Resource).includes('*')) {
      expect(statement).toMatchObject({ Action: 'ecr:GetAuthorizationToken', Resource: '*' });
    }
  }
});

test('only the repository whose index is destroyed may lose images', () => {
  const template = templateOf((stack) => {
    const kept = { repository: repositoryIn(stack, 'kept'), inputImageTag: 'v1' };
    const lost = { repository: repositoryIn(stack, 'lost'), inputImageTag: 'v1', removalPolicy: RemovalPolicy.DESTROY };
    new SociIndexV2Build(stack, 'Kept', kept);
    new SociIndexV2Build(stack, 'Lost', lost);
  });

  const deleting = statementsOf(template, PROVIDER).filter(({ Action }) => Action.includes('ecr:BatchDeleteImage'));
  expect(deleting).toHaveLength(1);
  expect(JSON.stringify(deleting[0].Resource)).toContain(':repository/lost');
});

describe('what a Delete needs stays until the index is deleted', () => {
  // CloudFormation changes policies first, and deletes what has left the template last. So a right that leaves has to take its
  // policy along.
  const templateWith = (...ids: string[]): Template =>
    templateOf((stack) => {
      const repository = repositoryIn(stack);
      const lost = { removalPolicy: RemovalPolicy.DESTROY, computeType: ComputeType.LARGE };
      const all: Record<string, () => unknown> = {
        kept: () => new SociIndexV2Build(stack, 'Kept', { repository, inputImageTag: 'kept' }),
        lost: () => new SociIndexV2Build(stack, 'Lost', { repository, inputImageTag: 'lost', ...lost }),
        other: () => new SociIndexV2Build(stack, 'Other', { repository: repositoryIn(stack, 'other'), inputImageTag: 'v1' }),
      };
      ids.forEach((id) => all[id]());
    });

  function policiesOf(template: Template): Record<string, string> {
    const policies = Object.entries(resourcesOf(template, 'AWS::IAM::Policy'));
    return Object.fromEntries(
      policies
        .filter(([id]) => id.startsWith('SociIndexBuildProviderRights'))
        .map(([id, policy]) => [id, JSON.stringify(statementsIn(policy))]),
    );
  }

  test.each([
    ['that may delete', 'lost', 'ecr:BatchDeleteImage'],
    ['of a project', 'lost', 'codebuild:StopBuild'],
    ['of a repository', 'other', 'repository/other'],
  ])('a right %s', (_, leaving, right) => {
    const all = ['kept', 'lost', 'other'];
    const before = policiesOf(templateWith(...all));
    const after = policiesOf(templateWith(...all.filter((id) => id !== leaving)));

    expect(JSON.stringify(before)).toContain(right);
    expect(Object.keys(before)).toHaveLength(1);
    expect(after).not.toHaveProperty(Object.keys(before)[0]);
    // What stays has its rights before, too.
    expect(Object.keys(after)).toHaveLength(1);
  });

  test('whatever order the indexes come in, it is the same policy', () => {
    const ids = (...order: string[]): string[] => Object.keys(policiesOf(templateWith(...order)));
    expect(ids('kept', 'other')).toEqual(ids('other', 'kept'));
  });
});

test('repositories of two stacks are two, even under the same logical id', () => {
  const app = new App();
  const repositories = ['A', 'B'].map((name) => new Repository(new Stack(app, name), 'Repository'));
  const stack = new Stack(app, 'Stack');
  repositories.forEach((repository, at) => {
    new SociIndexV2Build(stack, `Index${at}`, { repository, inputImageTag: 'v1' });
  });

  const reading = statementsOf(Template.fromStack(stack), PROVIDER).filter(({ Action }) =>
    Action.includes('ecr:BatchGetImage'),
  );
  expect(reading.flatMap(({ Resource: on }) => on).map((on) => JSON.stringify(on))).toEqual([
    expect.stringMatching(valueOf('A')),
    expect.stringMatching(valueOf('B')),
  ]);
});

test('a second index of a repository adds no statement', () => {
  const indexes = (ids: string[]): Template =>
    templateOf((stack) => {
      const repository = repositoryIn(stack);
      ids.forEach((id) => new SociIndexV2Build(stack, id, { repository, inputImageTag: id }));
    });

  for (const service of [PROVIDER, BUILDER]) {
    expect(statementsOf(indexes(['a', 'b', 'c']), service)).toEqual(statementsOf(indexes(['a']), service));
  }
});

test('a repository of the same stack gets no policy of its own', () => {
  const template = templateOf((stack: Stack) => {
    new SociIndexV2Build(stack, 'Index', { repository: new Repository(stack, 'Repository'), inputImageTag: 'v1' });
  });

  const [repository] = Object.values(resourcesOf(template, 'AWS::ECR::Repository'));
  expect(repository).not.toHaveProperty('Properties.RepositoryPolicyText');
});
