// Runs before the first test file: a folder of the run's own for temporary files, because aws-cdk-lib never removes the
// assembly that it writes for each App.

import { mkdtempSync } from 'fs';
import { tmpdir } from 'os';
import { join } from 'path';

export default function (): void {
  const folder = mkdtempSync(join(tmpdir(), 'soci-index-build-'));
  process.env['TMPDIR'] = folder;
  globalThis.temporaryFiles = folder;
}
