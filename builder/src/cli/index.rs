//! `soci-builder index`: flags to requests, and the reports to a person or a program.

mod arguments;
mod images;
mod several;
mod text;

use std::path::PathBuf;

use bytesize::ByteSize;
use soci_index::{
    report::{self, Failure, Outcome, Report},
    run::{self, Request},
};

pub(crate) use arguments::IndexArgs;

use super::{Access, path_list, print, progress::Display};
use crate::exit_status::{Error, ExitStatus, Output};
use images::Images;

pub(crate) async fn run(
    mut arguments: Box<IndexArgs>,
    access: &Access,
) -> Result<Output, ExitStatus> {
    let (json, brief) = (arguments.json, arguments.brief);
    let images = match images::chosen(&arguments).await {
        Ok(images) => images,
        Err(error) if error.is_usage_error() => {
            return failure(json, error.into(), ExitStatus::UsageError);
        }
        Err(error) => return failure(json, error.into(), ExitStatus::Failed),
    };
    if let Some(list) = arguments.prefetch_files_from.take() {
        match prefetch_files(list).await {
            Ok(paths) => arguments.prefetch_files.extend(paths),
            Err(error) => return failure(json, error.into(), ExitStatus::Failed),
        }
    }
    match images {
        Images::One(image) => {
            let request = arguments.request(image, access.limits);
            one(&request, json, brief, access).await
        }
        Images::Several(images) => {
            let requests = images.into_iter();
            let requests = requests.map(|image| arguments.clone().request(image, access.limits));
            Ok(several::run(requests.collect(), json, brief, access).await)
        }
    }
}

/// Indexes one image.
async fn one(
    request: &Request,
    json: bool,
    brief: bool,
    access: &Access,
) -> Result<Output, ExitStatus> {
    let display = Display::start();
    let progress = display.listener(request, &access.milestones);
    let result = run::index(request, &access.client, progress).await;
    display.close().await;
    let report = match result {
        Ok(report) if brief => report.brief(),
        Ok(report) => report,
        Err(error) => {
            let status = match error.is_usage_error() {
                true => ExitStatus::UsageError,
                false => ExitStatus::Failed,
            };
            return failure(json, Failed::new(request, error).into(), status);
        }
    };
    let status = match nothing(request, &report) {
        Some(nothing) => ExitStatus::NoIndex(nothing.into()),
        None => ExitStatus::Success,
    };
    print::output(json, &report, text::write, status)
}

/// Why a run that finished gave nothing to use, if it did not.
fn nothing(request: &Request, report: &Report) -> Option<Nothing> {
    let image = request.image.to_string();
    match report.outcome {
        _ if report.is_success() => None,
        Outcome::Indexed | Outcome::AlreadyThere | Outcome::Started => None,
        Outcome::NothingToIndex => Some(Nothing::TooSmall {
            image,
            minimum: ByteSize(request.options.min_layer_size),
        }),
        Outcome::Unsupported => Some(Nothing::Unsupported { image }),
    }
}

/// Why there is nothing to use.
#[derive(Debug, thiserror::Error)]
enum Nothing {
    #[error(
        "nothing to index in {image}: every layer is smaller than {minimum}; lower --min-layer-size, or use the image as it is with --when-too-small use-original"
    )]
    TooSmall { image: String, minimum: ByteSize },
    #[error(
        "no layer of {image} can be indexed; use the image as it is with --when-unsupported use-original"
    )]
    Unsupported { image: String },
}

/// The files that a list names.
pub(crate) async fn prefetch_files(list: PathBuf) -> Result<Vec<String>, NoList> {
    let read = match path_list::read(&list).await {
        Ok(bytes) => path_list::paths(&bytes),
        Err(error) => Err(error.into()),
    };
    read.map_err(|source| NoList { list, source })
}

#[derive(Debug, thiserror::Error)]
#[error("cannot read the list of files to prefetch {}", .list.display())]
pub(crate) struct NoList {
    list: PathBuf,
    source: path_list::Malformed,
}

/// Tells of an error: on stderr in any case, and as the result where a program waits for one.
fn failure(
    json: bool,
    error: Error,
    status: fn(Error) -> ExitStatus,
) -> Result<Output, ExitStatus> {
    print::output(json, &failed(&*error), |_, _| Ok(()), status(error))
}

/// What `--json` prints of an error.
fn failed(error: &dyn std::error::Error) -> Failure {
    Failure {
        outcome: report::Failed::Failed,
        error: run::chain(error),
    }
}

#[derive(Debug, thiserror::Error)]
#[error("cannot index {image}")]
struct Failed {
    image: String,
    source: run::Error,
}

impl Failed {
    fn new(request: &Request, source: run::Error) -> Self {
        let image = request.image.to_string();
        Self { image, source }
    }
}
