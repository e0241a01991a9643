//! `soci-builder index`: flags to a request, and the report to a person or a program.

use std::{io, path::PathBuf};

use bytesize::ByteSize;
use soci_format::{index::IndexOptions, limits::Limits, printable::printable};
use soci_index::{
    report::{self, Failure, Outcome, Report},
    run,
};

use super::{Access, IndexArgs, Optimization, path_list, print, progress::Display};
use crate::exit_status::{Error, ExitStatus, Output};

pub(crate) async fn run(arguments: Box<IndexArgs>, access: &Access) -> Result<Output, ExitStatus> {
    let (json, brief) = (arguments.json, arguments.brief);
    let list = arguments.prefetch_files_from.clone();
    let mut request = request(*arguments, access.limits);
    if let Some(list) = list {
        match prefetch_files(list).await {
            Ok(paths) => request.options.prefetch_files.extend(paths),
            Err(error) => return failure(json, error.into(), ExitStatus::Failed),
        }
    }
    let display = Display::start();
    let result = run::index(&request, &access.client, display.listener()).await;
    display.close().await;
    let report = match result {
        Ok(report) if brief => report.brief(),
        Ok(report) => report,
        Err(error) => return failed(json, &request, error),
    };
    let status = status(&request, &report);
    print::output(json, &report, text, status)
}

/// How a finished run ends the program.
fn status(request: &run::Request, report: &Report) -> ExitStatus {
    let nothing = match report.outcome {
        _ if report.is_success() => return ExitStatus::Success,
        Outcome::Indexed | Outcome::AlreadyThere | Outcome::Started => return ExitStatus::Success,
        Outcome::NothingToIndex => Nothing::TooSmall {
            image: request.image.to_string(),
            minimum: ByteSize(request.options.min_layer_size),
        },
        Outcome::Unsupported => Nothing::Unsupported {
            image: request.image.to_string(),
        },
    };
    ExitStatus::NoIndex(nothing.into())
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
async fn prefetch_files(list: PathBuf) -> Result<Vec<String>, NoList> {
    let read = match path_list::read(&list).await {
        Ok(bytes) => path_list::paths(&bytes),
        Err(error) => Err(error.into()),
    };
    read.map_err(|source| NoList { list, source })
}

#[derive(Debug, thiserror::Error)]
#[error("cannot read the list of files to prefetch {}", .list.display())]
struct NoList {
    list: PathBuf,
    source: path_list::Malformed,
}

fn failed(json: bool, request: &run::Request, error: run::Error) -> Result<Output, ExitStatus> {
    let status = match error.is_usage_error() {
        true => ExitStatus::UsageError,
        false => ExitStatus::Failed,
    };
    let image = request.image.to_string();
    let source = error;
    failure(json, Failed { image, source }.into(), status)
}

/// Tells of an error: on stderr in any case, and as the result where a program waits for one.
fn failure(
    json: bool,
    error: Error,
    status: fn(Error) -> ExitStatus,
) -> Result<Output, ExitStatus> {
    let failure = Failure {
        outcome: report::Failed::Failed,
        error: run::chain(&*error),
    };
    print::output(json, &failure, |_, _| Ok(()), status(error))
}

#[derive(Debug, thiserror::Error)]
#[error("cannot index {image}")]
struct Failed {
    image: String,
    source: run::Error,
}

pub(crate) fn request(arguments: IndexArgs, limits: Limits) -> run::Request {
    run::Request {
        image: arguments.image,
        version: arguments.index_version,
        output_tag: arguments.output_tag,
        platforms: arguments.platforms,
        options: IndexOptions {
            min_layer_size: arguments.min_layer_size.as_u64(),
            span_size: arguments.span_size.as_u64(),
            prefetch_files: arguments.prefetch_files,
            optimize_xattrs: arguments.optimizations.contains(&Optimization::Xattr),
            build_tool: arguments.build_tool_identifier,
        },
        reuse_from: arguments.reuse_from,
        strict: arguments.strict,
        when_too_small: arguments.when_too_small,
        when_unsupported: arguments.when_unsupported,
        limits,
    }
}

fn text(out: &mut impl io::Write, report: &Report) -> io::Result<()> {
    let outcome = match report.outcome {
        Outcome::Indexed => "indexed",
        Outcome::AlreadyThere => "already there",
        Outcome::NothingToIndex => "nothing to index: every layer is smaller than the minimum",
        Outcome::Unsupported => "unsupported: no layer can be indexed",
        Outcome::Started => "started",
    };
    writeln!(
        out,
        "{outcome} ({} of layers read, {:.1} s)",
        ByteSize(report.bytes_read),
        report.seconds
    )?;
    writeln!(out, "image   {}", report.image_digest)?;
    if let Some(digest) = report.output_digest {
        writeln!(
            out,
            "output  {digest} {}",
            report.output_tag.as_deref().unwrap_or_default()
        )?;
    }
    for index in &report.indexes {
        writeln!(out, "\n{}", printable(&index.platform))?;
        writeln!(out, "  manifest    {}", index.manifest_digest)?;
        writeln!(
            out,
            "  SOCI index  {}",
            index
                .index_digest
                .map_or("none".to_owned(), |digest| digest.to_string())
        )?;
        for layer in &index.layers {
            writeln!(
                out,
                "  layer       {} {:>10}  {}",
                layer.digest,
                ByteSize(layer.size).to_string(),
                printable(&layer.state.to_string())
            )?;
        }
    }
    Ok(())
}
