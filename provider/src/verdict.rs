//! The verdict: turns a completed build or an existing index into the response's content.
//! In: the builder's report, or CodeBuild's status. Out: the result or an error. Pure.

use soci_format::{digest::Digest, index::Version};
use soci_index::report::{Ended, LayerCounts, Outcome, Report};

use crate::{
    build::{End, EndedBuild},
    error::{BuildFailed, Error},
    orphaned_index::OrphanedIndex,
    physical_id::PhysicalId,
    properties::{Input, Properties},
};

/// The result of a successful request.
#[derive(Clone, Debug)]
pub struct IndexResult {
    /// How the builder's run ended, or that it has only started.
    pub outcome: Outcome,
    /// The input image; absent if it was deleted and its digest is unknown.
    pub input: Option<Digest>,
    /// The image to use.
    pub output: Digest,
    /// Its tag; empty if it has none.
    pub output_tag: String,
    /// Counts of indexed, reused and skipped layers.
    pub layers: LayerCounts,
    /// Compressed bytes read.
    pub bytes_read: u64,
    /// The build, if one ran.
    pub build_id: Option<String>,
    /// The physical id.
    pub id: PhysicalId,
}

/// From a report.
///
/// # Errors
/// If there is no index, and the properties ask for a failure.
pub fn from_report(
    properties: &Properties,
    report: Report,
    build_id: Option<&str>,
) -> Result<IndexResult, Error> {
    let Some(output) = report.output_digest else {
        return Err(Error::NoIndex(no_index(report.outcome)));
    };
    let output_tag = report.output_tag.unwrap_or_default();
    let indexes = report.indexes.iter();
    let indexes = indexes.filter_map(|index| index.index_digest).collect();
    Ok(IndexResult {
        outcome: report.outcome,
        input: Some(report.image_digest),
        output,
        layers: report.layers,
        bytes_read: report.bytes_read,
        build_id: build_id.map(str::to_owned),
        id: id(
            properties,
            &output_tag,
            report.image_digest,
            output,
            indexes,
        ),
        output_tag,
    })
}

/// From a background build: the original image can be used immediately; the tag will point to its index later.
#[must_use]
pub fn from_start(properties: &Properties, build_id: &str, image: Digest) -> IndexResult {
    let tag = properties.output_tag.as_deref().or(properties.input_tag());
    let output_tag = tag.unwrap_or_default().to_owned();
    IndexResult {
        outcome: Outcome::Started,
        input: Some(image),
        output: image,
        layers: LayerCounts::default(),
        bytes_read: 0,
        build_id: Some(build_id.to_owned()),
        id: id(properties, &output_tag, image, image, Vec::new()),
        output_tag,
    }
}

/// From the complete index of a deleted image.
#[must_use]
pub fn from_orphaned_index(
    properties: &Properties,
    output_tag: &str,
    index: &OrphanedIndex,
) -> IndexResult {
    let input = match properties.input {
        Input::Digest(digest) => Some(digest),
        Input::Tag(_) => None,
    };
    IndexResult {
        outcome: Outcome::AlreadyThere,
        input,
        output: index.output,
        layers: LayerCounts {
            reused: index.ztocs,
            ..LayerCounts::default()
        },
        bytes_read: 0,
        build_id: None,
        id: PhysicalId::V2 {
            repository: properties.repository.name.clone(),
            tag: output_tag.to_owned(),
            output: index.output,
        },
        output_tag: output_tag.to_owned(),
    }
}

fn id(
    properties: &Properties,
    output_tag: &str,
    image: Digest,
    output: Digest,
    indexes: Vec<Digest>,
) -> PhysicalId {
    let repository = properties.repository.name.clone();
    match properties.version {
        Version::V2 => PhysicalId::V2 {
            repository,
            tag: output_tag.to_owned(),
            output,
        },
        Version::V1 => PhysicalId::V1 {
            repository,
            image,
            indexes,
        },
    }
}

/// From a completed build.
///
/// # Errors
/// If it ended without an index or without a result.
pub fn from_build(
    properties: &Properties,
    build_id: &str,
    build: &EndedBuild,
) -> Result<IndexResult, Error> {
    let result = build
        .result
        .as_deref()
        .map(str::trim)
        .filter(|text| !text.is_empty());
    let parsed = result.map(serde_json::from_str::<Ended>);
    let failed = |said: Option<String>, how: String| BuildFailed {
        build: build_id.to_owned(),
        said,
        how,
        log_link: build.log_link.clone(),
    };
    let said = match parsed {
        Some(Ok(Ended::Report(report))) if build.end == End::Succeeded => {
            return match from_report(properties, *report, Some(build_id)) {
                Err(Error::NoIndex(why)) => {
                    Err(failed(Some(why.to_owned()), build.describe()).into())
                }
                other => other,
            };
        }
        Some(Ok(Ended::Report(report))) if !report.is_success() => {
            Some(no_index(report.outcome).to_owned())
        }
        // The index may exist, but a later step of the build failed.
        Some(Ok(Ended::Report(_))) | None => None,
        Some(Ok(Ended::Failure(failure))) => Some(failure.error),
        Some(Err(_)) => Some("cannot parse the builder's result".to_owned()),
    };
    let how = match (build.end, &said) {
        (End::Succeeded, None) => "succeeded but returned no result".to_owned(),
        // If the builder reported an error, CodeBuild's messages only repeat the buildspec.
        (_, Some(_)) => build.describe(),
        (_, None) => build.describe_with_messages(),
    };
    Err(failed(said, how).into())
}

fn no_index(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::NothingToIndex => {
            "nothing to index: every layer is smaller than MinLayerSize, and WhenTooSmall is fail"
        }
        Outcome::Unsupported => {
            "unsupported: no layer uses a compression that can be indexed, and WhenUnsupported is fail"
        }
        Outcome::Indexed | Outcome::AlreadyThere | Outcome::Started => {
            "the builder's result does not include an output image"
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use soci_index::run::chain;

    use super::*;
    use crate::{build::FailedPhase, event::Incoming};

    fn properties(event: &str) -> Properties {
        let event: Value = serde_json::from_str(event).unwrap();
        Properties::parse(Incoming::parse(event).unwrap().event.properties()).unwrap()
    }

    fn v2() -> Properties {
        properties(include_str!("../tests/events/create.json"))
    }

    fn digest(of: &str) -> Digest {
        Digest::of(of.as_bytes())
    }

    fn report(outcome: &str, output: Option<Digest>) -> String {
        json!({
            "outcome": outcome, "image_digest": digest("image"), "output_digest": output,
            "output_tag": output.map(|_| "v1-soci"), "layers": {"indexed": 2, "reused": 1, "skipped": 3},
            "indexes": [{"platform": "linux/amd64", "manifest_digest": digest("image"), "index_digest": digest("soci")}],
            "bytes_read": 7, "seconds": 0.5
        })
        .to_string()
    }

    fn ended(end: End, result: Option<String>) -> EndedBuild {
        let phase =
            (end != End::Succeeded).then(|| FailedPhase::new("BUILD", &[("", "exit status 1")]));
        EndedBuild {
            end,
            result,
            phase,
            log_link: Some("https://log".to_owned()),
            attempt: 1,
            at: None,
        }
    }

    fn words(end: End, result: Option<String>) -> String {
        let error = from_build(&v2(), "p:1", &ended(end, result)).unwrap_err();
        assert_eq!(error.log_link(), Some("https://log"));
        chain(&error)
    }

    #[test]
    fn an_index_is_a_success() {
        let result = Some(report("indexed", Some(digest("output"))));
        let done = from_build(&v2(), "p:1", &ended(End::Succeeded, result.clone())).unwrap();
        assert_eq!(
            done.id.to_string(),
            format!("team/app:v1-soci@{}", digest("output"))
        );
        assert_eq!(done.build_id.as_deref(), Some("p:1"));
        let v1 = properties(include_str!("../tests/events/create-v1.json"));
        let done = from_build(&v1, "p:1", &ended(End::Succeeded, result)).unwrap();
        assert_eq!(
            done.id.to_string(),
            format!("team/app@{}#{}", digest("image"), digest("soci").hex())
        );
    }

    #[test]
    fn a_background_build_returns_the_original_image() {
        let done = from_start(&v2(), "p:1", digest("image"));
        assert_eq!(done.output, digest("image"));
        assert_eq!(done.output_tag, "v1-soci");
        assert_eq!(
            done.id.to_string(),
            format!("team/app:v1-soci@{}", digest("image"))
        );
        let v1 = properties(include_str!("../tests/events/create-v1.json"));
        let done = from_start(&v1, "p:1", digest("image"));
        assert_eq!(done.output_tag, "v1");
        assert_eq!(done.id.to_string(), format!("team/app@{}", digest("image")));
    }

    #[test]
    fn an_original_image_is_a_success() {
        let result = Some(report("nothing-to-index", Some(digest("image"))));
        let done = from_build(&v2(), "p:1", &ended(End::Succeeded, result)).unwrap();
        assert_eq!(done.output, digest("image"));
    }

    #[test]
    fn the_builders_error_comes_first() {
        let failure =
            json!({"outcome": "failed", "error": "cannot index layer 3 of 7"}).to_string();
        assert_eq!(
            words(End::Failed, Some(failure)),
            "cannot index layer 3 of 7; build p:1 failed (FAILED) in phase BUILD"
        );
        let words_of = |outcome| words(End::Failed, Some(report(outcome, None)));
        assert!(words_of("nothing-to-index").starts_with("nothing to index: "));
        assert!(words_of("unsupported").starts_with("unsupported: "));
    }

    #[test]
    fn without_a_builder_error_codebuilds_messages_are_used() {
        for result in [None, Some(String::new()), Some(" \n".to_owned())] {
            assert_eq!(
                words(End::Succeeded, result.clone()),
                "build p:1 succeeded but returned no result"
            );
            assert_eq!(
                words(End::Failed, result),
                "build p:1 failed (FAILED) in phase BUILD: exit status 1"
            );
        }
        assert!(words(End::Stopped, None).contains("STOPPED"));
        assert!(
            words(End::Fault, Some("Segmentation fault".to_owned()))
                .contains("cannot parse the builder's result")
        );
    }

    #[test]
    fn a_build_that_failed_after_the_builder_is_a_failure() {
        let result = report("indexed", Some(digest("output")));
        assert!(words(End::Failed, Some(result)).contains("FAILED"));
    }
}
