//! Why an image cannot be read through its index.

use std::io;

use soci_format::{
    digest::{Digest, InvalidDigest},
    image,
    layer::Unindexable,
    plural::bytes,
    tar::Kind,
    tree,
    ztoc::InvalidZtoc,
};
use soci_store::{load, store};

use super::{SpanError, UnusableSpans};

/// Why an image cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The registry or the layout.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The image itself.
    #[error(transparent)]
    Image(#[from] load::Error),
    /// A platform that the image does not have: the one asked for, or that of this machine.
    #[error("{0}; choose one with --platform")]
    Platform(image::NoSuchPlatform),
    /// A manifest whose annotation names no digest.
    #[error("the annotation of the image's manifest that names its SOCI index is malformed")]
    Annotation(#[from] InvalidDigest),
    /// An index that is named and not there.
    #[error("SOCI index {0} not found, though the image's manifest names it")]
    NoIndex(Digest),
    /// An index that the list of referrers names and that is not there.
    #[error(
        "SOCI index {0} not found, though the image's list of referrers names it; index the image again to restore it"
    )]
    NoReferrer(Digest),
    /// Something else where an index should be.
    #[error("SOCI index {0} is an image index, not a manifest")]
    NotAnIndex(Digest),
    /// The ztoc of a layer.
    #[error("the ztoc {ztoc} of {layer} cannot be used")]
    Ztoc {
        layer: String,
        ztoc: Digest,
        /// Why.
        source: InvalidZtoc,
    },
    /// A ztoc whose spans do not fit its layer.
    #[error("the ztoc of {layer} cannot be used")]
    Spans {
        layer: String,
        /// Why.
        source: UnusableSpans,
    },
    /// A layer without a ztoc that cannot be read either.
    #[error("{layer} has no ztoc and cannot be read whole")]
    Unreadable {
        layer: String,
        /// Why.
        source: Unindexable,
    },
    /// Ztocs that together are too large.
    #[error(
        "cannot load the ztoc of {layer}: the ztocs of the image take more than {limit} bytes together"
    )]
    ZtocsSize {
        /// The layer whose ztoc has no room.
        layer: String,
        /// Bytes that all may take.
        limit: u64,
    },
    /// A layer that is not what the manifest names.
    #[error("{layer} is corrupt: digest mismatch, its {} have digest {found}", bytes(*.size))]
    Layer {
        /// The layer, by what it should be.
        layer: String,
        /// Digest of what came.
        found: Digest,
        size: u64,
    },
    /// A layer that broke off.
    #[error("cannot read {layer}")]
    Read {
        layer: String,
        /// Why.
        source: io::Error,
    },
    #[error("cannot read span {span} of {layer}")]
    Span {
        layer: String,
        span: usize,
        /// Why.
        source: SpanError,
    },
    /// A file that cannot lie where its ztoc says.
    #[error("the ztoc of {layer} has a file at uncompressed bytes {start} to {end}, but {why}")]
    FileRange {
        layer: String,
        /// First byte.
        start: u64,
        /// The byte behind the last one.
        end: u64,
        /// Why it cannot.
        why: String,
    },
    /// A file of another size than its ztoc says.
    #[error(
        "the ztoc of {layer} has a file of {size} bytes at uncompressed byte {start}, but its header in the archive {found}"
    )]
    FileSize {
        layer: String,
        /// First byte.
        start: u64,
        /// By the ztoc.
        size: u64,
        /// By the archive.
        found: String,
    },
    /// A file that ends too early.
    #[error("the last {missing} bytes of the file are in no span of {layer}")]
    FileCut {
        layer: String,
        /// Bytes that did not come.
        missing: u64,
    },
    /// Layers that make no file system.
    #[error("{layer} cannot be unpacked")]
    Unpackable {
        layer: String,
        /// Why.
        source: tree::Unpackable,
    },
    /// No such file.
    #[error("cannot find {path}")]
    Path {
        path: String,
        /// Why.
        source: tree::NotFound,
    },
    /// No such file, as far as is known.
    #[error("cannot find {path}, unless it is in {layer}, which cannot be read")]
    PathUnknown {
        path: String,
        /// The layer whose files are not known.
        layer: String,
        /// What is known.
        source: tree::NotFound,
    },
    /// A file that may have been replaced.
    #[error(
        "{path} may not be the file that a container sees: {layer}, which lies above it, cannot be read and may have replaced or removed it ({reason})"
    )]
    Doubtful {
        path: String,
        /// The layer whose files are not known.
        layer: String,
        /// Why it cannot be read.
        reason: String,
    },
    /// Something without contents.
    #[error("{path} is {}, not a regular file", .kind.described())]
    NotAFile { path: String, kind: Kind },
    /// A worker thread died.
    #[error("internal error, please report it: a worker thread panicked")]
    Worker(#[from] tokio::task::JoinError),
}
