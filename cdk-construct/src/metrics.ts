// The metrics that CloudWatch makes of the functions' log lines (embedded metric format). In: what a dashboard shows. Out: metrics
// and expressions. The names are those of the provider's program.

import { IMetric, MathExpression, Metric } from 'aws-cdk-lib/aws-cloudwatch';

const NAMESPACE = 'SociIndexBuild';

/** What became of a pushed image. */
export const OUTCOMES = ['indexed', 'already-there', 'nothing-to-index', 'unsupported', 'skipped', 'failed'];

export interface MetricOf {
  readonly metricName: string;
  readonly statistic: string;
  readonly dimensionsMap: Record<string, string>;
  readonly label?: string;
}

export function metricOf(props: MetricOf): IMetric {
  return new Metric({ namespace: NAMESPACE, ...props });
}

export interface Search {
  readonly metricName: string;
  readonly statistic: string;
  /** The names of all dimensions. */
  readonly dimensions: string[];
  /** The values of some of them. */
  readonly where?: Record<string, string>;
  readonly label: string;
}

/** All metrics with these dimensions, whatever their values. */
export function searchOf({ metricName, statistic, dimensions, where = {}, label }: Search): IMetric {
  const terms = Object.entries({ MetricName: metricName, ...where }).map(([name, value]) => `${name}="${value}"`);
  const expression = `SEARCH('{${[NAMESPACE, ...dimensions].join()}} ${terms.join(' ')}', '${statistic}', 300)`;
  return new MathExpression({ expression, usingMetrics: {}, label });
}
