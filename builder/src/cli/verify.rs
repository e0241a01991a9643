//! `soci-builder verify`: rebuilds an image's indexes and reports any difference.

use std::io;

use bytesize::ByteSize;
use soci_builder::verify::{self, LayerReport, Report};
use soci_format::{plural::counted, printable::printable};

use super::{Access, VerifyArgs, print};
use crate::exit_status::{ExitStatus, Output};

#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("cannot verify {image}")]
    Look {
        image: String,
        source: verify::Error,
    },
    #[error("verification of {image} failed: {first}{}", more(*.count))]
    Wrong {
        image: String,
        first: String,
        count: usize,
    },
}

fn more(count: usize) -> String {
    match count {
        1 => String::new(),
        count => format!(" (the first of {count} problems)"),
    }
}

pub(crate) async fn run(arguments: VerifyArgs, access: &Access) -> Result<Output, ExitStatus> {
    let of = &arguments.image;
    let image = of.image.to_string();
    let looked = async {
        let store = access.open(&of.image)?;
        verify::verify(&store, &of.image, of.platform.as_ref()).await
    };
    let report = looked.await.map_err(|source| {
        let image = image.clone();
        ExitStatus::Failed(Failed::Look { image, source }.into())
    })?;
    for missing in &report.missing {
        print::warn(&format!("skipped: {missing}"));
    }
    let problems = report.problems();
    let status = match problems.first().cloned() {
        None => ExitStatus::Success,
        Some(first) => ExitStatus::Failed(
            Failed::Wrong {
                image,
                first,
                count: problems.len(),
            }
            .into(),
        ),
    };
    print::output(arguments.json, &report, text, status)
}

fn text(out: &mut impl io::Write, report: &Report) -> io::Result<()> {
    writeln!(out, "image  {}", report.image_digest)?;
    told(out, "  ", &report.problems)?;
    for platform in &report.platforms {
        writeln!(out, "\n{}", printable(&platform.platform))?;
        writeln!(out, "  manifest         {}", platform.manifest_digest)?;
        told(out, "    ", &platform.problems)?;
        if platform.indexes.is_empty() && platform.problems.is_empty() {
            writeln!(out, "  no SOCI index")?;
        }
        for index in &platform.indexes {
            writeln!(
                out,
                "  SOCI index {}    {}",
                index.version, index.index_digest
            )?;
            told(out, "    ", &index.problems)?;
        }
        for layer in &platform.layers {
            let size = ByteSize(layer.size).to_string();
            writeln!(
                out,
                "  layer {} {size:>10}  {}",
                layer.digest,
                checked(layer)
            )?;
            told(out, "    ", &layer.problems)?;
        }
    }
    let problems = report.problems().len();
    let verdict = match problems {
        0 => "OK".to_owned(),
        more => counted(more, "problem", "problems"),
    };
    writeln!(out, "\n{verdict}")
}

fn checked(layer: &LayerReport) -> String {
    let ztoc = match layer.ztoc {
        Some(_) => format!(
            "{}, {}",
            counted(layer.spans, "span", "spans"),
            counted(layer.files, "entry", "entries")
        ),
        None => "no ztoc".to_owned(),
    };
    let verdict = if layer.problems.is_empty() {
        "OK"
    } else {
        "verification failed"
    };
    format!("{ztoc}: {verdict}")
}

fn told(out: &mut impl io::Write, indent: &str, problems: &[String]) -> io::Result<()> {
    for problem in problems {
        writeln!(out, "{indent}! {}", printable(problem))?;
    }
    Ok(())
}
