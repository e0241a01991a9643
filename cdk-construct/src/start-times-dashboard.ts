// The dashboard of SociStartTimes: seconds to pull and to start, with and without an index.

import { Dashboard, GraphWidget, IMetric } from 'aws-cdk-lib/aws-cloudwatch';
import { Construct } from 'constructs';
import { metricOf, searchOf } from './metrics';

/** Whether the image of a container has an index: by its version, not at all, or not known. */
const INDEXED = ['v2', 'v1', 'none', 'unknown'];

export function startTimesDashboard(scope: Construct): Dashboard {
  const dashboard = new Dashboard(scope, 'Dashboard');
  dashboard.addWidgets(
    new GraphWidget({ title: 'Seconds to start, by index (median)', width: 12, left: byIndex('StartSeconds', 'p50') }),
    new GraphWidget({ title: 'Seconds to start, by index (90 % are below)', width: 12, left: byIndex('StartSeconds', 'p90') }),
  );
  dashboard.addWidgets(
    new GraphWidget({ title: 'Seconds to pull, by index (median)', width: 12, left: byIndex('PullSeconds', 'p50') }),
    new GraphWidget({ title: 'Containers started, by index', width: 12, stacked: true, left: byIndex('StartSeconds', 'SampleCount') }),
  );
  dashboard.addWidgets(
    new GraphWidget({ title: 'Seconds to start, by task family (median)', width: 12, left: [byFamily('StartSeconds')] }),
    new GraphWidget({ title: 'Seconds to pull, by task family (median)', width: 12, left: [byFamily('PullSeconds')] }),
  );
  return dashboard;
}

function byIndex(metricName: string, statistic: string): IMetric[] {
  return INDEXED.map((Indexed) => metricOf({ metricName, statistic, dimensionsMap: { Indexed }, label: Indexed }));
}

function byFamily(metricName: string): IMetric {
  return searchOf({ metricName, statistic: 'p50', dimensions: ['TaskFamily', 'Indexed'], label: '' });
}
