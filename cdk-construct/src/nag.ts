// Suppresses cdk-nag findings. In: a resource, the rule, and the reason. Out: the resource's metadata as
// cdk-nag 2 and 3 read it, without a dependency on cdk-nag.

import { CfnResource, Stack } from 'aws-cdk-lib';
import { IConstruct } from 'constructs';
import { textOf } from './references';

/** Version 3 reads this from the construct (`Validations.ACKNOWLEDGED_RULES_METADATA_KEY`, aws-cdk-lib 2.257 and newer). */
const ACKNOWLEDGED_RULES = 'aws:cdk:acknowledged-rules';

export interface Finding {
  readonly id: string;
  readonly reason: string;
  /** The part of the resource, if a rule can have several findings. */
  readonly appliesTo?: string[];
}

/** Must be called once per resource. A construct without a resource has no findings. */
export function acceptFindings(resource: IConstruct | undefined, findings: Finding[]): void {
  if (resource === undefined || !CfnResource.isCfnResource(resource)) {
    return;
  }
  resource.addMetadata('cdk_nag', {
    rules_to_suppress: findings.map(({ id, reason, appliesTo }) => ({ id, reason, applies_to: appliesTo })),
  });
  const ids = findings.flatMap(({ id, reason, appliesTo }) =>
    (appliesTo?.map((about) => `${id}[${about}]`) ?? [id]).map((each) => [each, reason]),
  );
  resource.node.addMetadata(ACKNOWLEDGED_RULES, Object.fromEntries(ids));
}

/** A resource of a policy, in the notation of `appliesTo`. */
export function resourceFinding(stack: Stack, arn: string): string {
  return `Resource::${textOf(stack.resolve(arn)).replace(/\$\{([^}]*)\}/g, '<$1>')}`;
}
