// Runs after the last test file.

import { rmSync } from 'fs';

export default function (): void {
  rmSync(globalThis.temporaryFiles, { recursive: true });
}
