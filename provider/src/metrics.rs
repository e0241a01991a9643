//! Metrics: one line of JSON each time, in CloudWatch's embedded metric format, from which CloudWatch Logs extracts them. No call, no
//! permission.
//! In: fields, and which of them are metrics and dimensions. Out: a line on stdout. Knows nothing of what is measured.
//!
//! The format: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use std::{
    io::{self, Write},
    sync::{Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::{Map, Value, json};

/// The namespace of all metrics.
const NAMESPACE: &str = "SociIndexBuild";

/// A field that is a metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// The field's name.
    pub name: &'static str,
    /// CloudWatch's unit of it.
    pub unit: &'static str,
}

/// Writes lines.
pub struct Metrics {
    out: Mutex<Box<dyn Write + Send>>,
}

impl Metrics {
    /// To stdout, which Lambda sends to CloudWatch Logs.
    #[must_use]
    pub fn to_stdout() -> Self {
        Self::to(io::stdout())
    }

    /// To `out`.
    #[must_use]
    pub fn to(out: impl Write + Send + 'static) -> Self {
        Self {
            out: Mutex::new(Box::new(out)),
        }
    }

    /// Writes `fields`. Each of `dimension_sets` makes every metric a series of its own; all names must be fields, and dimensions
    /// non-empty strings, otherwise CloudWatch ignores the line's metrics.
    pub fn write(
        &self,
        dimension_sets: &[&[&str]],
        metrics: &[Metric],
        fields: Map<String, Value>,
    ) {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let millis = since.unwrap_or_default().as_millis();
        let metrics: Vec<Value> = metrics
            .iter()
            .map(|metric| json!({"Name": metric.name, "Unit": metric.unit}))
            .collect();
        let mut line = json!({"_aws": {
            "Timestamp": u64::try_from(millis).unwrap_or_default(),
            "CloudWatchMetrics": [{
                "Namespace": NAMESPACE, "Dimensions": dimension_sets, "Metrics": metrics,
            }],
        }});
        if let Value::Object(line) = &mut line {
            line.extend(fields);
        }
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        // Nothing depends on a metric.
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    }
}
