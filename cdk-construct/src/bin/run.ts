// Runs another program in place of this one, as far as Node can. In: the program and its arguments. Out: this process ends as the program
// does.

import { spawn } from 'child_process';
import { readFileSync } from 'fs';
import { constants } from 'os';

const SIGNALS: NodeJS.Signals[] = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM'];

export function run(program: string, args: string[], env: NodeJS.ProcessEnv, say: (text: string) => void): void {
  const child = spawn(program, args, { stdio: 'inherit', env });
  const listeners = SIGNALS.map((signal) => {
    const listener = (): void => {
      if (!reachesChild(signal)) child.kill(signal);
    };
    process.on(signal, listener);
    return { signal, listener };
  });
  child.on('error', (error: NodeJS.ErrnoException) => {
    say(`cannot run ${program}: ${error.message}`);
    // As a shell says it.
    process.exitCode = error.code === 'ENOENT' ? 127 : 126;
  });
  child.on('exit', (code, signal) => {
    for (const { signal: name, listener } of listeners) process.off(name, listener);
    process.exitCode = code ?? 128 + constants.signals[signal ?? 'SIGTERM'];
    if (signal !== null) process.kill(process.pid, signal);
  });
}

/** A terminal sends Ctrl-C to the whole foreground group, and so to the program. */
function reachesChild(signal: NodeJS.Signals): boolean {
  if (signal !== 'SIGINT' && signal !== 'SIGQUIT') return false;
  try {
    // proc(5): behind the name in parentheses come state, parent, group, session, terminal, and the terminal's foreground group.
    const fields = readFileSync('/proc/self/stat', 'utf8').split(') ').pop()?.split(' ') ?? [];
    return fields[2] === fields[5];
  } catch {
    return process.stdin.isTTY;
  }
}
