// Where the two programs of this package are, and for which machines. They are built from Rust and copied here by
// scripts/assets; a published package carries them.

import { existsSync } from 'fs';
import { join } from 'path';

/** Of the machines that run the programs; that of the image does not matter. */
export type ProgramArchitecture = 'x86_64' | 'aarch64';

/** A package has one of them. */
const ARCHITECTURES: ProgramArchitecture[] = ['x86_64', 'aarch64'];

/** The architecture that the package was made for. */
export function programArchitecture(): ProgramArchitecture {
  return ARCHITECTURES.find((each) => existsSync(join(pathOf('provider', each), 'bootstrap'))) ?? ARCHITECTURES[0];
}

/** The directory that is the code of the provider function: `bootstrap`. */
export function providerDirectory(): string {
  return directoryOf('provider', 'bootstrap');
}

/** The directory that is the source of the build: `soci-builder`. */
export function builderDirectory(): string {
  return directoryOf('builder', 'soci-builder');
}

function directoryOf(part: string, program: string): string {
  const directory = pathOf(part, programArchitecture());
  if (!existsSync(join(directory, program))) {
    throw new Error(
      `soci-index-build: the program '${join(directory, program)}' is missing. A published package has it; ` +
        `in a checkout, build the programs and run 'scripts/assets' in cdk-construct.`,
    );
  }
  return directory;
}

function pathOf(part: string, architecture: ProgramArchitecture): string {
  return join(__dirname, '..', 'assets', part, architecture);
}
