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
    QueuedTimeoutInMinutes: 30,
    TimeoutInMinutes: 20,
  });
});

test('it exports one variable in a command of bash that succeeds, and fails in the next', () => {
  expect(buildspec).toEqual({
    version: 0.2,
    env: { shell: 'bash', 'exported-variables': ['SOCI_RESULT'] },
    phases: { build: { commands: [expect.any(String), '(exit "$SOCI_STATUS")'] } },
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

  interface Built {
    readonly status: number | null;
    readonly stderr: string;
    readonly result?: string;
  }

  /** Runs the commands as CodeBuild does: one after the other, each with what the one before it has exported, if that succeeded. */
  function build(given: string[], status = 0): Built {
    let environment: Record<string, string | undefined> = {
      PATH: process.env['PATH'],
      CODEBUILD_SRC_DIR: directory,
      STAND_IN_STATUS: String(status),
      ...variablesOf(given),
    };
    let stderr = '';
    for (const command of buildspec.phases.build.commands) {
      const seen = join(directory, 'environment');
      const script = `trap 'status=$?; env -0 >"$SEEN"; exit "$status"' EXIT\n${command}`;
      const run = spawnSync('bash', [...flags, '-c', script], {
        cwd: directory,
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { ...environment, SEEN: seen },
      });
      stderr += run.stderr;
      if (run.status !== 0) {
        return { status: run.status, stderr, result: environment['SOCI_RESULT'] };
      }
      const left = readFileSync(seen, 'utf8').split('\0').filter((variable) => variable !== '');
      environment = Object.fromEntries(left.map((variable) => variable.split(/=(.*)/su).slice(0, 2) as [string, string]));
    }
    return { status: 0, stderr, result: environment['SOCI_RESULT'] };
  }

  /** As the provider does it: percent-encoded, with commas in between, at most 4,096 characters a variable. */
  function variablesOf(given: string[]): Record<string, string> {
    const other = /[^A-Za-z0-9._/:@=-]/gu;
    const encode = (text: string): string =>
      [...Buffer.from(text)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('');
    const text = given.map((argument) => argument.replace(other, encode)).join(',');
    const parts = text.match(/.{1,4096}/gu) ?? [];
    return Object.fromEntries(parts.map((part, at) => [at === 0 ? 'SOCI_ARGUMENTS' : `SOCI_ARGUMENTS_${at + 1}`, part]));
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
      '--prefetch-file=Grüße, %41 %',
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

  test('as many arguments as the variables of a build hold', () => {
    const given = ['index', ...Array.from({ length: 700 }, (_, at) => `--prefetch-file=/a file/of ${at}`), '--json'];

    expect(Object.keys(variablesOf(given))).toContain('SOCI_ARGUMENTS_6');
    expect(build(given).result).toBe(`${given.length}${given.map((argument) => `[${argument}]`).join('')}`);
  });

  test('a builder that is not there fails the build', () => {
    rmSync(join(directory, 'soci-builder'));

    const { status, stderr } = build(['index']);
    expect(status).not.toBe(0);
    expect(stderr).toContain('soci-builder');
  });
});
