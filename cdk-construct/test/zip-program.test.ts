// The zips of the programs: what scripts/zip-program makes is startable for everybody, and the same wherever it is made.

import { execFileSync } from 'child_process';
import { chmodSync, mkdtempSync, readFileSync, statSync, utimesSync, writeFileSync } from 'fs';
import { tmpdir } from 'os';
import { join } from 'path';

const directory = mkdtempSync(join(tmpdir(), 'zip-'));
const program = join(directory, 'built');

/** Zips the program as it stands there, with a umask; the bytes of the zip. */
function zipped(umask: string, name = 'bootstrap', zip = join(directory, `${umask}-${name}`, 'x86_64.zip')): Buffer {
  const script = join(__dirname, '..', 'scripts', 'zip-program');
  execFileSync('bash', ['-c', `umask ${umask}; "$0" "$@"`, script, program, name, zip]);
  return readFileSync(zip);
}

/** What unzips look at: the entry in the central directory (APPNOTE.TXT, 4.3.12), of the only file. */
function entryOf(zip: Buffer): { name: string; system: number; mode: string; date: number; time: number } {
  const signature = Buffer.from('PK\x01\x02');
  const at = zip.indexOf(signature);
  expect(zip.indexOf(signature, at + 1)).toBe(-1);
  return {
    name: zip.toString('utf8', at + 46, at + 46 + zip.readUInt16LE(at + 28)),
    system: zip.readUInt8(at + 5),
    mode: (zip.readUInt32LE(at + 38) >>> 16).toString(8),
    time: zip.readUInt16LE(at + 12),
    date: zip.readUInt16LE(at + 14),
  };
}

beforeEach(() => {
  writeFileSync(program, '#!/bin/sh\n');
  chmodSync(program, 0o700);
});

test('a program in a zip is a file of Unix that everybody can read and run, of a fixed time', () => {
  const first = 1 + (1 << 5); // January 1, in 1980, which is 0.
  const fixed = { system: 3, mode: '100755', time: 0, date: first };

  expect(entryOf(zipped('077'))).toEqual({ name: 'bootstrap', ...fixed });
  expect(entryOf(zipped('077', 'soci-builder'))).toEqual({ name: 'soci-builder', ...fixed });
});

test('neither umask nor mode nor time of the program is in the bytes', () => {
  const zip = zipped('077');
  chmodSync(program, 0o644);
  utimesSync(program, 0, 0);

  expect(zipped('022').equals(zip)).toBe(true);
});

test('a zip that holds the program is not touched; one that does not is made anew', () => {
  const zip = join(directory, 'once', 'x86_64.zip');
  zipped('022', 'bootstrap', zip);
  utimesSync(zip, 1, 1);
  zipped('022', 'bootstrap', zip);
  expect(statSync(zip).mtimeMs).toBe(1000);

  for (const other of ['#!/bin/bash\n', '']) {
    writeFileSync(program, other);
    utimesSync(zip, 1, 1);
    zipped('022', 'bootstrap', zip);
    expect(statSync(zip).mtimeMs).toBeGreaterThan(1000);
  }
  writeFileSync(zip, 'broken off');
  expect(entryOf(zipped('022', 'bootstrap', zip)).name).toBe('bootstrap');
});
