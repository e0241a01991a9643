//! The record of one image: a line with what became of it, as metrics by repository and outcome.

use std::time::Duration;

use serde_json::{Map, Value, json};
use soci_index::{
    report::{LayerCounts, Outcome, Report},
    run::chain,
};

use super::{decision::Skip, error::Error};
use crate::metrics::{Metric, Metrics};

/// CloudWatch takes no empty dimension.
const UNKNOWN: &str = "unknown";

const METRICS: [Metric; 3] = [
    Metric {
        name: "Images",
        unit: "Count",
    },
    Metric {
        name: "BytesRead",
        unit: "Bytes",
    },
    Metric {
        name: "Seconds",
        unit: "Seconds",
    },
];

/// What became of an image.
#[derive(Debug)]
pub(super) enum Done {
    /// It was passed over.
    Skipped(Skip),
    /// A run has ended.
    Ran(Box<Report>),
}

/// An image, as far as the event names it.
#[derive(Clone, Debug, Default)]
pub(super) struct Subject {
    /// The repository's name.
    pub(super) repository: Option<String>,
    /// The tag.
    pub(super) tag: Option<String>,
    /// The digest.
    pub(super) digest: Option<String>,
}

impl Subject {
    /// Writes what became of it.
    pub(super) fn record(self, metrics: &Metrics, done: Result<&Done, &Error>, took: Duration) {
        let (outcome, reason, report) = match done {
            Ok(Done::Skipped(skip)) => ("skipped".to_owned(), skip.to_string(), None),
            Ok(Done::Ran(report)) => {
                let reason = without_index(report.outcome).unwrap_or_default().to_owned();
                (report.outcome.to_string(), reason, Some(report))
            }
            Err(error) => ("failed".to_owned(), chain(error), None),
        };
        let layers = report.map_or_else(LayerCounts::default, |report| report.layers);
        let mut fields = Map::new();
        let mut add = |name: &str, value: Value| fields.insert(name.to_owned(), value);
        add(
            "Repository",
            json!(self.repository.as_deref().unwrap_or(UNKNOWN)),
        );
        add("Tag", json!(self.tag));
        add("Digest", json!(self.digest));
        add("Outcome", json!(outcome));
        add("Reason", json!(reason));
        add(
            "OutputTag",
            json!(report.and_then(|report| report.output_tag.as_deref())),
        );
        add(
            "OutputDigest",
            json!(report.and_then(|report| report.output_digest)),
        );
        add("LayersIndexed", json!(layers.indexed));
        add("LayersReused", json!(layers.reused));
        add("LayersSkipped", json!(layers.skipped));
        add("Images", json!(1));
        add(
            "BytesRead",
            json!(report.map_or(0, |report| report.bytes_read)),
        );
        add("Seconds", json!(took.as_secs_f64()));
        metrics.write(
            &[&["Repository", "Outcome"], &["Outcome"]],
            &METRICS,
            fields,
        );
    }
}

/// Why an image got no index.
pub(super) fn without_index(outcome: Outcome) -> Option<&'static str> {
    match outcome {
        Outcome::NothingToIndex => Some("every layer is smaller than minLayerSize"),
        Outcome::Unsupported => Some("no layer uses a compression that can be indexed"),
        Outcome::Indexed | Outcome::AlreadyThere | Outcome::Started => None,
    }
}
