// A statement that allows actions on one resource.

import { PolicyStatement } from 'aws-cdk-lib/aws-iam';

export function allow(actions: string[], resource: string): PolicyStatement {
  return new PolicyStatement({ actions, resources: [resource] });
}
