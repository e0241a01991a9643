//! Several images in one call, one after the other. The result of each is printed when it is done; one that fails does not stop the
//! others.

use std::io::{self, Write};

use serde::Serialize;
use soci_index::{
    report::Report,
    run::{self, KnownZtocs, Request},
};

use super::{Access, Failed, failed, nothing, print, text};
use crate::{
    cli::progress::Display,
    exit_status::{Error, ExitStatus, Output},
};

/// What `--json` prints of one of several images.
#[derive(Serialize)]
struct OfImage<'a, T> {
    /// As it was given.
    image: &'a str,
    #[serde(flatten)]
    result: &'a T,
}

/// The images without an index to use.
#[derive(Default)]
struct Tally {
    failed: Vec<String>,
    nothing: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
#[error("{} of {count} images {what}: {}", .images.len(), .images.join(", "))]
struct NotAll {
    images: Vec<String>,
    count: usize,
    what: &'static str,
}

/// Indexes the images, and prints each result.
pub(super) async fn run(
    requests: Vec<Request>,
    json: bool,
    brief: bool,
    access: &Access,
) -> Output {
    let display = Display::start();
    let known = KnownZtocs::default();
    let mut tally = Tally::default();
    let count = requests.len();
    for (at, request) in requests.iter().enumerate() {
        let image = request.image.to_string();
        display.line(format!("image {} of {count}: {image}", at + 1));
        let progress = display.listener(request, &access.milestones);
        let result = run::index_sharing(request, &access.client, progress, &known).await;
        let (line, error) = match result {
            Ok(report) => {
                let report = if brief { report.brief() } else { report };
                let nothing = nothing(request, &report).map(Error::from);
                if nothing.is_some() {
                    tally.nothing.push(image.clone());
                }
                (of_report(json, &image, &report), nothing)
            }
            Err(error) => {
                let error = Error::from(Failed::new(request, error));
                tally.failed.push(image.clone());
                (of_failure(json, &image, &*error), Some(error))
            }
        };
        if let Some(error) = error {
            display.line(format!("error: {}", run::chain(&*error)));
        }
        match line {
            Ok(line) => access.milestones.image_done(line),
            Err(error) => tally
                .failed
                .push(format!("{image} (cannot write the result: {error})")),
        }
    }
    display.close().await;
    tally.status(count).into()
}

/// The result of an image, in one line or as text.
fn of_report(json: bool, image: &str, report: &Report) -> io::Result<Vec<u8>> {
    let text = |out: &mut Vec<u8>, of: &OfImage<'_, Report>| {
        writeln!(out, "{image}")?;
        text::write(out, of.result)?;
        writeln!(out)
    };
    let result = report;
    print::written(json, &OfImage { image, result }, text)
}

/// The result of an image that failed; the text is on stderr.
fn of_failure(
    json: bool,
    image: &str,
    error: &(dyn std::error::Error + 'static),
) -> io::Result<Vec<u8>> {
    let result = &failed(error);
    print::written(json, &OfImage { image, result }, |_, _| Ok(()))
}

impl Tally {
    /// How the program ends: failures count more than images without an index.
    fn status(self, count: usize) -> ExitStatus {
        let (status, images, what): (fn(Error) -> ExitStatus, _, _) =
            match (self.failed, self.nothing) {
                (failed, _) if !failed.is_empty() => (ExitStatus::Failed, failed, "failed"),
                (_, nothing) if !nothing.is_empty() => {
                    (ExitStatus::NoIndex, nothing, "have nothing to index")
                }
                _ => return ExitStatus::Success,
            };
        status(
            NotAll {
                images,
                count,
                what,
            }
            .into(),
        )
    }
}
