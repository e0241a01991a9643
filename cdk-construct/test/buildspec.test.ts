// The buildspec as CodeBuild reads it: its shell text is run by a real bash, with a builder that prints its arguments.

import { spawnSync } from 'child_process';
import { chmodSync, cpSync, mkdtempSync, readFileSync, rmSync } from 'fs';
import { tmpdir } from 'os';
import { join } from 'path';
import { parse } from 'yaml';
import { SociIndexV2Build } from '../src';
import { onlyResource, repositoryIn, templateOf } from './template';

interface Project {
  readonly Artifacts: unknown;
  readonly Environment: unknown;
  readonly LogsConfig: unknown;
  readonly Source: { readonly Type: string; readonly Location: unknown; readonly BuildSpec: string };
  readonly QueuedTimeoutInMinutes: number;
  readonly TimeoutInMinutes: number;
}

interface Buildspec {
  readonly phases: { readonly build: { readonly commands: string[] } };
}

const project = onlyResource(
  templateOf((stack) => {
    new SociIndexV2Build(stack, 'Index', { repository: repositoryIn(stack), inputImageTag: 'v1' });
  }),
  'AWS::CodeBuild::Project',
).Properties as unknown as Project;
const buildspec = parse(project.Source.BuildSpec) as Buildspec;

test('the project runs it on a small machine without privileges, and ends before the provider gives up', () => {
  expect(project.Source).toMatchObject({
    Type: 'S3',
    Location: {
      'Fn::Join': ['', [{ 'Fn::Sub': expect.any(String) as unknown }, expect.stringMatching(/^\/[0-9a-f]{64}\.zip$/)]],
    },
  });
  expect(project).toMatchObject({
    Artifacts: { Type: 'NO_ARTIFACTS' },
    Environment: { ComputeType: 'BUILD_GENERAL1_SMALL', PrivilegedMode: false, Type: 'LINUX_CONTAINER' },
    LogsConfig: { CloudWatchLogs: { Status: 'ENABLED', GroupName: { Ref: expect.any(String) as unknown } } },
    QueuedTimeoutInMinutes: 5,
    TimeoutInMinutes: 45,
  });
});

test('it is one command of bash that exports one variable', () => {
  expect(buildspec).toEqual({
    version: 0.2,
    env: { shell: 'bash', 'exported-variables': ['SOCI_RESULT'] },
    phases: { build: { commands: [expect.any(String)] } },
  });
});

/** Whether CodeBuild's shell stops at the first command that fails is not documented: it must work both ways. */
describe.each([
  ['a shell that goes on after a failure', []],
  ['a shell that stops at a failure', ['-e']],
])('in %s', (_, flags) => {
  let directory: string;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'a build '));
    cpSync(join(__dirname, 'programs', 'soci-builder'), join(directory, 'soci-builder'));
    // An archive need not keep the run bit.
    chmodSync(join(directory, 'soci-builder'), 0o644);
  });

  afterEach(() => {
    rmSync(directory, { recursive: true });
  });

  function build(argumentLines: string[], status = 0): { status: number | null; stderr: string; result?: string } {
    const seen = join(directory, 'environment');
    // What a later command of the build would find in its environment.
    const script = `trap 'status=$?; env -0 >"$SEEN"; exit "$status"' EXIT\n${buildspec.phases.build.commands[0]}`;
    const run = spawnSync('bash', [...flags, '-c', script], {
      cwd: directory,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env['PATH'],
        CODEBUILD_SRC_DIR: directory,
        SEEN: seen,
        SOCI_ARGUMENTS: argumentLines.join('\n'),
        STAND_IN_STATUS: String(status),
      },
    });
    const variables = readFileSync(seen, 'utf8').split('\0');
    const name = 'SOCI_RESULT=';
    const result = variables.find((variable) => variable.startsWith(name))?.slice(name.length);
    return { status: run.status, stderr: run.stderr, result };
  }

  test('every argument is only a string', () => {
    const given = [
      'index',
      "--output-tag=it's",
      '--prefetch-file=/a "b" c',
      '--prefetch-file=$HOME ${HOME} $(touch harm) `touch harm`',
      '--prefetch-file=* ? [a-z] ~',
      '--prefetch-file=\\n \\',
      '--prefetch-file=; touch harm & | > harm',
      '--prefetch-file= leading, trailing\t ',
      '--prefetch-file=Grüße',
      '',
      '--json',
    ];

    const { status, result } = build(given);

    expect(result).toBe(`${given.length}${given.map((argument) => `[${argument}]`).join('')}`);
    expect(status).toBe(0);
    expect(spawnSync('ls', [directory], { encoding: 'utf8' }).stdout).not.toContain('harm');
  });

  test.each([0, 1, 2, 3, 101])('exit status %d is the build’s, and the result is exported all the same', (status) => {
    expect(build(['index'], status)).toEqual({ status, stderr: 'for the log only\n', result: '1[index]' });
  });

  test('a builder that is not there fails the build', () => {
    rmSync(join(directory, 'soci-builder'));

    const { status, stderr } = build(['index']);
    expect(status).not.toBe(0);
    expect(stderr).toContain('soci-builder');
  });
});
