// An app whose stacks have every property of every construct, in a region of each partition: for scripts/check-templates.

import { App, Stack } from 'aws-cdk-lib';
import { Construct } from 'constructs';
import { SociImage, SociIndexBuild, SociIndexOnPush, SociIndexV2Build, SociStartTimes } from 'soci-index-build';
import { ON_PUSH, OPTIONS, Row, START_TIMES, V1, V2, V2_OPTIONS } from './every-property';
import { task } from './task-images';
import { repositoryIn } from './template';

const REGIONS = ['us-east-1', 'cn-north-1', 'us-gov-west-1'];

/** Properties that exclude one of the others. */
const APART = ['imageDigest', 'inputImageDigest', 'lambdaComputeType', 'logRetention', 'version', 'waitForIndex'];

const OF_FUNCTION = ['builder', 'memorySize'];
/** Not for a function, or with another value. */
const OF_PROJECT = ['computeType', 'timeout', 'queuedTimeout'];

type Choice = (name: string) => boolean;

/** The stacks, and the properties that each has. */
const CHOICES: Record<string, Choice> = {
  together: (name) => ![...APART, ...OF_FUNCTION].includes(name),
  apart: (name) => APART.includes(name),
  function: (name) => ![...APART, ...OF_PROJECT].includes(name),
};

/** What the rows give, all of it at once. */
function given<Props>(scope: Construct, rows: Record<string, Row<Props>>, isChosen: Choice): Partial<Props> {
  const chosen = Object.entries(rows).filter(([name]) => isChosen(name));
  const all = chosen.map(([name, row]) =>
    typeof row.given === 'function' ? row.given(new Construct(scope, name)) : row.given,
  );
  return Object.assign({}, ...all) as Partial<Props>;
}

function define(stack: Stack, isChosen: Choice): void {
  const repository = repositoryIn(stack);
  const scope = (id: string): Construct => new Construct(stack, id);
  const v2 = given(scope('V2'), { ...OPTIONS, ...V2_OPTIONS, ...V2 }, isChosen);
  new SociIndexV2Build(stack, 'V2Index', { repository, inputImageTag: 'v1', ...v2 });
  const v1 = given(scope('V1'), { ...OPTIONS, ...V1 }, isChosen);
  new SociIndexBuild(stack, 'V1Index', { repository, imageTag: 'v1', ...v1 });
  const image = given(scope('Image'), { ...OPTIONS, ...V2_OPTIONS }, isChosen);
  task(stack, 'Task', SociImage.fromEcrRepository(repository, 'v1', image));
  const onPush = given(scope('OnPush'), ON_PUSH, isChosen);
  new SociIndexOnPush(stack, 'OnPushIndexes', { filters: ['app'], ...onPush });
  new SociStartTimes(stack, 'StartTimes', given(scope('Starts'), START_TIMES, isChosen));
}

const app = new App();
for (const region of REGIONS) {
  const env = { account: '111111111111', region };
  for (const [name, isChosen] of Object.entries(CHOICES)) {
    define(new Stack(app, `${region}-${name}`, { env }), isChosen);
  }
}
app.synth();
