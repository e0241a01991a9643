// `soci-docker` as npm installs it, with shell scripts as the program and as the container CLI.

import { spawn, spawnSync, SpawnSyncReturns } from 'child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'fs';
import { tmpdir } from 'os';
import { join } from 'path';
import { ModuleKind, ScriptTarget, transpileModule } from 'typescript';

const SOURCES = join(__dirname, '..', 'src', 'bin');
const ZIP_PROGRAM = join(__dirname, '..', 'scripts', 'zip-program');
const ARCHITECTURE = process.arch === 'arm64' ? 'aarch64' : 'x86_64';

let root: string;
let folder: string;

/** An executable script. */
function script(path: string, ...lines: string[]): void {
  writeFileSync(path, ['#!/bin/sh', ...lines, ''].join('\n'));
  chmodSync(path, 0o755);
}

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'package-'));
  mkdirSync(join(root, 'lib', 'bin'), { recursive: true });
  for (const source of readdirSync(SOURCES)) {
    const compilerOptions = { module: ModuleKind.CommonJS, target: ScriptTarget.ES2022 };
    const { outputText } = transpileModule(readFileSync(join(SOURCES, source), 'utf8'), { compilerOptions });
    writeFileSync(join(root, 'lib', 'bin', source.replace(/ts$/, 'js')), outputText, { mode: 0o755 });
  }
  script(join(root, 'program'), 'echo "program $0"; for a; do echo "[$a]"; done; exit 3');
  const zip = join(root, 'assets', 'builder', `${ARCHITECTURE}.zip`);
  spawnSync(ZIP_PROGRAM, [join(root, 'program'), 'soci-builder', zip]);
});

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'run-'));
  mkdirSync(join(folder, 'bin'));
  symlinkSync(join(root, 'lib', 'bin', 'soci-docker.js'), join(folder, 'bin', 'soci-docker'));
  symlinkSync(process.execPath, join(folder, 'bin', 'node'));
  script(join(folder, 'bin', 'docker'), 'echo docker; for a; do echo "[$a]"; done; cat; exit 5');
});

const own = (): string => join(folder, 'bin', 'soci-docker');

function environment(more: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return { PATH: `${join(folder, 'bin')}:/usr/bin:/bin`, HOME: folder, TMPDIR: '/dev/null', ...more };
}

function call(args: string[], env: NodeJS.ProcessEnv = {}): SpawnSyncReturns<string> {
  return spawnSync(own(), args, { encoding: 'utf8', env: environment(env), input: '' });
}

/** The program's copies in a folder. */
function copies(cache: string): string[] {
  if (!existsSync(cache)) return [];
  const files = readdirSync(cache, { recursive: true, encoding: 'utf8' }).map((file) => join(cache, file));
  return files.filter((file) => statSync(file).isFile());
}

test('what is no push goes to the container CLI, and nothing is written', () => {
  const { status, stdout, stderr } = spawnSync(own(), ['build', '--tag', 'a b', "it's"], {
    encoding: 'utf8',
    env: environment({}),
    input: 'input',
  });
  expect({ status, stdout, stderr }).toEqual({ status: 5, stdout: "docker\n[build]\n[--tag]\n[a b]\n[it's]\ninput", stderr: '' });
  expect(copies(join(folder, '.cache'))).toEqual([]);
});

test('a push goes to the program, which is written once, for this user only', () => {
  const cache = join(folder, '.cache', 'soci-index-build');
  const first = call(['push', 'a b']);
  const [copy, ...others] = copies(cache);
  const written = statSync(copy);
  const second = call(['image', 'push', 'x']);

  expect(first).toMatchObject({ status: 3, stdout: `program ${copy}\n[push]\n[a b]\n`, stderr: '' });
  expect(second).toMatchObject({ status: 3, stdout: `program ${copy}\n[image]\n[push]\n[x]\n`, stderr: '' });
  expect(copy).toMatch(/\/soci-docker$/);
  expect(others).toEqual([]);
  expect(statSync(copy)).toMatchObject({ ino: written.ino, mtimeMs: written.mtimeMs, mode: 0o100700 });
  expect(statSync(cache).mode & 0o777).toBe(0o700);
});

test('a copy that is not the package’s program is replaced', () => {
  call(['push', 'x']);
  const [copy] = copies(join(folder, '.cache'));
  writeFileSync(copy, '#!/bin/sh\necho another\n');
  expect(call(['push', 'x']).stdout).toContain('program ');
  expect(readFileSync(copy, 'utf8')).not.toContain('another');
});

test('XDG_CACHE_HOME, and else the folder for temporary files', () => {
  const [cache, temporary] = [join(folder, 'cache'), join(folder, 'temporary')];
  mkdirSync(temporary);
  call(['push', 'x'], { XDG_CACHE_HOME: cache });
  expect(copies(cache)).toHaveLength(1);

  const env = { XDG_CACHE_HOME: join(folder, 'bin', 'docker', 'none'), TMPDIR: temporary };
  expect(call(['push', 'x'], env)).toMatchObject({ status: 3, stderr: '' });
  expect(copies(temporary)).toHaveLength(1);
});

test('a folder that others can write to, or a link, is not trusted', () => {
  const cache = join(folder, '.cache', 'soci-index-build');
  mkdirSync(cache, { recursive: true });
  chmodSync(cache, 0o777);
  expect(call(['push', 'x'])).toMatchObject({ status: 5 });
  rmSync(cache, { recursive: true });
  mkdirSync(join(folder, 'elsewhere'));
  symlinkSync(join(folder, 'elsewhere'), cache);
  const { status, stderr } = call(['push', 'x']);
  expect(status).toBe(5);
  expect(stderr).toContain(`${cache} is not a folder that only this user can write to`);
});

describe('where the program cannot be had, the container CLI pushes', () => {
  const WARNING = 'soci-docker: warning: pushing without an index, which a deployment will build: ';

  /** Of a push that must succeed as the container CLI does; and of a strict one, which must not begin. */
  function pushes(reason: string, run: (env: NodeJS.ProcessEnv) => SpawnSyncReturns<string>): void {
    const { status, stdout, stderr } = run({});
    expect({ status, stdout }).toEqual({ status: 5, stdout: 'docker\n[push]\n[x]\n' });
    expect(stderr.startsWith(`${WARNING}${reason}`)).toBe(true);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
    expect(run({ SOCI_DOCKER_STRICT: '1' })).toMatchObject({ status: 1, stdout: '' });
  }

  test('on a machine that the package has no program for', () => {
    const zip = join(root, 'assets', 'builder', `${ARCHITECTURE}.zip`);
    const kept = readFileSync(zip);
    rmSync(zip);
    try {
      pushes(`this package has no program for linux on ${process.arch}`, (env) => call(['push', 'x'], env));
    } finally {
      writeFileSync(zip, kept);
    }
  });

  test('with a damaged package', () => {
    const zip = join(root, 'assets', 'builder', `${ARCHITECTURE}.zip`);
    const kept = readFileSync(zip);
    for (const damaged of [kept.subarray(0, 60), Buffer.alloc(0), Buffer.concat([Buffer.from('x'), kept])]) {
      writeFileSync(zip, damaged);
      try {
        pushes('', (env) => call(['push', 'x'], env));
      } finally {
        writeFileSync(zip, kept);
      }
    }
  });

  test('without a folder to write to', () => {
    pushes('cannot write its program: ', (env) => call(['push', 'x'], { XDG_CACHE_HOME: '/dev/null', ...env }));
  });

  test('on a full disk, of which nothing is kept', () => {
    // As where a disk is full, a write fails in the middle.
    const limit = `trap '' XFSZ; ulimit -f 0; exec "$0" "$@"`;
    pushes('cannot write its program: ', (env) =>
      spawnSync('bash', ['-c', limit, own(), 'push', 'x'], { encoding: 'utf8', env: environment(env), input: '' }),
    );
    expect(copies(join(folder, '.cache'))).toEqual([]);
  });

  test('and nobody reads the warning', () => {
    const env = environment({ XDG_CACHE_HOME: '/dev/null' });
    for (const redirection of ['2>/dev/full', '2>&-']) {
      const { status } = spawnSync('sh', ['-c', `"$0" push x ${redirection}`, own()], { env, input: '' });
      expect(status).toBe(5);
    }
  });
});

test('it ends by the signal that ends the other', () => {
  for (const signal of ['SIGKILL', 'SIGTERM', 'SIGINT', 'SIGSEGV', 'SIGHUP']) {
    script(join(folder, 'bin', 'docker'), `kill -${signal.slice(3)} $$`);
    expect(call(['ps'])).toMatchObject({ status: null, signal, stderr: '' });
  }
});

test.each(['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const)('%s is passed on', async (signal) => {
  const wait = `trap 'echo passed on; exit 6' ${signal.slice(3)}; mkfifo "$HOME/fifo"; exec 3<>"$HOME/fifo"`;
  script(join(folder, 'bin', 'docker'), wait, 'echo ready; while :; do read line <&3; done');
  // In a session of its own: no terminal has sent it.
  const running = spawn(own(), ['ps'], { env: environment({}), detached: true, stdio: ['ignore', 'pipe', 'inherit'] });
  let printed = '';
  running.stdout.setEncoding('utf8').on('data', (text: string) => {
    printed += text;
    if (printed === 'ready\n') running.kill(signal);
  });
  const code = await new Promise((resolve) => running.on('close', resolve));
  expect({ code, printed }).toEqual({ code: 6, printed: 'ready\npassed on\n' });
});

test('a container CLI that is not there, or cannot run, ends as in a shell', () => {
  const missing = call(['ps'], { SOCI_DOCKER: 'absent' });
  expect(missing.status).toBe(127);
  expect(missing.stderr).toMatch(/^soci-docker: cannot run absent: /);
  writeFileSync(join(folder, 'plain'), '');
  expect(call(['ps'], { SOCI_DOCKER: join(folder, 'plain') }).status).toBe(126);
});

test('it does not call itself for ever', () => {
  rmSync(join(folder, 'bin', 'docker'));
  symlinkSync(own(), join(folder, 'bin', 'docker'));
  for (const cli of ['', 'soci-docker', own()]) {
    const { status, stderr } = call(['ps'], { SOCI_DOCKER: cli });
    expect(status).toBe(126);
    expect(stderr).toMatch(/^soci-docker: it calls itself; set SOCI_DOCKER/);
  }
});
