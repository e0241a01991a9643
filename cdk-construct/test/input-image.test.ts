// Which image is indexed: by its tag or by its digest, in every construct, and what neither can be.

import { CfnParameter, Size, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { FargateTaskDefinition } from 'aws-cdk-lib/aws-ecs';
import { SociImage, SociIndexBuild, SociIndexBuildProps, SociIndexV2Build, SociIndexV2BuildProps } from '../src';
import { INDEX, onlyResource, repositoryIn, requestOf, templateOf } from './template';

const HEX = '0123456789abcdef'.repeat(4);
const DIGEST = `sha256:${HEX}`;

function v1(props: Omit<SociIndexBuildProps, 'repository'>): Template {
  return templateOf((stack) => {
    new SociIndexBuild(stack, 'Index', { repository: repositoryIn(stack), ...props });
  });
}

function v2(props: Omit<SociIndexV2BuildProps, 'repository'>): Template {
  return templateOf((stack) => {
    new SociIndexV2Build(stack, 'Index', { repository: repositoryIn(stack), ...props });
  });
}

function imageOf(...args: [tagOrDigest: string, props?: object]): Template {
  return templateOf((stack) => {
    const image = SociImage.fromEcrRepository(repositoryIn(stack), ...args);
    new FargateTaskDefinition(stack, 'Task').addContainer('app', { image });
  });
}

describe('a digest', () => {
  const request = { IndexVersion: 'v2', InputImageDigest: DIGEST, OutputImageTag: `${HEX}-soci` };

  test('in version 2, whose default output tag is made from its digits', () => {
    expect(requestOf(v2({ inputImageDigest: DIGEST }))).toEqual(request);
  });

  test('with an output tag, and with options that are part of the default', () => {
    expect(requestOf(v2({ inputImageDigest: DIGEST, outputImageTag: 'fast' }))['OutputImageTag']).toBe('fast');
    const minLayerSize = Size.mebibytes(20);
    expect(requestOf(v2({ inputImageDigest: DIGEST, minLayerSize }))['OutputImageTag']).toBe(`${HEX}-soci-5b99e427`);
  });

  test('in version 1', () => {
    expect(requestOf(v1({ imageDigest: DIGEST }))).toEqual({ IndexVersion: 'v1', InputImageDigest: DIGEST });
  });

  test('in a container image', () => {
    const template = imageOf(DIGEST);
    expect(requestOf(template)).toEqual(request);
    expect(onlyResource(template, INDEX).id).toBe('SociImage0123456789abcdef0123456789abcdefde9452f1SociIndex414CE6C5');
  });

  test('in a container image keeps the id where the output tag is the user’s own', () => {
    const ids = ['v1', DIGEST].map((input) => onlyResource(imageOf(input, { outputImageTag: 'fast' }), INDEX).id);
    expect(ids[1]).toBe(ids[0]);
  });

  test('that is known at deployment only, with an output tag', () => {
    const digestIn = (stack: Stack): string => new CfnParameter(stack, 'Digest').valueAsString;
    const template = templateOf((stack) => {
      const repository = repositoryIn(stack);
      const inputImageDigest = digestIn(stack);
      new SociIndexV2Build(stack, 'Index', { repository, inputImageDigest, outputImageTag: 'fast' });
    });
    expect(requestOf(template)).toEqual({
      IndexVersion: 'v2',
      InputImageDigest: { Ref: 'Digest' },
      OutputImageTag: 'fast',
    });

    const first = templateOf((stack) => {
      new SociIndexBuild(stack, 'Index', { repository: repositoryIn(stack), imageDigest: digestIn(stack) });
    });
    expect(requestOf(first)['InputImageDigest']).toEqual({ Ref: 'Digest' });

    const image = templateOf((stack) => {
      const options = { outputImageTag: 'fast' };
      const container = SociImage.fromEcrRepository(repositoryIn(stack), `sha256:${digestIn(stack)}`, options);
      new FargateTaskDefinition(stack, 'Task').addContainer('app', { image: container });
    });
    expect(requestOf(image)['InputImageDigest']).toEqual({ 'Fn::Join': ['', ['sha256:', { Ref: 'Digest' }]] });
  });
});

describe('refuses', () => {
  test('a tag and a digest', () => {
    const both = `cannot be combined, got "v1" and "${DIGEST}"`;
    expect(() => v2({ inputImageTag: 'v1', inputImageDigest: DIGEST })).toThrow(
      `'inputImageTag' and 'inputImageDigest' ${both}`,
    );
    expect(() => v1({ imageTag: 'v1', imageDigest: DIGEST })).toThrow(`'imageTag' and 'imageDigest' ${both}`);
  });

  test('neither', () => {
    expect(() => v2({})).toThrow(`'inputImageTag' or 'inputImageDigest' is required: it selects the image to index`);
    expect(() => v1({})).toThrow(`'imageTag' or 'imageDigest' is required: it selects the image to index`);
  });

  test.each([
    ['of another algorithm', `sha512:${HEX}${HEX}`],
    ['of capitals', DIGEST.replaceAll('a', 'A')],
    ['that is cut', DIGEST.slice(0, -1)],
    ['that is too long', `${DIGEST}0`],
    ['without its algorithm', HEX],
    ['of two lines', `${DIGEST}\n`],
    ['of nothing', ''],
  ])('a digest %s', (_, digest) => {
    const message = `must be 'sha256:' followed by 64 lowercase hex digits, got ${JSON.stringify(digest)}`;
    expect(() => v2({ inputImageDigest: digest })).toThrow(`'inputImageDigest' ${message}`);
    expect(() => v1({ imageDigest: digest })).toThrow(`'imageDigest' ${message}`);
    if (digest.startsWith('sha256:')) {
      expect(() => imageOf(digest)).toThrow(`'tagOrDigest' ${message}`);
    }
  });

  test('a digest that is known at deployment only, without an output tag', () => {
    const message = "'outputImageTag' is required if the input digest is known only at deployment";
    const stack = new Stack();
    const digest = new CfnParameter(stack, 'Digest').valueAsString;
    const repository = repositoryIn(stack);
    expect(() => new SociIndexV2Build(stack, 'Index', { repository, inputImageDigest: digest })).toThrow(message);

    const image = SociImage.fromEcrRepository(repository, `sha256:${digest}`);
    const task = new FargateTaskDefinition(stack, 'Task');
    expect(() => task.addContainer('app', { image })).toThrow(message);
  });
});
