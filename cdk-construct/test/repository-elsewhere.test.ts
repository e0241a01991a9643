// Repositories in another region, account or partition.

import { App, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { IRepository, Repository } from 'aws-cdk-lib/aws-ecr';
import { SociIndexV2Build } from '../src';
import { allowing, HERE } from './build';
import { INDEX, onlyResource, statementsOf } from './template';

describe('a repository elsewhere', () => {
  const indexOf = (repositoryArn: string): Template => {
    const stack = new Stack(new App(), 'Stack', { env: HERE });
    const repository = Repository.fromRepositoryArn(stack, 'Repository', repositoryArn);
    new SociIndexV2Build(stack, 'Index', { repository, inputImageTag: 'v1' });
    return Template.fromStack(stack);
  };

  test.each([
    ['in another region', 'arn:aws:ecr:us-east-1:111111111111:repository/app', '111111111111.dkr.ecr.us-east-1.'],
    ['of another account', 'arn:aws:ecr:eu-west-1:222222222222:repository/app', '222222222222.dkr.ecr.eu-west-1.'],
  ])('%s is named by its own address and ARN', (_, arn, host) => {
    const template = indexOf(arn);

    expect(JSON.stringify(onlyResource(template, INDEX).Properties['RepositoryUri'])).toContain(host);
    expect(allowing(template, 'ecr:PutImage').Resource).toBe(arn);
    const provider = statementsOf(template, 'lambda.amazonaws.com').filter(({ Resource: on }) => on === arn);
    expect(provider).toHaveLength(1);
  });

  test('of another account, in a stack of this app, gets no policy from here', () => {
    const app = new App();
    const there = new Stack(app, 'There', { env: { ...HERE, account: '222222222222' } });
    const repository = new Repository(there, 'Repository', { repositoryName: 'app' });
    const stack = new Stack(app, 'Stack', { env: HERE });
    new SociIndexV2Build(stack, 'Index', { repository, inputImageTag: 'v1' });

    const arn = JSON.stringify(allowing(Template.fromStack(stack), 'ecr:PutImage').Resource);
    expect(arn).toContain(':ecr:eu-west-1:222222222222:repository/app');
    expect(onlyResource(Template.fromStack(there), 'AWS::ECR::Repository').Properties).toEqual({ RepositoryName: 'app' });
  });

  const chinese = 'arn:aws-cn:ecr:cn-north-1:222222222222:repository/app';
  const attributes = { repositoryArn: chinese, repositoryName: 'app' };

  test.each<[string, (stack: Stack) => IRepository, string]>([
    ['by its ARN', (stack) => Repository.fromRepositoryArn(stack, 'R', chinese), chinese],
    ['by its attributes', (stack) => Repository.fromRepositoryAttributes(stack, 'R', attributes), chinese],
    [
      'by its stack',
      () => new Repository(new Stack(new App(), 'There', { env: { region: 'cn-north-1' } }), 'R'),
      'cn-north-1',
    ],
  ])('in another partition is refused, known %s', (_, repositoryOf, where) => {
    const stack = new Stack(new App(), 'Stack', { env: HERE });
    const repository = repositoryOf(stack);
    expect(() => new SociIndexV2Build(stack, 'Index', { repository, inputImageTag: 'v1' })).toThrow(
      `'repository' must be in the partition of its stack (aws), got one in aws-cn (${where}): copy the image`,
    );
  });

  test('passes where one of the two partitions is not known', () => {
    const anywhere = new Stack(new App(), 'Stack');
    const known = Repository.fromRepositoryArn(anywhere, 'R', chinese);
    expect(() => new SociIndexV2Build(anywhere, 'Index', { repository: known, inputImageTag: 'v1' })).not.toThrow();

    const app = new App();
    const stack = new Stack(app, 'Stack', { env: HERE });
    const token = new Repository(new Stack(app, 'Anywhere'), 'R', { repositoryName: 'app' });
    expect(() => new SociIndexV2Build(stack, 'Index', { repository: token, inputImageTag: 'v1' })).not.toThrow();
  });
});
