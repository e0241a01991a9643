// An app whose stacks have every property of every construct, in a region of each partition: for scripts/check-templates.

import { App, Stack } from 'aws-cdk-lib';
import { Construct } from 'constructs';
import { SociImage, SociIndexBuild, SociIndexV2Build } from 'soci-index-build';
import { OPTIONS, Row, V1, V2, V2_OPTIONS } from './every-property';
import { task } from './task-images';
import { repositoryIn } from './template';

const REGIONS = ['us-east-1', 'cn-north-1', 'us-gov-west-1'];

/** Properties that exclude one of the others. */
const APART = ['imageDigest', 'inputImageDigest', 'lambdaComputeType', 'logRetention', 'waitForIndex'];

/** What the rows give, all of it at once. */
function given<Props>(scope: Construct, rows: Record<string, Row<Props>>, areApart: boolean): Partial<Props> {
  const chosen = Object.entries(rows).filter(([name]) => APART.includes(name) === areApart);
  const all = chosen.map(([name, row]) =>
    typeof row.given === 'function' ? row.given(new Construct(scope, name)) : row.given,
  );
  return Object.assign({}, ...all) as Partial<Props>;
}

function define(stack: Stack, areApart: boolean): void {
  const repository = repositoryIn(stack);
  const scope = (id: string): Construct => new Construct(stack, id);
  const v2 = given(scope('V2'), { ...OPTIONS, ...V2_OPTIONS, ...V2 }, areApart);
  new SociIndexV2Build(stack, 'V2Index', { repository, inputImageTag: 'v1', ...v2 });
  const v1 = given(scope('V1'), { ...OPTIONS, ...V1 }, areApart);
  new SociIndexBuild(stack, 'V1Index', { repository, imageTag: 'v1', ...v1 });
  const image = given(scope('Image'), { ...OPTIONS, ...V2_OPTIONS }, areApart);
  task(stack, 'Task', SociImage.fromEcrRepository(repository, 'v1', image));
}

const app = new App();
for (const region of REGIONS) {
  const env = { account: '111111111111', region };
  define(new Stack(app, `${region}-together`, { env }), false);
  define(new Stack(app, `${region}-apart`, { env }), true);
}
app.synth();
