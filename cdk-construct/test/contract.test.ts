// The contract between releases: under which logical id the example app has which type of resource. A resource whose id or
// type changes is replaced in the stack of everybody who updates. In: the example, as the CLI runs it. `npm run contract`
// writes what is compared here, and the template that integ-tests/scripts/installed lets `cdk diff` compare.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'fs';
import { tmpdir } from 'os';
import { join } from 'path';
import type { Resource } from './template';

const CONTRACT = join(__dirname, 'contract');
const IDS = join(CONTRACT, 'ids.json');

interface Template {
  readonly Resources: Record<string, Resource>;
}

let template: Template;

beforeAll(() => {
  const out = mkdtempSync(join(tmpdir(), 'contract-'));
  process.env['CDK_OUTDIR'] = out;
  // An app of the CLI synthesizes when its process is about to end.
  jest.requireActual('../example/typescript/app');
  process.emit('beforeExit', 0);
  template = read(join(out, 'SociIndexExample.template.json')) as Template;
  rmSync(out, { recursive: true });
});

test('every resource of the example keeps its id and type', () => {
  const ids = Object.entries(template.Resources)
    // With the newest flags, a VPC brings what closes its default security group.
    .filter(([id]) => !/VpcRestrictDefaultS/.test(id))
    .map(([id, { Type }]) => [id, Type]);
  const found = Object.fromEntries(ids.sort()) as unknown;

  if (process.env['WRITE_CONTRACT'] === '1') {
    const { version } = read(join(__dirname, '..', 'package.json')) as { version: string };
    write(IDS, found);
    write(join(CONTRACT, `${version}.template.json`), template);
  }
  expect(found).toEqual(read(IDS));
});

function read(path: string): unknown {
  return JSON.parse(readFileSync(path, 'utf8'));
}

function write(path: string, value: unknown): void {
  writeFileSync(path, `${JSON.stringify(value, undefined, 2)}\n`);
}
