// Log groups that are deleted with the stack. In: the retention and a key. Out: the log group; CloudWatch Logs
// may use the key.

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

/** CloudWatch Logs uses a key only if the key policy allows it (its user guide, "Encrypt log data"). */
function allowLogs(stack: Stack, key: IKey): void {
  // CloudFormation generates the log group's name after it has created the key.
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
