//! Why a run failed: one enum, each variant a plain sentence, the cause behind it.

use std::io;

use soci_format::{
    choice::ShadowedImage, digest::Digest, image, layer::Unindexable, plural::bytes,
    printable::printable,
};
use soci_store::{layout, load, registry, store};

use crate::{progress::StopReason, report::NotPrefetched};

/// Why a run failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The registry or the layout.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The image itself.
    #[error(transparent)]
    Image(#[from] load::Error),
    /// No tag to derive the output tag from.
    #[error("the image has no tag to derive the output tag from; set one with --output-tag")]
    NoOutputTag,
    /// An output tag that registries refuse.
    #[error(
        "{0:?} cannot be a tag: tags have at most 128 letters, digits, '_', '.' and '-'; choose another with --output-tag (in a layout it may also be a whole name, HOST/REPOSITORY:TAG)"
    )]
    OutputTag(String),
    /// An output tag for an index that makes no image.
    #[error(
        "--output-tag cannot be combined with --index-version v1: a version 1 index makes no new image, and the image keeps its tag"
    )]
    OutputTagOfVersion1,
    /// More platforms than a copy can be of.
    #[error(
        "--copy-to copies the whole image or one platform of it; give --platform once, or not at all"
    )]
    CopyPlatforms,
    /// A platform that stands for several images, of which a copy can be of one only.
    #[error(
        "{wanted} matches several images ({}); choose one, or copy the whole image without --platform", .found.join(", ")
    )]
    CopyOfSeveral {
        /// The platform asked for.
        wanted: String,
        /// The platforms of those images.
        found: Vec<String>,
    },
    /// One blob of a copy.
    #[error("cannot copy blob {digest}")]
    Copy {
        /// The blob.
        digest: Digest,
        /// Why.
        source: Box<store::Error>,
    },
    /// An archive that nothing can be written into.
    #[error(
        "an archive from standard input or a pipe cannot be indexed, because the result is written into the archive; save it to a file first, and use oci-archive:FILE"
    )]
    Stdin,
    /// A platform that the image does not have.
    #[error(transparent)]
    Platform(#[from] image::NoSuchPlatform),
    /// An image index from which clients would pull something else.
    #[error(
        "the image index would mislead clients; remove that entry, or push the image again without it"
    )]
    ShadowedImage(#[from] ShadowedImage),
    /// A registry that takes no index with gaps.
    #[error(
        "the registry refused the new image index, which lists manifests that the repository does not have: {missing}; copy these too, or push the image again without them"
    )]
    Incomplete {
        /// The missing manifests.
        missing: String,
        /// The registry's words.
        source: Box<store::Error>,
    },
    /// One of several output tags.
    #[error("cannot put the tag {} on {digest} ({})", .not_put.first().map_or("", String::as_str), put_or_not(put, not_put))]
    SomeTags {
        /// Those that were put before it.
        put: Vec<String>,
        /// That tag, and those that were not tried.
        not_put: Vec<String>,
        /// What they were to name.
        digest: Digest,
        /// Why.
        source: Box<Error>,
    },
    /// One layer.
    #[error("cannot index layer {number} of {count} ({digest})")]
    Layer {
        /// Its number within its image, from 1.
        number: usize,
        /// How many layers that image has.
        count: usize,
        /// Its digest.
        digest: Digest,
        /// Why.
        source: Box<LayerError>,
    },
    /// Files that cannot be prefetched, and `--strict` was asked for.
    #[error("cannot prefetch {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Prefetch(Vec<NotPrefetched>),
    /// Something that was pushed was not found.
    #[error("verification of the pushed index failed: {what}; the output tag was not changed")]
    ReadBack {
        /// What is missing or different.
        what: String,
    },
    /// Another client moved the tag at the same time.
    #[error(
        "tag {tag} was set to {wanted}, but now points to {found}; is another build writing it?"
    )]
    TagMoved {
        /// The tag.
        tag: String,
        /// What it was to name.
        wanted: Digest,
        /// What it names.
        found: String,
    },
    /// The caller stopped the run.
    #[error("stopped before the output tag was pushed: {0}; existing tags were not changed")]
    Stopped(StopReason),
    /// A worker thread died.
    #[error("internal error, please report it: a worker thread panicked")]
    Worker(#[from] tokio::task::JoinError),
}

/// Why a layer could not be indexed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayerError {
    /// Its bytes could not be read.
    #[error("cannot read the layer")]
    Read(#[source] io::Error),
    /// It could not be opened, or its ztoc not be written.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A digest mismatch.
    #[error(
        "digest mismatch: expected {expected}, got {found} ({}); the layer is corrupt in the registry or was corrupted in transit",
        bytes(*.size)
    )]
    Digest {
        /// What the manifest says.
        expected: Digest,
        /// What was received.
        found: Digest,
        /// Bytes received.
        size: u64,
    },
    /// It cannot be indexed, and `--strict` is set.
    #[error("the layer cannot be indexed")]
    Unindexable(#[from] Unindexable),
    /// A worker thread died.
    #[error("internal error, please report it: a worker thread panicked")]
    Worker(#[from] tokio::task::JoinError),
}

impl From<layout::Error> for Error {
    fn from(error: layout::Error) -> Self {
        Self::Store(error.into())
    }
}

impl Error {
    /// Whether the registry, or AWS, denied access: a right that was granted a moment ago may not be in effect yet.
    pub fn is_access_denied(&self) -> bool {
        self.registry()
            .is_some_and(registry::Error::is_access_denied)
    }

    /// The registry's part in it.
    fn registry(&self) -> Option<&registry::Error> {
        let store = match self {
            Self::Store(error) | Self::Image(load::Error::Store(error)) => error,
            Self::Copy { source, .. } => source,
            Self::Incomplete { source, .. } => source,
            Self::SomeTags { source, .. } => return source.registry(),
            Self::Layer { source, .. } => match &**source {
                LayerError::Store(error) => error,
                LayerError::Read(error) => return error.get_ref()?.downcast_ref(),
                _ => return None,
            },
            _ => return None,
        };
        match store {
            store::Error::Registry(error) => Some(error),
            store::Error::ImmutableTag { source, .. } => Some(source),
            _ => None,
        }
    }

    /// Whether the request itself is wrong, so that a retry cannot help.
    pub fn is_usage_error(&self) -> bool {
        matches!(
            self,
            Self::NoOutputTag
                | Self::OutputTag(_)
                | Self::OutputTagOfVersion1
                | Self::CopyPlatforms
                | Self::Stdin
        )
    }
}

/// What a failure among several tags left behind.
fn put_or_not(put: &[String], not_put: &[String]) -> String {
    match put {
        [] => format!("not put: {}", not_put.join(", ")),
        put => format!("put: {}; not put: {}", put.join(", "), not_put.join(", ")),
    }
}

/// An error and its causes, in one line that can be printed, whatever of an image or a registry they quote.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line += &format!(": {error}");
        cause = error.source();
    }
    printable(&line)
}
