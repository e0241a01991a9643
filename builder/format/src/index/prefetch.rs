//! Prefetch artifacts: the spans that a start will need, so that a runtime can fetch them ahead.
//! In: where files lie in a layer. Out: span ranges, sorted and merged.

use std::{borrow::Cow, ops::Range};

use serde::{Deserialize, Serialize};

use crate::oci::{Annotations, Descriptor, to_go_json};

use super::LAYER_DIGEST;

/// Media type of a prefetch artifact.
pub const PREFETCH: &str = "application/vnd.amazon.soci.prefetch.v1+json";

/// Consecutive spans, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SpanRange {
    /// The first span.
    pub start_span: u32,
    /// The last span.
    pub end_span: u32,
}

/// The blob of an artifact.
#[derive(Serialize, Deserialize)]
struct Artifact {
    #[serde(default)]
    version: Cow<'static, str>,
    prefetch_spans: Vec<SpanRange>,
}

impl SpanRange {
    /// The spans that hold the uncompressed bytes `payload`, where spans start at the uncompressed bytes `starts`; none where there is no such
    /// span.
    pub fn holding(payload: &Range<u64>, starts: &[u64]) -> Option<Self> {
        let span_at = |at: u64| {
            u32::try_from(starts.partition_point(|&start| start <= at))
                .ok()?
                .checked_sub(1)
        };
        Some(Self {
            start_span: span_at(payload.start)?,
            // As in the reference, the byte behind the last one counts, too.
            end_span: span_at(payload.end)?,
        })
    }
}

/// The artifact of `layer`: its descriptor, and its blob; none where there are no spans to prefetch.
pub fn prefetch_artifact(
    layer: &Descriptor,
    spans: Vec<SpanRange>,
) -> Option<(Descriptor, Vec<u8>)> {
    let prefetch_spans = merge(spans);
    if prefetch_spans.is_empty() {
        return None;
    }
    let blob = to_go_json(&Artifact {
        version: "1.0".into(),
        prefetch_spans,
    });
    let mut descriptor = Descriptor::of(PREFETCH, &blob);
    descriptor.annotations =
        Annotations::from([(LAYER_DIGEST.to_owned(), layer.digest.to_string())]);
    Some((descriptor, blob))
}

/// The spans that an artifact names.
///
/// # Errors
/// Where `blob` is no artifact.
pub fn prefetched_spans(blob: &[u8]) -> Result<Vec<SpanRange>, serde_json::Error> {
    serde_json::from_slice(blob).map(|artifact: Artifact| artifact.prefetch_spans)
}

/// Sorts ranges and joins those that overlap or touch.
fn merge(mut ranges: Vec<SpanRange>) -> Vec<SpanRange> {
    ranges.sort_unstable();
    let mut merged: Vec<SpanRange> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start_span <= last.end_span.saturating_add(1) => {
                last.end_span = last.end_span.max(range.end_span);
            }
            _ => merged.push(range),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(of: &[(u32, u32)]) -> Vec<SpanRange> {
        of.iter()
            .map(|&(start_span, end_span)| SpanRange {
                start_span,
                end_span,
            })
            .collect()
    }

    #[test]
    fn ranges_that_touch_are_joined() {
        assert_eq!(
            merge(ranges(&[(5, 6), (0, 1), (2, 3), (9, 9), (2, 2)])),
            ranges(&[(0, 3), (5, 6), (9, 9)])
        );
        assert_eq!(merge(ranges(&[(0, 7), (1, 2), (8, 8)])), ranges(&[(0, 8)]));
        assert_eq!(merge(Vec::new()), Vec::new());
    }

    #[test]
    fn an_artifact_holds_merged_spans() {
        let layer = Descriptor::of("layer", b"layer");
        assert!(prefetch_artifact(&layer, Vec::new()).is_none());
        let spans = ranges(&[(4, 4), (0, 1), (2, 2)]);
        let (descriptor, blob) = prefetch_artifact(&layer, spans).unwrap();
        assert_eq!(
            std::str::from_utf8(&blob).unwrap(),
            r#"{"version":"1.0","prefetch_spans":[{"start_span":0,"end_span":2},{"start_span":4,"end_span":4}]}"#
        );
        assert_eq!(prefetched_spans(&blob).unwrap(), ranges(&[(0, 2), (4, 4)]));
        let named = &descriptor.annotations[LAYER_DIGEST];
        assert_eq!(*named, layer.digest.to_string());
    }

    #[test]
    fn the_spans_of_a_file_are_those_that_hold_its_bytes() {
        let starts = [0, 100, 200];
        let holding = |payload| SpanRange::holding(&payload, &starts);
        assert_eq!(holding(0..99), Some(ranges(&[(0, 0)])[0]));
        assert_eq!(holding(50..150), Some(ranges(&[(0, 1)])[0]));
        assert_eq!(holding(200..900), Some(ranges(&[(2, 2)])[0]));
        assert_eq!(SpanRange::holding(&(0..1), &[]), None);
    }
}
