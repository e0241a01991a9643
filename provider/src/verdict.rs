//! The verdict on a build that ended, or on an index that is there: what the answer says.
//! In: the builder's report, or how CodeBuild says the build ended. Out: the resource, or why there is none. Pure.

use std::fmt;

use soci_builder::{
    digest::Digest,
    index::Version,
    report::{Ended, Outcome, Report},
};

use crate::{
    build::{End, Ending},
    error::Error,
    physical_id::PhysicalId,
    properties::Properties,
};

/// A resource that is there.
#[derive(Clone, Debug)]
pub struct Done {
    /// The builder's report.
    pub report: Report,
    /// The image to use.
    pub output: Digest,
    /// Its tag; empty where it has none.
    pub output_tag: String,
    /// The build, where one ran.
    pub build_id: Option<String>,
    /// The resource's id.
    pub id: PhysicalId,
}

/// A build that ended without an index.
#[derive(Debug, thiserror::Error)]
pub struct BuildFailed {
    build: String,
    /// The builder's own words.
    said: Option<String>,
    /// How CodeBuild says it ended.
    how: String,
    /// Where the build's log is to be seen.
    pub log_link: Option<String>,
}

impl fmt::Display for BuildFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(said) = &self.said {
            write!(f, "{said}; ")?;
        }
        write!(f, "the build {} {}", self.build, self.how)
    }
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
    let repository = properties.repository.name.clone();
    let output_tag = report.output_tag.clone().unwrap_or_default();
    let id = match properties.version {
        Version::V2 => PhysicalId::V2 {
            repository,
            tag: output_tag.clone(),
            output,
        },
        Version::V1 => PhysicalId::V1 {
            repository,
            image: report.image_digest,
            indexes: report
                .indexes
                .iter()
                .filter_map(|index| index.index_digest)
                .collect(),
        },
    };
    Ok(Done {
        report,
        output,
        output_tag,
        build_id: build_id.map(str::to_owned),
        id,
    })
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
        _ => ending.how(),
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
