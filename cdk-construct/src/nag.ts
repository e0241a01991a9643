// Findings of cdk-nag that are right as they are. In: a resource, the rule, and the reason. Out: the resource's metadata as
// cdk-nag reads it, so that this library does not need it and its users have nothing to suppress.

import { CfnResource } from 'aws-cdk-lib';
import { IConstruct } from 'constructs';

export interface Finding {
  readonly id: string;
  readonly reason: string;
  /** What of the resource it is about, where a rule can be about several things. */
  readonly appliesTo?: string[];
}

/** To be called once for each resource. A construct without a resource has no findings. */
export function acceptFindings(resource: IConstruct | undefined, findings: Finding[]): void {
  if (resource === undefined || !CfnResource.isCfnResource(resource)) {
    return;
  }
  resource.addMetadata('cdk_nag', {
    rules_to_suppress: findings.map(({ id, reason, appliesTo }) => ({ id, reason, applies_to: appliesTo })),
  });
}
