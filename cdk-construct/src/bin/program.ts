// The program for this machine, as a file that can be run. In: the package's zip. Out: a path in a folder of the user's own. What is there is
// compared with the package at each use, and written again where it differs.

import { createHash, randomBytes } from 'crypto';
import { existsSync, lstatSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'fs';
import { homedir, tmpdir } from 'os';
import { join } from 'path';
import { inflateRawSync } from 'zlib';

/** Its own name among programs: it does by that what it is called for. */
const NAME = 'soci-docker';

/** By Node's names of processors. */
const ARCHITECTURES: Partial<Record<NodeJS.Architecture, string>> = { x64: 'x86_64', arm64: 'aarch64' };

/** Where the program is; throws if this machine cannot run it. */
export function readProgram(): string {
  const program = unzip(readFileSync(zipOfMachine()));
  const digits = createHash('sha256').update(program).digest('hex').slice(0, 16);
  const failures: string[] = [];
  for (const folder of folders()) {
    try {
      return put(program, join(folder, digits));
    } catch (error) {
      failures.push(errorMessage(error));
    }
  }
  throw new Error(`cannot write its program: ${failures.join('; ')}`);
}

export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function zipOfMachine(): string {
  const architecture = ARCHITECTURES[process.arch];
  const zip = join(__dirname, '..', '..', 'assets', 'builder', `${architecture ?? process.arch}.zip`);
  if (process.platform !== 'linux' || !existsSync(zip)) {
    throw new Error(`this package has no program for ${process.platform} on ${process.arch}`);
  }
  return zip;
}

/** The only file of a zip that scripts/zip-program has made: one local header, then the deflated bytes. */
export function unzip(zip: Buffer): Buffer {
  const [method, size, uncompressedSize] = [zip.readUInt16LE(8), zip.readUInt32LE(18), zip.readUInt32LE(22)];
  const start = 30 + zip.readUInt16LE(26) + zip.readUInt16LE(28);
  if (zip.readUInt32LE(0) !== 0x04034b50 || method !== 8) {
    throw new Error('the zip of its program is damaged: reinstall the package');
  }
  const file = inflateRawSync(zip.subarray(start, start + size));
  if (file.length !== uncompressedSize) {
    throw new Error('the zip of its program is damaged: reinstall the package');
  }
  return file;
}

/** The user's folder for what can be made again; where that cannot be written, one that others can see, but not write to. */
function folders(): string[] {
  const cache = process.env['XDG_CACHE_HOME'];
  return [
    join(cache !== undefined && cache !== '' ? cache : join(homedir(), '.cache'), 'soci-index-build'),
    join(tmpdir(), `soci-index-build-${String(process.getuid?.())}`),
  ];
}

function put(program: Buffer, folder: string): string {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  checkOwner(join(folder, '..'));
  checkOwner(folder);
  const path = join(folder, NAME);
  if (existsSync(path) && readFileSync(path).equals(program)) {
    return path;
  }
  // Another process may run it, or write it too.
  const temporary = `${path}.${randomBytes(8).toString('hex')}`;
  try {
    writeFileSync(temporary, program, { flag: 'wx', mode: 0o700 });
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  return path;
}

/** What others may write to, they may have written. */
function checkOwner(folder: string): void {
  const { mode, uid } = lstatSync(folder);
  const isFolder = (mode & 0o170000) === 0o040000;
  if (!isFolder || uid !== process.getuid?.() || (mode & 0o022) !== 0) {
    throw new Error(`${folder} is not a folder that only this user can write to`);
  }
}
