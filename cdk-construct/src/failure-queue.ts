// Where events end that could not be processed, and the way back. In: the function's timeout and a key. Out: a queue; an alarm when
// there is something in it; the mapping, off until somebody turns it on, with which the function processes them again.

import { Duration, Stack } from 'aws-cdk-lib';
import { Alarm, ComparisonOperator, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { IKey } from 'aws-cdk-lib/aws-kms';
import { EventSourceMapping, IFunction } from 'aws-cdk-lib/aws-lambda';
import { ITopic } from 'aws-cdk-lib/aws-sns';
import { Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { acceptFindings } from './nag';
import { allow } from './statement';

/** The longest that SQS keeps a message. */
const RETENTION = Duration.days(14);

/** Of the function's timeout: what Lambda's developer guide asks of a queue that a function reads. */
const VISIBILITY_FACTOR = 6;

/** Of writing to and reading from an encrypted queue (SQS developer guide, "Key management"). */
const KEY_ACTIONS = ['kms:Decrypt', 'kms:GenerateDataKey'];

export function failureQueueIn(scope: Construct, functionTimeout: Duration, encryptionKey?: IKey): Queue {
  if (encryptionKey !== undefined) {
    allowEvents(Stack.of(scope), encryptionKey);
  }
  const queue = new Queue(scope, 'Queue', {
    retentionPeriod: RETENTION,
    visibilityTimeout: Duration.seconds(VISIBILITY_FACTOR * functionTimeout.toSeconds()),
    encryption: encryptionKey === undefined ? QueueEncryption.SQS_MANAGED : QueueEncryption.KMS,
    encryptionMasterKey: encryptionKey,
    enforceSSL: true,
  });
  acceptFindings(queue.node.defaultChild, [
    { id: 'AwsSolutions-SQS3', reason: 'It is where failed events end itself: Lambda and EventBridge send them here' },
  ]);
  return queue;
}

/** What the function's role needs: Lambda sends failed events with it, and reads them again. */
export function queueStatements(queue: Queue, encryptionKey?: IKey): PolicyStatement[] {
  return [
    allow(['sqs:DeleteMessage', 'sqs:GetQueueAttributes', 'sqs:ReceiveMessage', 'sqs:SendMessage'], queue.queueArn),
    ...(encryptionKey === undefined ? [] : [allow(KEY_ACTIONS, encryptionKey.keyArn)]),
  ];
}

/** Off: what has failed would mostly fail again, until somebody has removed the cause. */
export function redriveOf(scope: Construct, queue: Queue, target: IFunction): EventSourceMapping {
  return new EventSourceMapping(scope, 'Redrive', { target, eventSourceArn: queue.queueArn, enabled: false, batchSize: 1 });
}

export function alarmOn(scope: Construct, queue: Queue, topic?: ITopic): Alarm {
  const alarm = new Alarm(scope, 'Alarm', {
    alarmDescription:
      'Pushed images could not be indexed. Their events and the reasons are in the queue. Remove the cause, then let the function ' +
      'process them again (soci-index-build, ON-PUSH.md, "When the alarm goes off")',
    metric: queue.metricApproximateNumberOfMessagesVisible({ statistic: 'Maximum', period: Duration.minutes(1) }),
    comparisonOperator: ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
    threshold: 1,
    evaluationPeriods: 1,
    // SQS reports nothing about a queue that nobody has used for six hours.
    treatMissingData: TreatMissingData.NOT_BREACHING,
  });
  if (topic !== undefined) {
    alarm.addAlarmAction(new SnsAction(topic));
  }
  return alarm;
}

/** EventBridge sends what it could not hand to Lambda, with its own rights (its user guide, "Using dead-letter queues"). */
function allowEvents(stack: Stack, key: IKey): void {
  key.addToResourcePolicy(
    new PolicyStatement({
      principals: [new ServicePrincipal('events.amazonaws.com')],
      actions: KEY_ACTIONS,
      resources: ['*'],
      conditions: { StringEquals: { 'aws:SourceAccount': stack.account } },
    }),
  );
}
