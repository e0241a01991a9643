// Where the two programs of this package are, and for which machines. They are built from Rust, and scripts/assets puts
// each into a zip here; a published package carries them. Ready zips, because the CLI would zip a folder with the modes
// that an installation left, and the hash of a folder does not see modes.

import { existsSync } from 'fs';
import { join } from 'path';

/** Of the machines that run the programs; that of the image does not matter. */
export type ProgramArchitecture = 'x86_64' | 'aarch64';

/** A package has one of them. */
const ARCHITECTURES: ProgramArchitecture[] = ['x86_64', 'aarch64'];

/** The architecture that the package was made for. */
export function programArchitecture(): ProgramArchitecture {
  return ARCHITECTURES.find((each) => existsSync(pathOf('provider', each))) ?? ARCHITECTURES[0];
}

/** The zip that is the code of the provider function: `bootstrap`. */
export function providerZip(): string {
  return zipOf('provider');
}

/** The zip that is the source of the build: `soci-builder`. */
export function builderZip(): string {
  return zipOf('builder');
}

function zipOf(part: string): string {
  const zip = pathOf(part, programArchitecture());
  if (!existsSync(zip)) {
    throw new Error(
      `soci-index-build: the program '${zip}' is missing. A published package has it: an app that is bundled must leave ` +
        `this package out of the bundle (esbuild: --external:soci-index-build). In a checkout, build the programs and ` +
        `run 'scripts/assets' in cdk-construct.`,
    );
  }
  return zip;
}

function pathOf(part: string, architecture: ProgramArchitecture): string {
  return join(__dirname, '..', 'assets', part, `${architecture}.zip`);
}
