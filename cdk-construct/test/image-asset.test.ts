// Image assets, and the stack that they are pushed with: other synthesizers, other stacks.

import {
  App,
  DefaultStackSynthesizer,
  DockerImageAssetLocation,
  DockerImageAssetSource,
  FileAssetLocation,
  FileAssetSource,
  Fn,
  LegacyStackSynthesizer,
  NestedStack,
  Stack,
} from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { DockerImageAsset } from 'aws-cdk-lib/aws-ecr-assets';
import { SociImage, SociIndexBuild, SociIndexV2Build } from '../src';
import { allowing, HERE } from './build';
import { DIRECTORY, task } from './task-images';
import { INDEX, onlyResource, repositoryIn, resourcesOf } from './template';

/** Pushes images to where this says. */
class Elsewhere extends DefaultStackSynthesizer {
  constructor(private readonly imageUri: string) {
    super();
  }

  public override addDockerImageAsset(asset: DockerImageAssetSource): DockerImageAssetLocation {
    return { ...super.addDockerImageAsset(asset), imageUri: this.imageUri };
  }
}

class EncryptedBucket extends DefaultStackSynthesizer {
  public override addFileAsset(asset: FileAssetSource): FileAssetLocation {
    return { ...super.addFileAsset(asset), kmsKeyArn: 'arn:aws:kms:eu-west-1:111111111111:key/assets' };
  }
}

const assetIn = (stack: Stack): DockerImageAsset => new DockerImageAsset(stack, 'Image', { directory: DIRECTORY });

describe('an image that a synthesizer pushes elsewhere', () => {
  const address = '222222222222.dkr.ecr.${AWS::Region}.${AWS::URLSuffix}/images/app:v1-0123abcd';

  test.each<[string, (stack: Stack) => void]>([
    ['SociImage.fromAsset', (stack) => task(stack, 'T', SociImage.fromAsset(DIRECTORY), SociImage.fromAsset(DIRECTORY))],
    ['SociImage.fromDockerImageAsset', (stack) => task(stack, 'T', SociImage.fromDockerImageAsset(assetIn(stack)))],
    ['SociIndexV2Build', (stack) => SociIndexV2Build.fromDockerImageAsset(stack, 'Index', assetIn(stack))],
    ['SociIndexBuild', (stack) => SociIndexBuild.fromDockerImageAsset(stack, 'Index', assetIn(stack))],
  ])('%s indexes it there', (_, define) => {
    const stack = new Stack(new App(), 'Stack', { synthesizer: new Elsewhere(Fn.sub(address)) });
    define(stack);

    const template = Template.fromStack(stack);
    const { RepositoryUri, InputImageTag } = onlyResource(template, INDEX).Properties;
    expect(JSON.stringify(RepositoryUri)).toBe(
      '{"Fn::Join":["",["222222222222.dkr.ecr.",{"Fn::Sub":"${AWS::Region}"},".",{"Ref":"AWS::URLSuffix"},"/images/app"]]}',
    );
    expect(InputImageTag).toBe('v1-0123abcd');
    expect(JSON.stringify(allowing(template, 'ecr:PutImage').Resource)).toContain(':222222222222:repository/images/app"');
  });

  test('and not in ECR is refused', () => {
    const stack = new Stack(new App(), 'Stack', { synthesizer: new Elsewhere('ghcr.io/images/app:v1') });
    expect(() => SociIndexV2Build.fromDockerImageAsset(stack, 'Index', assetIn(stack))).toThrow(
      'the image asset Stack/Image is pushed to "ghcr.io/images/app:v1", which is not an ECR image',
    );
  });
});

test.each<[string, () => DefaultStackSynthesizer | LegacyStackSynthesizer]>([
  ['the default synthesizer', () => new DefaultStackSynthesizer()],
  ['a prefix of tags', () => new DefaultStackSynthesizer({ dockerTagPrefix: 'app-', imageAssetsRepositoryName: 'a-${Qualifier}' })],
  ['the synthesizer of CDK 1', () => new LegacyStackSynthesizer()],
])('with %s, the asset’s own repository is used', (_, synthesizer) => {
  for (const env of [undefined, HERE]) {
    const stack = new Stack(new App(), 'Stack', { env, synthesizer: synthesizer() });
    const asset = assetIn(stack);
    expect(SociIndexV2Build.fromDockerImageAsset(stack, 'Index', asset).repository).toBe(asset.repository);
  }
});

test('a build may use the key of the bucket that its program is in', () => {
  const stack = new Stack(new App(), 'Stack', { synthesizer: new EncryptedBucket() });
  new SociIndexV2Build(stack, 'Index', { repository: repositoryIn(stack), inputImageTag: 'v1' });

  const statement = allowing(Template.fromStack(stack), 'kms:Decrypt');
  expect(statement.Action).toEqual(['kms:Decrypt', 'kms:DescribeKey']);
  expect(statement.Resource).toBe('arn:aws:kms:eu-west-1:111111111111:key/assets');
});

describe('an asset of another stack is pushed before', () => {
  const dependenciesOf = (define: (here: Stack, there: Stack) => void): string[] => {
    const app = new App();
    const [there, here] = [new Stack(app, 'There'), new Stack(app, 'Here')];
    define(here, there);
    expect(there.dependencies).toEqual([]);
    return here.dependencies.map(({ stackName }) => stackName);
  };

  test.each<[string, (here: Stack, there: Stack) => void]>([
    ['SociImage', (here, there) => task(here, 'Task', SociImage.fromDockerImageAsset(assetIn(there)))],
    ['SociIndexV2Build', (here, there) => SociIndexV2Build.fromDockerImageAsset(here, 'Index', assetIn(there))],
    ['SociIndexBuild', (here, there) => SociIndexBuild.fromDockerImageAsset(here, 'Index', assetIn(there))],
    [
      'an index by hand',
      (here, there) => {
        const { repository, imageTag } = assetIn(there);
        new SociIndexV2Build(here, 'Index', { repository, inputImageTag: imageTag });
      },
    ],
    [
      'nested stacks',
      (here, there) =>
        SociIndexV2Build.fromDockerImageAsset(new NestedStack(here, 'N'), 'Index', assetIn(new NestedStack(there, 'N'))),
    ],
  ])('than %s', (_, define) => {
    expect(dependenciesOf(define)).toEqual(['There']);
  });

  test('nested stacks of one stack need no order: their assets are pushed with it', () => {
    const stack = new Stack(new App(), 'Stack');
    const [one, other] = [new NestedStack(stack, 'One'), new NestedStack(stack, 'Other')];
    SociIndexV2Build.fromDockerImageAsset(one, 'Index', assetIn(other));
    SociIndexV2Build.fromDockerImageAsset(other, 'Index', assetIn(stack));
    expect(Object.keys(resourcesOf(Template.fromStack(one), INDEX))).toHaveLength(1);
  });

  test('a repository that is named in another stack is there already', () => {
    const dependencies = dependenciesOf((here, there) => {
      new SociIndexV2Build(here, 'Index', { repository: repositoryIn(there), inputImageTag: 'v1' });
    });
    expect(dependencies).toEqual([]);
  });
});
