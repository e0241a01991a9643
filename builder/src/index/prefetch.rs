//! Prefetch artifacts: the spans that a start will need, so that a runtime can fetch them ahead.
//! In: paths and the files of a layer. Out: span ranges, sorted and merged.

use serde::{Deserialize, Serialize};

use crate::{
    oci::{Annotations, Descriptor, to_go_json},
    ztoc::{FileMetadata, Ztoc},
};

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

/// The files asked for, and where one layer has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prefetch {
    /// For each path asked for, in order: its spans in this layer.
    pub found: Vec<Option<SpanRange>>,
}

#[derive(Serialize)]
struct Artifact {
    version: &'static str,
    prefetch_spans: Vec<SpanRange>,
}

impl Prefetch {
    /// Looks up `paths` (as [`clean_path`] gives them) in a layer.
    pub fn look_up(paths: &[Vec<u8>], ztoc: &Ztoc) -> Self {
        let mut found = vec![None; paths.len()];
        if !paths.is_empty() {
            let starts = ztoc.span_starts();
            for file in ztoc.toc.iter().filter(|file| file.kind == b"reg") {
                let name = clean_path(file.name);
                for (path, found) in paths.iter().zip(&mut found) {
                    if *path == name {
                        *found = spans_of(&file, &starts);
                    }
                }
            }
        }
        Self { found }
    }

    /// The artifact of each of `layers` (bottom first) that is the topmost one to have a path asked for: its blob, and
    /// its descriptor.
    pub fn artifacts(layers: &[(&Descriptor, &Self)]) -> Vec<(Descriptor, Vec<u8>)> {
        let paths = layers
            .first()
            .map_or(0, |(_, prefetch)| prefetch.found.len());
        let topmost = |path: usize| {
            layers
                .iter()
                .rposition(|(_, prefetch)| prefetch.found[path].is_some())
        };
        let mut artifacts = Vec::new();
        for (at, (layer, prefetch)) in layers.iter().enumerate() {
            let spans = (0..paths)
                .filter(|&path| topmost(path) == Some(at))
                .filter_map(|path| prefetch.found[path]);
            let prefetch_spans = merge(spans.collect());
            if prefetch_spans.is_empty() {
                continue;
            }
            let blob = to_go_json(&Artifact {
                version: "1.0",
                prefetch_spans,
            });
            let mut descriptor = Descriptor::of(PREFETCH, &blob);
            descriptor.annotations =
                Annotations::from([(LAYER_DIGEST.to_owned(), layer.digest.to_string())]);
            artifacts.push((descriptor, blob));
        }
        artifacts
    }
}

/// A path without what does not matter in it: leading `/` and `./`, trailing `/`, and repeated ones.
pub fn clean_path(path: &[u8]) -> Vec<u8> {
    let parts: Vec<&[u8]> = path
        .split(|&byte| byte == b'/')
        .filter(|part| !part.is_empty() && part != b".")
        .collect();
    parts.join(&b'/')
}

/// The spans that hold the payload of `file`, where spans start at the plain bytes `starts`.
fn spans_of(file: &FileMetadata<'_>, starts: &[u64]) -> Option<SpanRange> {
    let start = u64::try_from(file.offset).ok()?;
    let end = start.checked_add(u64::try_from(file.size).ok()?)?;
    let span_at = |at: u64| {
        u32::try_from(starts.partition_point(|&start| start <= at))
            .ok()?
            .checked_sub(1)
    };
    Some(SpanRange {
        start_span: span_at(start)?,
        end_span: span_at(end)?,
    })
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
    fn spellings_of_a_path_are_one() {
        for path in ["app/x", "/app/x", "./app/x", "app//x/", "./app/./x"] {
            assert_eq!(clean_path(path.as_bytes()), b"app/x", "{path}");
        }
        assert_eq!(clean_path(b"../x"), b"../x");
    }

    #[test]
    fn the_topmost_layer_that_has_a_file_serves_it() {
        let layer = |text: &[u8]| Descriptor::of("layer", text);
        let (bottom, top) = (layer(b"bottom"), layer(b"top"));
        let range = |of| Some(ranges(&[of])[0]);
        let below = Prefetch {
            found: vec![range((0, 1)), range((4, 4)), None],
        };
        let above = Prefetch {
            found: vec![range((2, 2)), None, None],
        };
        let artifacts = Prefetch::artifacts(&[(&bottom, &below), (&top, &above)]);
        let blobs: Vec<_> = artifacts
            .iter()
            .map(|(_, blob)| std::str::from_utf8(blob).unwrap())
            .collect();
        assert_eq!(
            blobs,
            [
                r#"{"version":"1.0","prefetch_spans":[{"start_span":4,"end_span":4}]}"#,
                r#"{"version":"1.0","prefetch_spans":[{"start_span":2,"end_span":2}]}"#
            ]
        );
        assert_eq!(
            artifacts[0].0.annotations[LAYER_DIGEST],
            bottom.digest.to_string()
        );
    }
}
