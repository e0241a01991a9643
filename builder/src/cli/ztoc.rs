//! `soci-builder ztoc`: the ztoc of a single layer file.

use std::{
    fs::File,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use bytesize::ByteSize;
use serde::Serialize;
use soci_format::{
    digest::Digest,
    layer::{self, Options, SpareCore, Unindexable},
    limits::Limits,
    oci::LayerEncoding,
    printable::printable,
    ztoc::{Compression, InvalidZtoc, Ztoc},
};

use super::{ZtocBuildArgs, ZtocInfoArgs, output, print};
use crate::exit_status::{ExitStatus, Output};

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("cannot read {}", .0.display())]
    Read(PathBuf, #[source] io::Error),
    #[error(transparent)]
    Write(#[from] output::Unwritable),
    #[error("cannot index {}", .0.display())]
    Layer(PathBuf, #[source] Unindexable),
    #[error("{} is not a ztoc", .0.display())]
    Ztoc(PathBuf, #[source] InvalidZtoc),
}

impl From<Error> for ExitStatus {
    fn from(error: Error) -> Self {
        Self::Failed(error.into())
    }
}

pub(crate) fn build(arguments: &ZtocBuildArgs, limits: Limits) -> Result<Output, ExitStatus> {
    let path = &arguments.layer;
    let pass = File::open(path)
        .and_then(|layer| {
            let options = Options {
                span_size: arguments.span_size.as_u64(),
                build_tool: arguments.build_tool_identifier.clone(),
                bytes_max: limits.ztoc_bytes_of(layer.metadata()?.len()),
            };
            layer::pass(layer, LayerEncoding::Unknown, &options, &mut second_core())
        })
        .map_err(|error| Error::Read(path.clone(), error))?;
    let ztoc = pass
        .ztoc
        .map_err(|error| Error::Layer(path.clone(), error))?
        .into_bytes();
    output::write(&arguments.output, &ztoc).map_err(Error::from)?;
    let result = format!("{} {}\n", Digest::of(&ztoc), ztoc.len()).into_bytes();
    let status = ExitStatus::Success;
    Ok(Output { result, status })
}

/// The core that this machine has besides the first one, if it has one: nothing else is going on.
fn second_core() -> impl FnMut() -> Option<SpareCore> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut second = (cores > 1).then(|| Box::new(()) as SpareCore);
    move || second.take()
}

pub(crate) fn info(arguments: &ZtocInfoArgs, limits: Limits) -> Result<Output, ExitStatus> {
    let path = &arguments.file;
    let bytes = read(path, limits).map_err(|error| Error::Read(path.clone(), error))?;
    let ztoc = Ztoc::parse(&bytes).map_err(|error| Error::Ztoc(path.clone(), error))?;
    let info = Info::of(&bytes, &ztoc);
    print::output(arguments.json, &info, text, ExitStatus::Success)
}

/// All of a file, where it is no larger than a ztoc may be.
fn read(path: &Path, limits: Limits) -> io::Result<Vec<u8>> {
    let limit = limits.blob_bytes;
    let mut bytes = Vec::new();
    File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        let why = format!("it has more than {limit} bytes, the limit for a ztoc");
        return Err(io::Error::other(why));
    }
    Ok(bytes)
}

#[derive(Serialize)]
struct Info {
    digest: Digest,
    size: usize,
    build_tool: String,
    compression: &'static str,
    compressed_size: u64,
    plain_size: u64,
    spans: Vec<SpanInfo>,
    files: Vec<FileInfo>,
}

#[derive(Serialize)]
struct SpanInfo {
    uncompressed_at: u64,
    digest: Digest,
}

/// Names are bytes in an archive, and text here: what is not UTF-8 is replaced.
#[derive(Serialize)]
struct FileInfo {
    name: String,
    kind: String,
    offset: i64,
    size: i64,
    #[serde(skip_serializing_if = "String::is_empty")]
    link_name: String,
    mode: String,
    uid: u32,
    gid: u32,
    modified: String,
}

impl Info {
    fn of(bytes: &[u8], ztoc: &Ztoc) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let spans = ztoc.span_starts().into_iter().zip(&ztoc.span_digests);
        Self {
            digest: Digest::of(bytes),
            size: bytes.len(),
            build_tool: ztoc.build_tool.clone(),
            compression: match ztoc.compression {
                Compression::Gzip => "gzip",
                Compression::Uncompressed => "uncompressed",
            },
            compressed_size: ztoc.compressed_size,
            plain_size: ztoc.plain_size,
            spans: spans
                .map(|(uncompressed_at, &digest)| SpanInfo {
                    uncompressed_at,
                    digest,
                })
                .collect(),
            files: ztoc
                .toc
                .iter()
                .map(|file| FileInfo {
                    name: text(file.name),
                    kind: text(file.kind),
                    offset: file.offset,
                    size: file.size,
                    link_name: text(file.link_name),
                    mode: format!("{:o}", file.mode),
                    uid: file.uid,
                    gid: file.gid,
                    modified: text(file.modified),
                })
                .collect(),
        }
    }
}

fn text(out: &mut impl Write, info: &Info) -> io::Result<()> {
    writeln!(
        out,
        "ztoc         {} {}",
        info.digest,
        ByteSize(info.size as u64)
    )?;
    writeln!(out, "built by     {}", printable(&info.build_tool))?;
    writeln!(out, "compression  {}", info.compression)?;
    writeln!(
        out,
        "layer        {} compressed, {} uncompressed",
        ByteSize(info.compressed_size),
        ByteSize(info.plain_size)
    )?;
    writeln!(out, "spans        {}", info.spans.len())?;
    writeln!(out, "files        {}", info.files.len())
}
