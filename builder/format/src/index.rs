//! SOCI indexes: which ztoc belongs to which layer of an image.
//! In: descriptors of ztocs. Out: manifests, byte for byte as the reference implementation writes them. Pure: no I/O.

mod options;
mod prefetch;

pub use options::IndexOptions;
pub use prefetch::{PREFETCH, SpanRange, prefetch_artifact, prefetched_spans};

use std::{fmt, str::FromStr};

use crate::oci::{Annotations, Descriptor, ImageManifest, media_type, to_go_json};

/// Artifact type of a version 1 index: a referrer of the image's manifest.
pub const V1: &str = "application/vnd.amazon.soci.index.v1+json";
/// Artifact type of a version 2 index: an entry of the image's own index.
pub const V2: &str = "application/vnd.amazon.soci.index.v2+json";
/// Media type of a ztoc.
pub const ZTOC: &str = "application/octet-stream";
/// The config of every SOCI index.
pub const EMPTY_CONFIG: &[u8] = b"{}";

/// On a ztoc: the layer's digest.
pub const LAYER_DIGEST: &str = "com.amazon.soci.image-layer-digest";
/// On a ztoc: the layer's media type.
pub const LAYER_MEDIA_TYPE: &str = "com.amazon.soci.image-layer-mediaType";
/// On a ztoc: uncompressed bytes between two checkpoints.
pub const SPAN_SIZE: &str = "com.amazon.soci.span-size";
/// On a ztoc: `true` where the layer has no extended attributes to look up.
pub(crate) const DISABLE_XATTRS: &str = "com.amazon.soci.disable-xattrs";
/// On a SOCI index: what built it.
pub const BUILD_TOOL: &str = "com.amazon.soci.build-tool-identifier";
/// On an image's manifest: its SOCI index, version 2.
pub const INDEX_DIGEST: &str = "com.amazon.soci.index-digest";
/// On the entry of a SOCI index, version 2: the image's manifest.
pub const MANIFEST_DIGEST: &str = "com.amazon.soci.image-manifest-digest";

/// Which form an index takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// Beside the image, found through the referrers API. Only for accounts that AWS has enabled.
    V1,
    /// Inside a new image index.
    V2,
}

impl Version {
    /// Both, as text.
    pub const NAMES: [&str; 2] = [Self::V1.name(), Self::V2.name()];

    /// `v1` or `v2`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
        }
    }

    /// The artifact type of an index of this version.
    pub fn artifact_type(self) -> &'static str {
        match self {
            Self::V1 => V1,
            Self::V2 => V2,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Neither `v1` nor `v2`.
#[derive(Debug, thiserror::Error)]
#[error("expected v1 or v2")]
pub struct InvalidVersion;

impl FromStr for Version {
    type Err = InvalidVersion;

    fn from_str(text: &str) -> Result<Self, InvalidVersion> {
        [Self::V1, Self::V2]
            .into_iter()
            .find(|version| version.name() == text)
            .ok_or(InvalidVersion)
    }
}

/// Whether an entry of an image index is a SOCI index, version 2.
pub fn is_soci_index(entry: &Descriptor) -> bool {
    entry.artifact_type.as_deref() == Some(V2)
}

/// The descriptor of the ztoc of `layer`.
pub fn ztoc_descriptor(
    layer: &Descriptor,
    ztoc: &Descriptor,
    span_size: u64,
    disable_xattrs: bool,
) -> Descriptor {
    let mut descriptor = Descriptor::new(ZTOC, ztoc.digest, ztoc.size);
    descriptor.annotations = Annotations::from([
        (LAYER_DIGEST.to_owned(), layer.digest.to_string()),
        (LAYER_MEDIA_TYPE.to_owned(), layer.media_type.clone()),
        (SPAN_SIZE.to_owned(), span_size.to_string()),
    ]);
    if disable_xattrs {
        descriptor
            .annotations
            .insert(DISABLE_XATTRS.to_owned(), "true".to_owned());
    }
    descriptor
}

/// What an index says about itself. Whatever is added here is part of its digest, and compared by
/// [`is_requested_index`](crate::plan::is_requested_index).
fn annotations(options: &IndexOptions) -> Annotations {
    Annotations::from([(BUILD_TOOL.to_owned(), options.build_tool.clone())])
}

/// The SOCI index of one platform's image; `subject` is that image's manifest, for version 1. Gives the descriptor as
/// registries list it, and the manifest.
pub fn soci_index(
    version: Version,
    blobs: Vec<Descriptor>,
    subject: &Descriptor,
    options: &IndexOptions,
) -> (Descriptor, Vec<u8>) {
    let manifest = ImageManifest {
        schema_version: 2,
        media_type: media_type::OCI_MANIFEST.to_owned(),
        artifact_type: None,
        config: Descriptor::of(version.artifact_type(), EMPTY_CONFIG),
        layers: blobs,
        subject: match version {
            Version::V1 => Some(Descriptor::new(
                &subject.media_type,
                subject.digest,
                subject.size,
            )),
            Version::V2 => None,
        },
        annotations: annotations(options),
    };
    let bytes = to_go_json(&manifest);
    let mut descriptor = Descriptor::of(media_type::OCI_MANIFEST, &bytes);
    descriptor.artifact_type = Some(version.artifact_type().to_owned());
    if version == Version::V1 {
        // What a referrers list says of a manifest (distribution specification, "listing referrers").
        descriptor.annotations = manifest.annotations;
    }
    (descriptor, bytes)
}
