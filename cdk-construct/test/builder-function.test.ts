// Indexes that are built in a function: the resources of the stack, and which of them stay the same when an index moves there.

import { App, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { ComputeType } from 'aws-cdk-lib/aws-codebuild';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { SociBuilder, SociImage, SociIndexBuild, SociIndexBuildDefaults, SociIndexOptions, SociIndexV2Build } from '../src';
import { dependenciesOf, idsOf, Options, PROJECT, stackWith } from './build';
import { task } from './task-images';
import { INDEX, onlyResource, repositoryIn, Resource, resourcesOf, templateOf } from './template';

const FUNCTION = 'AWS::Lambda::Function';
const FAILURES = 'AWS::Lambda::EventInvokeConfig';
const builder = SociBuilder.FUNCTION;

function templateWith(options: Options = {}): Template {
  return Template.fromStack(
    stackWith((stack) => ({ builder, ...(typeof options === 'function' ? options(stack) : options) })),
  );
}

function functionsOf(template: Template, part = 'SociIndexBuildFunction'): [string, Resource][] {
  return Object.entries(resourcesOf(template, FUNCTION)).filter(([id]) => id.startsWith(part));
}

function arnOf(id: string): unknown {
  return { 'Fn::GetAtt': [id, 'Arn'] };
}

describe('by default', () => {
  const template = templateWith();
  const [[id, { Properties }]] = functionsOf(template);
  const [[providerId, provider]] = functionsOf(template, 'SociIndexBuildProvider');

  test('the function runs the provider’s program, told which part', () => {
    expect(Properties).toMatchObject({
      Architectures: ['x86_64'],
      Environment: { Variables: { SOCI_INDEX_BUILD_FUNCTION: 'builder' } },
      Handler: 'bootstrap',
      MemorySize: 2048,
      Runtime: 'provided.al2023',
      // The last minute is for the answer.
      Timeout: 15 * 60,
    });
    expect(Properties['Code']).toEqual(provider.Properties['Code']);
    expect(provider.Properties).not.toHaveProperty('Environment');
  });

  test('the index names it, and CloudFormation asks the provider as ever', () => {
    const { Properties: asked } = onlyResource(template, INDEX);
    expect(asked).toMatchObject({ BuilderFunction: arnOf(id), ServiceToken: arnOf(providerId), ServiceTimeout: '3600' });
    expect(asked).not.toHaveProperty('ProjectName');
  });

  test('an event that fails goes back to the provider, at once and within CloudFormation’s hour', () => {
    const failures = onlyResource(template, FAILURES);
    expect(failures.Properties).toEqual({
      DestinationConfig: { OnFailure: { Destination: arnOf(providerId) } },
      FunctionName: { Ref: id },
      MaximumEventAgeInSeconds: 1800,
      MaximumRetryAttempts: 0,
      Qualifier: '$LATEST',
    });
  });

  test('the stack gets nothing of CodeBuild', () => {
    const text = JSON.stringify(template.toJSON());
    expect(text).not.toMatch(/codebuild|AWS::CodeBuild/i);
    // A role, a log group and a function for each of the two.
    for (const type of ['AWS::IAM::Role', 'AWS::Logs::LogGroup', FUNCTION]) {
      template.resourceCountIs(type, 2);
    }
  });

  test('the index waits for all policies and for the way back of failures', () => {
    expect(dependenciesOf(template)).toEqual(
      expect.arrayContaining([...idsOf(template, 'AWS::IAM::Policy'), ...idsOf(template, FAILURES)]),
    );
  });

  test('it logs to a group that ends with the stack', () => {
    const [group] = idsOf(template, 'AWS::Logs::LogGroup', 'SociIndexBuildFunction');
    expect(Properties['LoggingConfig']).toEqual({ LogGroup: { Ref: group } });
    expect(resourcesOf(template, 'AWS::Logs::LogGroup')[group]).toMatchObject({
      DeletionPolicy: 'Delete',
      Properties: { RetentionInDays: 30 },
    });
  });
});

describe('Lambda tries the rights of a role that is given', () => {
  test('when it makes the function and the way back of failures, so both wait for them', () => {
    const template = templateWith((stack) => ({
      role: new Role(stack, 'Given', { assumedBy: new ServicePrincipal('lambda.amazonaws.com') }),
    }));
    const [policy] = idsOf(template, 'AWS::IAM::Policy').filter((id) => /^SociIndexBuildFunction[0-9a-f]{8}Policy/.test(id));
    const [, { DependsOn }] = functionsOf(template)[0];
    expect(DependsOn).toContain(policy);
    expect(onlyResource(template, FAILURES).DependsOn).toContain(policy);
    expect(dependenciesOf(template)).toContain(policy);
  });

  test('one that takes no policies is left as it is', () => {
    const template = templateWith((stack) => ({ role: Role.fromRoleName(stack, 'Given', 'builds', { mutable: false }) }));
    expect(idsOf(template, 'AWS::IAM::Policy', 'SociIndexBuildFunction')).toEqual([]);
    expect(functionsOf(template)).toHaveLength(1);
  });
});

describe('one function for each set of settings', () => {
  const all = (...options: SociIndexOptions[]): Template =>
    templateOf((stack) => {
      options.forEach((each, at) => {
        new SociIndexV2Build(stack, `I${at}`, { repository: repositoryIn(stack, `${at}`), inputImageTag: 'v1', ...each });
      });
    });

  test('shared by both versions and by containers, and its id never changes', () => {
    const template = templateOf((stack) => {
      const repository = repositoryIn(stack);
      new SociIndexV2Build(stack, 'V2', { repository, inputImageTag: 'v1', builder });
      new SociIndexBuild(stack, 'V1', { repository, imageTag: 'v1', builder, memorySize: 2_048 });
      task(stack, 'Task', SociImage.fromEcrRepository(repository, 'v2', { builder }));
    });
    expect(functionsOf(template).map(([id]) => id)).toEqual(['SociIndexBuildFunction661C7344']);
  });

  test('another memory is another function', () => {
    const template = all({ builder }, { builder, memorySize: 4_096 }, { builder, memorySize: 4_096 });
    expect(functionsOf(template).map(([, { Properties }]) => Properties['MemorySize'])).toEqual([2048, 4096]);
    template.resourceCountIs(FAILURES, 2);
  });

  test('beside a project', () => {
    const template = all({ builder }, { computeType: ComputeType.LARGE });
    expect(functionsOf(template)).toHaveLength(1);
    template.resourceCountIs(PROJECT, 1);
  });
});

describe('an index that moves, in either direction', () => {
  const ids = (options: SociIndexOptions): string[] => {
    const template = templateOf((stack) => {
      const repository = repositoryIn(stack);
      new SociIndexV2Build(stack, 'V2', { repository, inputImageTag: 'v1', ...options });
      new SociIndexBuild(stack, 'V1', { repository, imageTag: 'v1', ...options });
      task(stack, 'Task', SociImage.fromEcrRepository(repository, 'v2', options));
    });
    return [...idsOf(template, INDEX), ...idsOf(template, FUNCTION, 'Provider'), ...idsOf(template, 'AWS::IAM::Role', 'Provider')];
  };

  test.each([RemovalPolicy.RETAIN, RemovalPolicy.DESTROY])('keeps its id and that of the provider, with %s', (removalPolicy) => {
    expect(ids({ removalPolicy, builder })).toEqual(ids({ removalPolicy }));
    expect(ids({ removalPolicy })).toHaveLength(5);
  });
});

describe('defaults', () => {
  const stackOf = (define: (stack: Stack, app: App) => void): Template => {
    const app = new App();
    const stack = new Stack(app, 'Stack');
    SociIndexBuildDefaults.of(stack).set({ builder });
    define(stack, app);
    return Template.fromStack(stack);
  };

  test('say where indexes are built, and an index may say otherwise', () => {
    const template = stackOf((stack) => {
      const repository = repositoryIn(stack);
      new SociIndexV2Build(stack, 'Here', { repository, inputImageTag: 'v1', memorySize: 3_008 });
      new SociIndexV2Build(stack, 'There', { repository, inputImageTag: 'v2', builder: SociBuilder.CODE_BUILD });
    });
    expect(functionsOf(template)).toHaveLength(1);
    template.resourceCountIs(PROJECT, 1);
  });

  test('reach an image whose repository or asset is elsewhere', () => {
    const template = stackOf((stack, app) => {
      const repository = repositoryIn(new Stack(app, 'Images'));
      task(stack, 'Task', SociImage.fromEcrRepository(repository, 'v1', { memorySize: 3_008 }));
      task(stack, 'Same', SociImage.fromEcrRepository(repository, 'v1', { memorySize: 3_008, builder }));
    });
    template.resourceCountIs(INDEX, 1);
    template.resourceCountIs(PROJECT, 0);
  });
});
