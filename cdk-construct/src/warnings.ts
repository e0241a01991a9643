// Warnings that can be acknowledged. In: a construct, the warning's id and its message. Out: an annotation, which the CLI prints.

import { Annotations } from 'aws-cdk-lib';
import { IConstruct } from 'constructs';

/** Ids for `Annotations.of(scope).acknowledgeWarning`; must not change. */
export type WarningId = 'soci-index-build:version1' | 'soci-index-build:noInternet' | 'soci-index-build:notFargate';

export function warn(scope: IConstruct, id: WarningId, message: string): void {
  // Not in the oldest supported aws-cdk-lib.
  const annotations: Annotations & { addWarningV2?(id: string, message: string): void } = Annotations.of(scope);
  if (annotations.addWarningV2 === undefined) {
    annotations.addWarning(message);
  } else {
    annotations.addWarningV2(id, message);
  }
}
