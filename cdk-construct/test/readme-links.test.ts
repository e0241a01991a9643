// Links between the documents lead to files and headings that are there, and so do those to this repository's own address.

import { existsSync, readFileSync } from 'fs';
import { dirname, join } from 'path';

const ROOT = join(__dirname, '..', '..');
const { repository } = JSON.parse(readFileSync(join(__dirname, '..', 'package.json'), 'utf8')) as Package;
const RAW = `${repository.url.replace('github.com', 'raw.githubusercontent.com').replace(/\.git$/, '')}/main/`;
const DOCUMENTS = [
  '.github/SECURITY.md',
  'README.md',
  'cdk-construct/README.md',
  'cdk-construct/CONTRIBUTING.md',
  'cdk-construct/MIGRATION.md',
  'cdk-construct/ON-PUSH.md',
  'cdk-construct/SOCI-DOCKER.md',
  'cdk-construct/TROUBLESHOOTING.md',
  'provider/README.md',
  'builder/README.md',
  'integ-tests/README.md',
];

interface Package {
  readonly repository: { readonly url: string };
}

function read(document: string): string {
  return readFileSync(join(ROOT, document), 'utf8').replace(/^```.*?^```$/gms, '');
}

/** The fragments of a document, as GitHub makes them of headings. */
function fragmentsOf(document: string): string[] {
  return [...read(document).matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
    heading
      .toLowerCase()
      .replace(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );
}

function linksOf(document: string): string[] {
  const links = [...read(document).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link]) => link);
  return links.filter((link) => link.startsWith(RAW) || !link.startsWith('https:'));
}

test.each(DOCUMENTS.flatMap((document) => linksOf(document).map((link) => [document, link])))(
  '%s: %s',
  (document, link) => {
    const [path, fragment] = link.replace(RAW, '/').split('#');
    const target = path === '' ? document : path.startsWith('/') ? path : join(dirname(document), path);
    expect(existsSync(join(ROOT, target))).toBe(true);
    if (link.includes('#')) {
      expect(fragmentsOf(target)).toContain(fragment);
    }
  },
);

test('the picture is where npm and PyPI find it', () => {
  expect(linksOf('cdk-construct/README.md')).toContain(`${RAW}cdk-construct/flow.svg`);
});
