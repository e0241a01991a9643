//! A report as a person reads it.

use std::io;

use bytesize::ByteSize;
use soci_format::{plural::counted, printable::printable};
use soci_index::report::{Outcome, Report};

/// Writes the report.
pub(super) fn write(out: &mut impl io::Write, report: &Report) -> io::Result<()> {
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
    if let Some(copy) = &report.copy {
        writeln!(
            out,
            "copy    {} ({} uploaded, {}; {} mounted, {} already there)",
            copy.image,
            counted(copy.uploaded, "blob", "blobs"),
            ByteSize(copy.bytes_uploaded),
            copy.mounted,
            copy.present
        )?;
    }
    if let Some(digest) = report.output_digest {
        writeln!(
            out,
            "output  {digest} {}",
            report.output_tag.as_deref().unwrap_or_default()
        )?;
        for tag in report.output_tags.iter().skip(1) {
            writeln!(out, "        {digest} {tag}")?;
        }
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
