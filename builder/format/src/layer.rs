//! One layer, one pass: compressed bytes in; digests, checkpoints and table of contents out, as a ztoc.
//! What the layer is, its bytes decide; its media type says whether they are worth reading, and decides where they can be read as two things. Knows nothing of
//! registries and images.

mod hashing;
mod sniff;
mod spans;

use std::io::{self, Read};

use crate::{
    digest::{Digest, Hasher},
    index::IndexOptions,
    inflate::{self, Boundary, CompressedAt, Fault, Gunzip, Sink, UncompressedAt},
    limits::Limits,
    oci::LayerEncoding,
    tar::{self, Entry, TarReader},
    ztoc::{self, Compression, FileMetadata, Toc, Ztoc},
};
use hashing::Hashing;
use sniff::sniff;
use spans::{EqualSpans, GzipSpans, Size, Spans};

/// Bytes read at once from a layer that is not compressed.
const PIECE: usize = 256 * 1024;

/// What to put into a ztoc besides the layer itself.
#[derive(Clone, Debug)]
pub struct Options {
    /// Uncompressed bytes between two checkpoints, at least.
    pub span_size: u64,
    /// Build tool identifier to record.
    pub build_tool: String,
    /// Bytes that may be collected for the ztoc.
    pub bytes_max: u64,
}

/// As [`IndexOptions`](crate::index::IndexOptions), for a ztoc of at most 128 MiB.
impl Default for Options {
    fn default() -> Self {
        let options = IndexOptions::default();
        Self {
            span_size: options.span_size,
            build_tool: options.build_tool,
            bytes_max: Limits::default().ztoc_bytes,
        }
    }
}

/// A core that a pass may use besides its own, until it drops this.
pub type SpareCore = Box<dyn Send>;

/// For a pass that has no core but its own.
pub fn no_spare_core() -> Option<SpareCore> {
    None
}

/// What a pass found.
#[derive(Debug)]
pub struct Pass {
    /// Digest of all compressed bytes.
    pub digest: Digest,
    /// Number of compressed bytes.
    pub size: u64,
    /// The ztoc, or why there can be none.
    pub ztoc: Result<Ztoc, Unindexable>,
}

/// Why a layer cannot be indexed; it has been read to its end all the same, so that its digest is known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unindexable {
    /// A compression without checkpoints, found by its magic.
    #[error("compressed with {0}, which cannot be indexed")]
    Compression(&'static str),
    /// The media type promises another encoding than the bytes have.
    #[error("its media type says {declared}, but its bytes are {found}")]
    MediaTypeLies {
        /// By the media type.
        declared: LayerEncoding,
        /// By the bytes.
        found: LayerEncoding,
    },
    /// The gzip stream is invalid.
    #[error("invalid gzip data at byte {at}: {fault}")]
    Gzip {
        /// Compressed byte.
        at: CompressedAt,
        /// What is wrong there.
        fault: inflate::Fault,
    },
    /// The tar stream is invalid, or holds a member that cannot be indexed.
    #[error("invalid or unsupported tar archive")]
    Tar(#[source] tar::Error),
    /// Its ztoc would take more memory than it may.
    #[error(
        "its ztoc would take more than {limit} bytes ({spans} spans and {files} files so far); a larger span size makes fewer spans"
    )]
    TooLarge {
        /// Bytes that it may take.
        limit: u64,
        /// Spans that were found.
        spans: usize,
        /// Entries of the archive that were found.
        files: usize,
    },
}

/// Reads all of `source` and makes its ztoc. `declared` is what the media type says. `spare` is asked again and again, until it
/// has a core to spare: from then on the digests are made there.
///
/// # Errors
/// Only what `source` gives. What is wrong with the layer itself is part of the [`Pass`].
pub fn pass(
    source: impl Read,
    declared: LayerEncoding,
    options: &Options,
    spare: &mut dyn FnMut() -> Option<SpareCore>,
) -> io::Result<Pass> {
    pass_for(Purpose::Index, source, declared, options, spare)
}

/// As [`pass`], for a layer that is only to be read: what runtimes pass over (global PAX headers, padding behind the gzip stream)
/// is no reason that it cannot be, though no other client could use its ztoc.
///
/// # Errors
/// As [`pass`].
pub fn pass_to_read(
    source: impl Read,
    declared: LayerEncoding,
    options: &Options,
) -> io::Result<Pass> {
    pass_for(Purpose::Read, source, declared, options, &mut no_spare_core)
}

/// What a pass is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Index,
    Read,
}

fn pass_for(
    purpose: Purpose,
    mut source: impl Read,
    declared: LayerEncoding,
    options: &Options,
    spare: &mut dyn FnMut() -> Option<SpareCore>,
) -> io::Result<Pass> {
    let files = Files::new(purpose);
    let head = sniff(&mut source, &declared)?;
    let mut source = head.bytes.chain(source);
    let found = match head.encoding {
        Ok(encoding) if declared == LayerEncoding::Unknown || declared == encoding => Ok(encoding),
        Ok(found) => Err(Unindexable::MediaTypeLies { declared, found }),
        Err(name) => Err(Unindexable::Compression(name)),
    };
    match found {
        Ok(LayerEncoding::Gzip) => gzip_pass(&mut source, options, Hashing::new(spare), files),
        Ok(_) => uncompressed_pass(&mut source, options, Hashing::new(spare), files),
        Err(why) => digest_only(&mut source, why),
    }
}

fn each_piece(source: &mut impl Read, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        match source.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(n) => take(&piece[..n]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Reads a layer that cannot be indexed to its end.
fn digest_only(source: &mut impl Read, why: Unindexable) -> io::Result<Pass> {
    let (mut hasher, mut size) = (Hasher::default(), 0);
    each_piece(source, |piece| {
        hasher.update(piece);
        size += piece.len() as u64;
    })?;
    Ok(Pass {
        digest: hasher.finish(),
        size,
        ztoc: Err(why),
    })
}

/// Reads the tar stream into a table of contents.
#[derive(Default)]
struct Files {
    reader: TarReader,
    toc: Toc,
    /// Whether what is behind the archive and the gzip stream is passed over.
    passes_over_padding: bool,
}

impl Files {
    fn new(purpose: Purpose) -> Self {
        match purpose {
            Purpose::Index => Self::default(),
            Purpose::Read => Self {
                reader: TarReader::new().passing_over_globals(),
                toc: Toc::default(),
                passes_over_padding: true,
            },
        }
    }

    fn take(&mut self, plain: &[u8]) -> Result<(), Unindexable> {
        let toc = &mut self.toc;
        self.reader
            .push(plain, &mut |entry| push_entry(toc, &entry))
            .map_err(Unindexable::Tar)
    }
}

/// Refuses where more was collected than may be: after each piece of the uncompressed bytes, which are few enough not to matter.
fn check(spans: Size, toc: &Toc, options: &Options) -> Result<(), Unindexable> {
    let bytes = ztoc::flat_bytes_max(toc, spans.checkpoints, spans.count);
    if bytes as u64 > options.bytes_max {
        return Err(Unindexable::TooLarge {
            limit: options.bytes_max,
            spans: spans.count,
            files: toc.len(),
        });
    }
    Ok(())
}

fn push_entry(toc: &mut Toc, entry: &Entry<'_>) {
    toc.push(&FileMetadata {
        name: entry.name,
        kind: entry.kind.as_str().as_bytes(),
        offset: entry.payload_at.cast_signed(),
        size: entry.size,
        link_name: entry.link_name,
        mode: entry.mode,
        uid: low_half(entry.uid),
        gid: low_half(entry.gid),
        user_name: entry.user_name,
        group_name: entry.group_name,
        modified: entry.modified.to_rfc3339().as_bytes(),
        dev_major: entry.dev_major,
        dev_minor: entry.dev_minor,
        xattrs: entry.pax.iter().collect(),
    });
}

/// The format has 32 bits for ids; larger ones lose their upper half, as with the reference.
#[allow(
    clippy::cast_possible_truncation,
    reason = "losing the upper half is what the format asks for"
)]
fn low_half(id: i64) -> u32 {
    id.cast_unsigned() as u32
}

/// The sink of a gzip pass.
struct GzipSink<'a> {
    spans: GzipSpans<'a>,
    files: Files,
    options: &'a Options,
}

impl Sink for GzipSink<'_> {
    type Error = Unindexable;

    fn compressed(&mut self, bytes: &[u8]) {
        self.spans.take(bytes);
    }

    fn uncompressed(&mut self, bytes: &[u8]) -> Result<(), Unindexable> {
        self.files.take(bytes)?;
        check(self.spans.size(), &self.files.toc, self.options)
    }

    fn boundary(&mut self, boundary: Boundary, window: &[u8]) {
        self.spans.boundary(boundary, window);
    }
}

fn gzip_pass<'a>(
    source: &mut impl Read,
    options: &'a Options,
    hashing: Hashing<'a>,
    files: Files,
) -> io::Result<Pass> {
    let mut sink = GzipSink {
        spans: GzipSpans::new(options.span_size, hashing),
        files,
        options,
    };
    let mut gunzip = Gunzip::default();
    let read = match gunzip.run(source, &mut sink) {
        Ok(UncompressedAt(_)) => Ok(()),
        Err(inflate::Error::Read(error)) => return Err(error),
        Err(inflate::Error::Stream {
            fault: Fault::NotGzip,
            ..
        }) if sink.files.passes_over_padding && sink.files.reader.has_ended() => {
            gunzip.drain(source, &mut sink)?;
            Ok(())
        }
        Err(inflate::Error::Stream { at, fault }) => Err(Unindexable::Gzip { at, fault }),
        Err(inflate::Error::Sink(why)) => Err(why),
    };
    if read.is_err() {
        sink.files = Files::default();
        sink.spans.forget();
        gunzip.drain(source, &mut sink)?;
    }
    let spans = sink.spans.finish();
    Ok(assemble(
        Compression::Gzip,
        spans,
        read.map(|()| sink.files),
        options,
    ))
}

fn uncompressed_pass(
    source: &mut impl Read,
    options: &Options,
    hashing: Hashing<'_>,
    mut files: Files,
) -> io::Result<Pass> {
    let mut spans = EqualSpans::new(options.span_size, hashing);
    let mut read = Ok(());
    each_piece(source, |piece| {
        spans.take(piece);
        if read.is_ok() {
            read = files
                .take(piece)
                .and_then(|()| check(spans.size(), &files.toc, options));
            if read.is_err() {
                files = Files::default();
                spans.forget();
            }
        }
    })?;
    let files = read.map(|()| files);
    Ok(assemble(
        Compression::Uncompressed,
        spans.finish(),
        files,
        options,
    ))
}

fn assemble(
    compression: Compression,
    spans: Spans,
    files: Result<Files, Unindexable>,
    options: &Options,
) -> Pass {
    Pass {
        digest: spans.layer,
        size: spans.size,
        ztoc: files.and_then(|files| ztoc_of(compression, spans, files, options)),
    }
}

fn ztoc_of(
    compression: Compression,
    spans: Spans,
    files: Files,
    options: &Options,
) -> Result<Ztoc, Unindexable> {
    let plain_size = files.reader.finish().map_err(Unindexable::Tar)?;
    let count = spans.digests.len();
    let size = Size {
        count,
        checkpoints: spans.checkpoints.len(),
    };
    // The end may have added to it.
    check(size, &files.toc, options)?;
    Ok(Ztoc {
        build_tool: options.build_tool.clone(),
        compression,
        compressed_size: spans.size,
        plain_size,
        toc: files.toc,
        checkpoints: spans.checkpoints,
        max_span_id: i32::try_from(count).expect("so many digests pass any limit") - 1,
        span_digests: spans.digests,
    })
}
