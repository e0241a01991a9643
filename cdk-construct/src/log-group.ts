// Log groups that end with the stack. In: how long lines are kept, and a key. Out: the group; where there is a key, CloudWatch
// Logs may use it.

import { ArnFormat, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { IKey } from 'aws-cdk-lib/aws-kms';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';

export interface LogSettings {
  readonly logRetention?: RetentionDays;
  readonly encryptionKey?: IKey;
}

export function logGroupIn(scope: Construct, { logRetention, encryptionKey }: LogSettings): LogGroup {
  if (encryptionKey !== undefined) {
    allowLogs(Stack.of(scope), encryptionKey);
  }
  return new LogGroup(scope, 'LogGroup', {
    retention: logRetention ?? RetentionDays.ONE_MONTH,
    removalPolicy: RemovalPolicy.DESTROY,
    encryptionKey,
  });
}

/** CloudWatch Logs uses a key only where the key's own policy says so (its user guide, "Encrypt log data"). */
function allowLogs(stack: Stack, key: IKey): void {
  // The name of the log group comes from CloudFormation, after the key.
  const anyGroup = stack.formatArn({
    service: 'logs',
    resource: 'log-group',
    resourceName: '*',
    arnFormat: ArnFormat.COLON_RESOURCE_NAME,
  });
  key.addToResourcePolicy(
    new PolicyStatement({
      principals: [new ServicePrincipal(`logs.${stack.region}.${stack.urlSuffix}`)],
      actions: ['kms:Decrypt*', 'kms:Describe*', 'kms:Encrypt*', 'kms:GenerateDataKey*', 'kms:ReEncrypt*'],
      resources: ['*'],
      conditions: { ArnLike: { 'kms:EncryptionContext:aws:logs:arn': anyGroup } },
    }),
  );
}
