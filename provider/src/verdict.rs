//! The verdict on a build that ended, or on an index that is there: what the answer says.
//! In: the builder's report, or how CodeBuild says the build ended. Out: the resource, or why there is none. Pure.

use soci_format::{digest::Digest, index::Version};
use soci_index::report::{Ended, LayerCounts, Outcome, Report};

use crate::{
    build::{End, Ending},
    error::{BuildFailed, Error},
    kept::Kept,
    physical_id::PhysicalId,
    properties::{Input, Properties},
};

/// The outcome of a build that nobody waits for.
const STARTED: &str = "started";
/// The builder's word for an index that it did not make.
const ALREADY_THERE: &str = "already-there";

/// A resource that is there.
#[derive(Clone, Debug)]
pub struct Done {
    /// The builder's word for what it did; one of ours where it has done nothing yet.
    pub outcome: String,
    /// The image that was read; absent where it is gone, and nothing tells its digest.
    pub input: Option<Digest>,
    /// The image to use.
    pub output: Digest,
    /// Its tag; empty where it has none.
    pub output_tag: String,
    /// What became of the layers.
    pub layers: LayerCounts,
    /// Bytes of layers that were read.
    pub bytes_read: u64,
    /// The build, where one ran.
    pub build_id: Option<String>,
    /// The resource's id.
    pub id: PhysicalId,
}

/// The verdict on a report.
///
/// # Errors
/// Where it says that there is no index, and that this is to fail.
pub fn on_report(
    properties: &Properties,
    report: Report,
    build_id: Option<&str>,
) -> Result<Done, Error> {
    let Some(output) = report.output_digest else {
        return Err(Error::NoIndex(no_index(report.outcome)));
    };
    let outcome = serde_json::to_value(report.outcome).unwrap_or_default();
    let output_tag = report.output_tag.unwrap_or_default();
    let indexes = report.indexes.iter();
    let indexes = indexes.filter_map(|index| index.index_digest).collect();
    Ok(Done {
        outcome: outcome.as_str().unwrap_or_default().to_owned(),
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

/// The verdict on a build that nobody waits for: the image as it is can be used at once, and the tag is where its index will be.
#[must_use]
pub fn on_start(properties: &Properties, build_id: &str, image: Digest) -> Done {
    let tag = properties.output_tag.as_deref().or(properties.input_tag());
    let output_tag = tag.unwrap_or_default().to_owned();
    Done {
        outcome: STARTED.to_owned(),
        input: Some(image),
        output: image,
        layers: LayerCounts::default(),
        bytes_read: 0,
        build_id: Some(build_id.to_owned()),
        id: id(properties, &output_tag, image, image, Vec::new()),
        output_tag,
    }
}

/// The verdict on an image that is gone while its index, under the output tag, is whole.
#[must_use]
pub fn on_kept(properties: &Properties, output_tag: &str, kept: &Kept) -> Done {
    let input = match properties.input {
        Input::Digest(digest) => Some(digest),
        Input::Tag(_) => None,
    };
    Done {
        outcome: ALREADY_THERE.to_owned(),
        input,
        output: kept.output,
        layers: LayerCounts {
            reused: kept.ztocs,
            ..LayerCounts::default()
        },
        bytes_read: 0,
        build_id: None,
        id: PhysicalId::V2 {
            repository: properties.repository.name.clone(),
            tag: output_tag.to_owned(),
            output: kept.output,
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

/// The verdict on a build that ended.
///
/// # Errors
/// Where it ended without an index, or did not say so.
pub fn on_build(properties: &Properties, build_id: &str, ending: &Ending) -> Result<Done, Error> {
    let result = ending
        .result
        .as_deref()
        .map(str::trim)
        .filter(|text| !text.is_empty());
    let ended = result.map(serde_json::from_str::<Ended>);
    let failed = |said: Option<String>, how: String| BuildFailed {
        build: build_id.to_owned(),
        said,
        how,
        log_link: ending.log_link.clone(),
    };
    let said = match ended {
        Some(Ok(Ended::Report(report))) if ending.end == End::Succeeded => {
            return match on_report(properties, report, Some(build_id)) {
                Err(Error::NoIndex(why)) => Err(failed(Some(why.to_owned()), ending.how()).into()),
                other => other,
            };
        }
        Some(Ok(Ended::Report(report))) if report.output_digest.is_none() => {
            Some(no_index(report.outcome).to_owned())
        }
        // The index may be there, but nothing that came after the builder is known to be well.
        Some(Ok(Ended::Report(_))) | None => None,
        Some(Ok(Ended::Failure(failure))) => Some(failure.error),
        Some(Err(_)) => Some("the builder's result cannot be read".to_owned()),
    };
    let how = match (ending.end, &said) {
        (End::Succeeded, None) => "ended well but returned no result".to_owned(),
        // Beside the builder's words, CodeBuild's only repeat the buildspec.
        (_, Some(_)) => ending.how(),
        (_, None) => ending.how_and_why(),
    };
    Err(failed(said, how).into())
}

fn no_index(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::NothingToIndex => {
            "nothing to index: every layer is smaller than MinLayerSize, and WhenTooSmall says that this is to fail"
        }
        Outcome::Unsupported => {
            "unsupported: the image has no layer in a compression that can be indexed, and WhenUnsupported says that this is to fail"
        }
        Outcome::Indexed | Outcome::AlreadyThere => "the builder's result names no image to use",
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

    fn ending(end: End, result: Option<String>) -> Ending {
        let phase =
            (end != End::Succeeded).then(|| FailedPhase::new("BUILD", &[("", "exit status 1")]));
        Ending {
            end,
            result,
            phase,
            log_link: Some("https://log".to_owned()),
            attempt: 1,
            at: None,
        }
    }

    fn words(end: End, result: Option<String>) -> String {
        let error = on_build(&v2(), "p:1", &ending(end, result)).unwrap_err();
        assert_eq!(error.log_link(), Some("https://log"));
        chain(&error)
    }

    #[test]
    fn an_index_is_a_resource() {
        let result = Some(report("indexed", Some(digest("output"))));
        let done = on_build(&v2(), "p:1", &ending(End::Succeeded, result.clone())).unwrap();
        assert_eq!(
            done.id.to_string(),
            format!("team/app:v1-soci@{}", digest("output"))
        );
        assert_eq!(done.build_id.as_deref(), Some("p:1"));
        let v1 = properties(include_str!("../tests/events/create-v1.json"));
        let done = on_build(&v1, "p:1", &ending(End::Succeeded, result)).unwrap();
        assert_eq!(
            done.id.to_string(),
            format!("team/app@{}#{}", digest("image"), digest("soci").hex())
        );
    }

    #[test]
    fn a_start_is_the_image_as_it_is() {
        let done = on_start(&v2(), "p:1", digest("image"));
        assert_eq!(done.output, digest("image"));
        assert_eq!(done.output_tag, "v1-soci");
        assert_eq!(
            done.id.to_string(),
            format!("team/app:v1-soci@{}", digest("image"))
        );
        let v1 = properties(include_str!("../tests/events/create-v1.json"));
        let done = on_start(&v1, "p:1", digest("image"));
        assert_eq!(done.output_tag, "v1");
        assert_eq!(done.id.to_string(), format!("team/app@{}", digest("image")));
    }

    #[test]
    fn an_original_is_one_too() {
        let result = Some(report("nothing-to-index", Some(digest("image"))));
        let done = on_build(&v2(), "p:1", &ending(End::Succeeded, result)).unwrap();
        assert_eq!(done.output, digest("image"));
    }

    #[test]
    fn the_builders_words_come_first() {
        let failure =
            json!({"outcome": "failed", "error": "cannot index layer 3 of 7"}).to_string();
        assert_eq!(
            words(End::Failed, Some(failure)),
            "cannot index layer 3 of 7; the build p:1 failed (FAILED) in the phase BUILD"
        );
        let words_of = |outcome| words(End::Failed, Some(report(outcome, None)));
        assert!(words_of("nothing-to-index").starts_with("nothing to index: "));
        assert!(words_of("unsupported").starts_with("unsupported: "));
    }

    #[test]
    fn without_words_of_the_builder_codebuild_has_them() {
        for result in [None, Some(String::new()), Some(" \n".to_owned())] {
            assert_eq!(
                words(End::Succeeded, result.clone()),
                "the build p:1 ended well but returned no result"
            );
            assert_eq!(
                words(End::Failed, result),
                "the build p:1 failed (FAILED) in the phase BUILD: exit status 1"
            );
        }
        assert!(words(End::Stopped, None).contains("STOPPED"));
        assert!(
            words(End::Fault, Some("Segmentation fault".to_owned())).contains("cannot be read")
        );
    }

    #[test]
    fn a_build_that_failed_after_the_builder_is_no_index() {
        let result = report("indexed", Some(digest("output")));
        assert!(words(End::Failed, Some(result)).contains("FAILED"));
    }
}
