// Every property of every construct reaches the template.

import { Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import {
  SociImage,
  SociIndexBuild,
  SociIndexBuildProps,
  SociIndexOnPush,
  SociIndexOnPushProps,
  SociIndexV2Build,
  SociIndexV2BuildOptions,
  SociIndexV2BuildProps,
  SociStartTimes,
  SociStartTimesProps,
} from '../src';
import { ON_PUSH, OPTIONS, Row, START_TIMES, V1, V2, V2_OPTIONS } from './every-property';
import { task } from './task-images';
import { repositoryIn, templateOf } from './template';

/** The template with what a row gives, and the one without. */
function templates<Props>({ given }: Row<Props>, define: (stack: Stack, props: Partial<Props>) => void): Template[] {
  return [
    templateOf((stack) => {
      define(stack, typeof given === 'function' ? given(stack) : given);
    }),
    templateOf((stack) => {
      define(stack, {});
    }),
  ];
}

function expectToReach<Props>(row: Row<Props>, define: (stack: Stack, props: Partial<Props>) => void): void {
  const [withIt, without] = templates(row, define);
  withIt.hasResourceProperties(row.type, row.properties);
  expect(() => {
    without.hasResourceProperties(row.type, row.properties);
  }).toThrow();
}

test.each(Object.entries({ ...OPTIONS, ...V2_OPTIONS, ...V2 }))('SociIndexV2Build: %s', (_, row) => {
  expectToReach<SociIndexV2BuildProps>(row, (stack, props) => {
    new SociIndexV2Build(stack, 'Index', { repository: repositoryIn(stack), inputImageTag: 'v1', ...props });
  });
});

test.each(Object.entries({ ...OPTIONS, ...V1 }))('SociIndexBuild: %s', (_, row) => {
  expectToReach<SociIndexBuildProps>(row, (stack, props) => {
    new SociIndexBuild(stack, 'Index', { repository: repositoryIn(stack), imageTag: 'v1', ...props });
  });
});

test.each(Object.entries({ ...OPTIONS, ...V2_OPTIONS }))('SociImage: %s', (_, row) => {
  expectToReach<SociIndexV2BuildOptions>(row, (stack, props) => {
    task(stack, 'Task', SociImage.fromEcrRepository(repositoryIn(stack), 'v1', props));
  });
});

test.each(Object.entries(ON_PUSH))('SociIndexOnPush: %s', (_, row) => {
  expectToReach<SociIndexOnPushProps>(row, (stack, props) => {
    new SociIndexOnPush(stack, 'Indexes', { filters: ['app'], ...props });
  });
});

test.each(Object.entries(START_TIMES))('SociStartTimes: %s', (_, row) => {
  expectToReach<SociStartTimesProps>(row, (stack, props) => {
    new SociStartTimes(stack, 'Starts', props);
  });
});
