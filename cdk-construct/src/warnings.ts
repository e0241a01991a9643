// Warnings that can be acknowledged. In: a construct, the warning's id and its words. Out: an annotation, which the CLI prints.

import { Annotations } from 'aws-cdk-lib';
import { IConstruct } from 'constructs';

/** What users give to `Annotations.of(scope).acknowledgeWarning`: never changes. */
export type WarningId = 'soci-index-build:version1' | 'soci-index-build:noInternet' | 'soci-index-build:notFargate';

export function warn(scope: IConstruct, id: WarningId, message: string): void {
  // Newer than the oldest aws-cdk-lib that we work with, which knows no ids.
  const annotations: Annotations & { addWarningV2?(id: string, message: string): void } = Annotations.of(scope);
  if (annotations.addWarningV2 === undefined) {
    annotations.addWarning(message);
  } else {
    annotations.addWarningV2(id, message);
  }
}
