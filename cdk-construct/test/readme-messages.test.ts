// Messages that the documentation quotes are those of the sources, so that they can be found by searching for them.

import { readdirSync, readFileSync } from 'fs';
import { join } from 'path';

const ROOT = join(__dirname, '..', '..');
const SOURCES = ['cdk-construct/src', 'provider/src', 'builder/src', 'builder/format/src', 'builder/store/src', 'builder/index/src'];

/** Lines of the blocks that are marked as `text`; `…` stands for a value. */
function quotedIn(document: string): string[] {
  const text = readFileSync(join(__dirname, '..', document), 'utf8');
  const blocks = [...text.matchAll(/^```text\n(.*?)^```$/gms)].map(([, block]) => block);
  return blocks.flatMap((block) => block.trimEnd().split('\n'));
}

/** A source without comments and tests, with its broken strings in one piece and `…` for each value that is put into them. */
function messagesOf(file: string): string {
  const text = readFileSync(join(ROOT, file), 'utf8')
    .replace(/^#\[cfg\(test\)\]\nmod tests .*/ms, '')
    .replace(/^\s*\/\/.*$/gm, '');
  return file.endsWith('.rs') ? ofRust(text) : ofTypeScript(text);
}

function ofRust(text: string): string {
  return text.replace(/\\\n\s*/g, '').replace(/\{\w*(:\?)?\}/g, '…');
}

function ofTypeScript(text: string): string {
  const constants = new Map([...text.matchAll(/^const ([A-Z_]+) = '(.*)';$/gm)].map(([, name, value]) => [name, value]));
  return text
    .replace(/(['"`]) \+\s+(['"`])/g, '')
    .replace(/\$\{([A-Z_]+)\}/g, (whole, name: string) => constants.get(name) ?? whole)
    .replace(/\$\{[^{}]*\}/g, '…');
}

const MESSAGES = SOURCES.flatMap((directory) =>
  readdirSync(join(ROOT, directory), { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.(rs|ts)$/.test(file) && !file.endsWith('tests.rs'))
    .map((file) => messagesOf(join(directory, file))),
);

test.each(quotedIn('TROUBLESHOOTING.md'))('a source says: %s', (message) => {
  expect(MESSAGES.filter((text) => text.includes(message))).not.toHaveLength(0);
});
