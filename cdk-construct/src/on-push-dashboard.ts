// The dashboard of SociIndexOnPush: what became of pushed images, how long it took, and what failed.

import { Alarm, AlarmStatusWidget, Dashboard, GraphWidget, IMetric } from 'aws-cdk-lib/aws-cloudwatch';
import { Function } from 'aws-cdk-lib/aws-lambda';
import { Queue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { metricOf, OUTCOMES, searchOf } from './metrics';

export interface OnPushDashboardProps {
  readonly handler: Function;
  readonly queue: Queue;
  readonly alarm: Alarm;
}

const INDEXED = { Outcome: 'indexed' };

export function onPushDashboard(scope: Construct, { handler, queue, alarm }: OnPushDashboardProps): Dashboard {
  const seconds = (statistic: string): IMetric =>
    metricOf({ metricName: 'Seconds', statistic, dimensionsMap: INDEXED, label: statistic });
  const dashboard = new Dashboard(scope, 'Dashboard');
  dashboard.addWidgets(
    new GraphWidget({
      title: 'Pushed images by outcome',
      width: 12,
      stacked: true,
      left: OUTCOMES.map((Outcome) => metricOf({ metricName: 'Images', statistic: 'Sum', dimensionsMap: { Outcome }, label: Outcome })),
    }),
    new GraphWidget({
      title: 'Indexed images by repository',
      width: 12,
      stacked: true,
      left: [
        searchOf({ metricName: 'Images', statistic: 'Sum', dimensions: ['Repository', 'Outcome'], where: INDEXED, label: '' }),
      ],
    }),
  );
  dashboard.addWidgets(
    new GraphWidget({ title: 'Seconds to index an image', width: 12, left: [seconds('p50'), seconds('p90'), seconds('Maximum')] }),
    new GraphWidget({
      title: 'Bytes read',
      width: 12,
      left: [metricOf({ metricName: 'BytesRead', statistic: 'Sum', dimensionsMap: INDEXED, label: 'bytes' })],
    }),
  );
  dashboard.addWidgets(
    new AlarmStatusWidget({ title: 'Images that could not be indexed', width: 6, height: 6, alarms: [alarm] }),
    new GraphWidget({
      title: 'Failures',
      width: 9,
      left: [
        queue.metricApproximateNumberOfMessagesVisible({ label: 'in the queue' }),
        handler.metricErrors({ label: 'failed invocations' }),
        handler.metric('DestinationDeliveryFailures', { statistic: 'Sum', label: 'not delivered to the queue' }),
      ],
    }),
    new GraphWidget({
      title: 'Load',
      width: 9,
      left: [
        handler.metric('ConcurrentExecutions', { statistic: 'Maximum', label: 'at the same time' }),
        handler.metricThrottles({ label: 'throttled' }),
      ],
      right: [handler.metric('AsyncEventAge', { statistic: 'Maximum', label: 'oldest event (ms)' })],
    }),
  );
  return dashboard;
}
