// Where the two programs of this package are. They are built from Rust and copied here by scripts/assets; a published
// package carries them.

import { existsSync } from 'fs';
import { join } from 'path';

/** The architecture of the machines that run the programs; that of the image does not matter. */
const ARCHITECTURE = 'x86_64';

/** The directory that is the code of the provider function: `bootstrap`. */
export function providerDirectory(): string {
  return directoryOf('provider', 'bootstrap');
}

/** The directory that is the source of the build: `soci-builder`. */
export function builderDirectory(): string {
  return directoryOf('builder', 'soci-builder');
}

function directoryOf(part: string, program: string): string {
  const directory = join(__dirname, '..', 'assets', part, ARCHITECTURE);
  if (!existsSync(join(directory, program))) {
    throw new Error(
      `soci-index-build: the program '${join(directory, program)}' is missing. A published package has it; ` +
        `in a checkout, build the programs and run 'scripts/assets' in cdk-construct.`,
    );
  }
  return directory;
}
