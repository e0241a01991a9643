// A Lambda function that would run an indexed image of version 2 fails synth, wherever it is and however it names the image.

import { join } from 'path';
import { App, CfnParameter, CfnResource, Lazy, NestedStack, Stack, Stage } from 'aws-cdk-lib';
import { IRepository, Repository } from 'aws-cdk-lib/aws-ecr';
import { DockerImageAsset } from 'aws-cdk-lib/aws-ecr-assets';
import { FargateTaskDefinition } from 'aws-cdk-lib/aws-ecs';
import { CfnFunction, DockerImageCode, DockerImageFunction } from 'aws-cdk-lib/aws-lambda';
import { Construct } from 'constructs';
import { SociImage, SociIndexBuild, SociIndexV2Build, SociIndexV2BuildOptions } from '../src';
import { repositoryIn } from './template';

function indexIn(stack: Stack, repository: IRepository, options: SociIndexV2BuildOptions = {}): SociIndexV2Build {
  return new SociIndexV2Build(stack, 'Index', { repository, inputImageTag: 'v1', ...options });
}

/** A function that runs this image, as `DockerImageCode.fromEcr` puts it, and as anyone can write it. */
function functionIn(stack: Construct, repository: IRepository, tagOrDigest: string): void {
  new DockerImageFunction(stack, 'Function', { code: DockerImageCode.fromEcr(repository, { tagOrDigest }) });
}

function rawFunctionIn(stack: Construct, imageUri: string): CfnFunction {
  return new CfnFunction(stack, 'Raw', { role: 'arn', packageType: 'Image', code: { imageUri } });
}

function synthOf(define: (stack: Stack, repository: IRepository, app: App) => void): () => void {
  const app = new App();
  const stack = new Stack(app, 'Stack');
  define(stack, repositoryIn(stack), app);
  return () => app.synth();
}

const problem = (path: string, tag = '"v1-soci"', input = '"v1"'): string =>
  `[Stack/Index] The Lambda function ${path} uses the indexed image ${tag}, but Lambda does not support images with a ` +
  `version 2 index: use the original image, ${input}`;

describe('refuses a function', () => {
  test('that uses the output tag', () => {
    const synth = synthOf((stack, repository) => {
      functionIn(stack, repository, indexIn(stack, repository).outputImageTag);
    });
    expect(synth).toThrow(problem('Stack/Function/Resource'));
  });

  test('that uses the digest', () => {
    const synth = synthOf((stack, repository) => {
      const { outputImageDigest } = indexIn(stack, repository);
      rawFunctionIn(stack, `${repository.repositoryUri}@${outputImageDigest}`);
    });
    expect(synth).toThrow(problem('Stack/Raw'));
  });

  test('that uses the output later than it is defined', () => {
    const synth = synthOf((stack, repository) => {
      const index = indexIn(stack, repository);
      rawFunctionIn(stack, '').code = Lazy.any({ produce: () => ({ imageUri: index.outputImageTag }) });
    });
    expect(synth).toThrow(problem('Stack/Raw'));
  });

  test('that names the output tag itself', () => {
    const synth = synthOf((stack, repository) => {
      indexIn(stack, repository, { outputImageTag: 'fast' });
      functionIn(stack, repository, 'fast');
    });
    expect(synth).toThrow(problem('Stack/Function/Resource', '"fast"'));
  });

  test('that names a tag which is known at deployment', () => {
    const synth = synthOf((stack, repository) => {
      const tag = new CfnParameter(stack, 'Tag').valueAsString;
      indexIn(stack, repository, { outputImageTag: tag });
      functionIn(stack, repository, tag);
    });
    expect(synth).toThrow(problem('Stack/Function/Resource', 'with a tag known at deployment'));
  });

  test.each<[string, (stack: Stack, app: App) => Construct]>([
    ['another stack', (_, app) => new Stack(app, 'Other')],
    ['a nested stack', (stack) => new NestedStack(stack, 'Other')],
  ])('of %s', (_, scopeIn) => {
    const byOutput = synthOf((stack, repository, app) => {
      functionIn(scopeIn(stack, app), repository, indexIn(stack, repository).outputImageTag);
    });
    expect(byOutput).toThrow(/The Lambda function (Stack\/)?Other\/Function\/Resource uses the indexed image "v1-soci"/);

    const byName = synthOf((stack, repository, app) => {
      indexIn(stack, repository);
      functionIn(scopeIn(stack, app), repository, 'v1-soci');
    });
    expect(byName).toThrow(/The Lambda function (Stack\/)?Other\/Function\/Resource uses the indexed image "v1-soci"/);
  });

  test('of another stack, from a repository of a third', () => {
    const synth = synthOf((stack, _, app) => {
      const repository = new Repository(new Stack(app, 'Images'), 'Repository');
      indexIn(stack, repository);
      functionIn(new Stack(app, 'Other'), repository, 'v1-soci');
    });
    expect(synth).toThrow(problem('Other/Function/Resource'));
  });

  test('of a stage', () => {
    const stage = new Stage(new App(), 'Prod');
    const stack = new Stack(stage, 'Stack');
    const repository = repositoryIn(stack);
    functionIn(new Stack(stage, 'Other'), repository, indexIn(stack, repository).outputImageTag);

    expect(() => stage.synth()).toThrow('The Lambda function Prod/Other/Function/Resource uses');
  });

  test('that runs the image of a container', () => {
    const synth = synthOf((stack, repository) => {
      const task = new FargateTaskDefinition(stack, 'Task');
      task.addContainer('app', { image: SociImage.fromEcrRepository(repository, 'v1') });
      functionIn(stack, repository, 'v1-soci');
    });
    expect(synth).toThrow('The Lambda function Stack/Function/Resource uses the indexed image "v1-soci"');
  });
});

describe('takes a function', () => {
  test('with the original image, by tag or as an asset', () => {
    const synth = synthOf((stack, repository) => {
      indexIn(stack, repository);
      functionIn(stack, repository, 'v1');
      const directory = join(__dirname, 'programs', 'image');
      const asset = new DockerImageAsset(stack, 'Image', { directory });
      SociIndexV2Build.fromDockerImageAsset(stack, 'AssetIndex', asset);
      new DockerImageFunction(stack, 'OfAsset', { code: DockerImageCode.fromImageAsset(directory) });
      functionIn(new Construct(stack, 'ByTag'), asset.repository, asset.imageTag);
    });
    expect(synth).not.toThrow();
  });

  test('with the same tag of another repository, also where the other has the same logical id', () => {
    const synth = synthOf((stack, _, app) => {
      indexIn(stack, new Repository(stack, 'Repository'));
      const other = new Stack(app, 'Other');
      functionIn(other, new Repository(other, 'Repository'), 'v1-soci');
      functionIn(new Construct(stack, 'Here'), repositoryIn(stack, 'other'), 'v1-soci');
    });
    expect(synth).not.toThrow();
  });

  test('with an image of version 1, which stays what it was', () => {
    const synth = synthOf((stack, repository) => {
      const { outputImageDigest } = new SociIndexBuild(stack, 'V1', { repository, imageTag: 'v1' });
      rawFunctionIn(stack, `${repository.repositoryUri}@${outputImageDigest}`);
    });
    expect(synth).not.toThrow();
  });

  test('that is written without its class', () => {
    const synth = synthOf((stack, repository) => {
      indexIn(stack, repository);
      new CfnResource(stack, 'Plain', { type: 'AWS::Lambda::Function', properties: { Code: { ZipFile: '' } } });
    });
    expect(synth).not.toThrow();
  });
});

describe('in two environments of one app,', () => {
  const HERE = { account: '111111111111', region: 'eu-west-1' };
  const THERE = { ...HERE, region: 'us-east-1' };
  const stacks = (): { app: App; here: Stack; there: Stack } => {
    const app = new App();
    return { app, here: new Stack(app, 'Here', { env: HERE }), there: new Stack(app, 'There', { env: THERE }) };
  };

  test('repositories without a name have their indexes and functions', () => {
    const { app, here, there } = stacks();
    for (const stack of [here, there]) {
      const repository = new Repository(stack, 'Repository');
      indexIn(stack, repository);
      functionIn(stack, repository, 'v1');
    }
    expect(() => app.synth()).not.toThrow();
  });

  test('a function in one is refused the image of the other', () => {
    const { app, here, there } = stacks();
    const repository = new Repository(here, 'Repository', { repositoryName: 'app' });
    indexIn(here, repository);
    functionIn(there, repository, 'v1-soci');
    expect(() => app.synth()).toThrow('[Here/Index] The Lambda function There/Function/Resource uses');
  });

  test('repositories of one name in each are two', () => {
    const { app, here, there } = stacks();
    indexIn(here, repositoryIn(here));
    functionIn(there, repositoryIn(there), 'v1-soci');
    expect(() => app.synth()).not.toThrow();
  });
});

test('looks for functions once in each synth, however many indexes there are', () => {
  const app = new App();
  const stack = new Stack(app, 'Stack');
  const repository = repositoryIn(stack);
  for (let tag = 0; tag < 20; tag++) {
    new SociIndexV2Build(stack, `Index${tag}`, { repository, inputImageTag: `v${tag}` });
  }
  app.synth();
  let looks = 0;
  rawFunctionIn(stack, '').code = Lazy.uncachedAny({ produce: () => ({ imageUri: `${++looks}` }) });
  indexIn(stack, repository);
  functionIn(stack, repository, 'v1-soci');

  expect(() => app.synth({ force: true })).toThrow(problem('Stack/Function/Resource'));
  // Synth itself has to look, too.
  expect(looks).toBeLessThan(5);
});
