#!/usr/bin/env node
// `soci-docker` of the npm package: a container CLI that indexes what it pushes. In: the arguments of a container CLI. Out: what the program
// in this package does with them if they may push; otherwise, or if this machine cannot run it, what the container CLI itself does.

import { errorMessage, readProgram } from './program';
import { run } from './run';

const VARIABLE = 'SOCI_DOCKER';
// Of the CLI that we call ourselves: where it is we again, by whatever links and scripts, this would never end.
const CALLED = 'SOCI_DOCKER_CALLED';

function say(text: string): void {
  process.stderr.write(`soci-docker: ${text}\n`);
}

function main(args: string[]): void {
  if (process.env[CALLED] !== undefined) {
    say(`it calls itself; set ${VARIABLE} to the container CLI that shall run: docker, podman, finch, nerdctl or buildah, or its path`);
    process.exitCode = 126;
    return;
  }
  const cli = process.env[VARIABLE]?.length ? process.env[VARIABLE] : 'docker';
  const call = (): void => {
    run(cli, args, { ...process.env, [CALLED]: '1' }, say);
  };
  // Whether an argument is the command, the program knows.
  if (!args.includes('push')) {
    call();
    return;
  }
  let program: string;
  try {
    program = readProgram();
  } catch (error) {
    const reason = errorMessage(error);
    if (!['', '0', 'false'].includes(process.env['SOCI_DOCKER_STRICT'] ?? '')) {
      say(`not pushed: ${reason}`);
      process.exitCode = 1;
      return;
    }
    say(`warning: pushing without an index, which a deployment will build: ${reason}`);
    call();
    return;
  }
  run(program, args, process.env, say);
}

process.stderr.on('error', () => {
  // Nobody reads it, or the disk is full: what was to be said is lost, no more.
});
main(process.argv.slice(2));
