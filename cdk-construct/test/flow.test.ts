// Data flows one way: which file may import which.

import { readdirSync, readFileSync } from 'fs';
import { basename, join } from 'path';

const ALLOWED: Record<string, string[]> = {
  'index': ['build-options', 'defaults', 'soci-image', 'soci-index-build', 'soci-index-v2-build'],
  'soci-image': [
    'image-asset',
    'image-id',
    'image-settings',
    'input-image',
    'lookups',
    'output-tag',
    'soci-index-v2-build',
    'stable-text',
    'task',
    'task-checks',
    'validate',
    'validate-build',
  ],
  'image-settings': [
    'build-options',
    'image-id',
    'output-tag',
    'plain',
    'soci-index-v2-build',
    'validate-build',
  ],
  'image-id': ['output-tag', 'plain', 'short-hash', 'soci-index-v2-build', 'stable-text'],
  'soci-index-v2-build': [
    'build-options',
    'defaults-of',
    'image-asset',
    'index-resource',
    'input-image',
    'lambda-functions',
    'lookups',
    'output-tag',
    'output-tags',
    'validate',
    'validate-build',
  ],
  'soci-index-build': [
    'build-options',
    'defaults-of',
    'image-asset',
    'index-resource',
    'input-image',
    'lookups',
    'validate',
    'validate-build',
    'warnings',
  ],
  'index-resource': [
    'build-options',
    'builder-project',
    'defaults-of',
    'image-asset',
    'input-image',
    'provider-function',
    'task',
    'task-checks',
    'validate-build',
    'warnings',
  ],
  'provider-function': [
    'assets',
    'attached-policy',
    'defaults-of',
    'log-group',
    'nag',
    'resources-of',
    'rights-policy',
    'role-rights',
  ],
  'defaults': ['build-options', 'defaults-of'],
  'defaults-of': ['build-options'],
  'log-group': [],
  'builder-project': ['assets', 'build-environment', 'build-options', 'build-role', 'log-group', 'nag', 'resources-of'],
  'build-environment': ['assets', 'build-options', 'short-hash', 'validate-build'],
  'build-role': ['attached-policy', 'nag', 'resources-of', 'rights-policy', 'role-rights'],
  'role-rights': ['lookups', 'policy-size', 'rights-policy', 'short-hash', 'stable-text'],
  'rights-policy': [],
  'policy-size': [],
  'resources-of': [],
  'stable-text': ['references'],
  'attached-policy': [],
  'nag': ['references'],
  'lambda-functions': ['references'],
  'references': [],
  'image-asset': ['references', 'validate'],
  'lookups': [],
  'output-tags': ['references', 'validate'],
  'task': [],
  'task-checks': ['lookups', 'task', 'warnings'],
  'warnings': [],
  'output-tag': ['build-options', 'input-image', 'lookups', 'short-hash', 'validate'],
  'validate-build': ['build-options', 'validate'],
  'input-image': ['validate'],
  'validate': ['build-options'],
  'build-options': [],
  'assets': [],
  'plain': [],
  'short-hash': [],
};

test('every file imports what it may, and nothing else', () => {
  const sources = join(__dirname, '..', 'src');
  const found = readdirSync(sources).map((file) => {
    const text = readFileSync(join(sources, file), 'utf8');
    const imports = [...text.matchAll(/from '\.\/([^']+)'/g)].map(([, name]) => name);
    return [basename(file, '.ts'), imports.sort()];
  });

  expect(Object.fromEntries(found)).toEqual(ALLOWED);
});
