// The two programs of this package, and their architecture. scripts/assets puts each of them into a zip; a published package
// contains the zips. They are zipped in advance because the CLI would zip a folder with whatever file modes the installation
// produced, and a folder's hash does not cover modes.

import { existsSync } from 'fs';
import { join } from 'path';

/** The architecture of the machines that run the programs, not of the image. */
export type ProgramArchitecture = 'x86_64' | 'aarch64';

/** A package contains one of them. */
const ARCHITECTURES: ProgramArchitecture[] = ['x86_64', 'aarch64'];

/** The architecture for which the package was built. */
export function programArchitecture(): ProgramArchitecture {
  return ARCHITECTURES.find((each) => existsSync(pathOf('provider', each))) ?? ARCHITECTURES[0];
}

/** The zip with the provider function's code: `bootstrap`. */
export function providerZip(): string {
  return zipOf('provider');
}

/** The zip with the build's source: `soci-builder`. */
export function builderZip(): string {
  return zipOf('builder');
}

function zipOf(part: string): string {
  const zip = pathOf(part, programArchitecture());
  if (!existsSync(zip)) {
    throw new Error(
      `soci-index-build: program '${zip}' not found. If the app is bundled, exclude this package from the bundle ` +
        `(esbuild: --external:soci-index-build). In a checkout, build the programs and run 'scripts/assets' in cdk-construct.`,
    );
  }
  return zip;
}

function pathOf(part: string, architecture: ProgramArchitecture): string {
  return join(__dirname, '..', 'assets', part, `${architecture}.zip`);
}
