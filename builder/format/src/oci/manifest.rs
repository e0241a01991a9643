//! Manifests: image manifest, image index and the descriptors they are made of.
//! Field order is the order of the OCI specification's Go types; unknown fields of the input are dropped.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{json::null_is_default, layer::is_foreign, platform::Platform};
use crate::digest::Digest;

/// Media types of manifests, configs and layers.
pub mod media_type {
    /// OCI image manifest.
    pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    /// OCI image index.
    pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
    /// OCI image config.
    pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
    /// Docker's image config.
    pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
    /// Docker's image manifest, version 2 schema 2.
    pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    /// Docker's manifest list.
    pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    /// Every manifest that we read, for an `Accept` header.
    pub const MANIFESTS: [&str; 4] = [OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST];
}

/// Annotations: text by key, written in key order.
pub type Annotations = BTreeMap<String, String>;

/// Names a blob or a manifest: what it is, its digest and its size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Descriptor {
    /// What the blob is.
    #[serde(rename = "mediaType", default)]
    pub media_type: String,
    /// Digest of the blob.
    pub digest: Digest,
    /// Size of the blob in bytes.
    pub size: u64,
    /// Other places to get the blob from.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null_is_default"
    )]
    pub urls: Vec<String>,
    /// What its writer says about the blob.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "null_is_default"
    )]
    pub annotations: Annotations,
    /// The blob itself, base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// What the image runs on; in image indexes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Type of the artifact that a manifest describes.
    #[serde(
        rename = "artifactType",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub artifact_type: Option<String>,
}

impl Descriptor {
    /// Names `bytes`.
    pub fn of(media_type: &str, bytes: &[u8]) -> Self {
        Self::new(media_type, Digest::of(bytes), bytes.len() as u64)
    }

    /// A descriptor with the three fields that every one has.
    pub fn new(media_type: &str, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest,
            size,
            urls: Vec::new(),
            annotations: Annotations::new(),
            data: None,
            platform: None,
            artifact_type: None,
        }
    }
}

/// The manifest of one platform's image, or of an artifact in the same form (a SOCI index is one).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageManifest {
    /// Always 2.
    #[serde(rename = "schemaVersion")]
    pub schema_version: u32,
    /// Its own media type; OCI allows it to be absent.
    #[serde(
        rename = "mediaType",
        default,
        skip_serializing_if = "String::is_empty"
    )]
    pub media_type: String,
    /// Type of the artifact, where this is none of an image.
    #[serde(
        rename = "artifactType",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub artifact_type: Option<String>,
    /// The image's config.
    pub config: Descriptor,
    /// The layers, bottom first.
    #[serde(default, deserialize_with = "null_is_default")]
    pub layers: Vec<Descriptor>,
    /// The manifest that this one belongs to; makes it a referrer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// What its writer says about the image.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "null_is_default"
    )]
    pub annotations: Annotations,
}

impl ImageManifest {
    /// The blobs that a repository must have: the config and the layers, but for foreign ones, which runtimes get elsewhere.
    pub fn required_blobs(&self) -> impl Iterator<Item = &Descriptor> {
        let layers = self.layers.iter();
        let layers = layers.filter(|layer| !is_foreign(&layer.media_type));
        [&self.config].into_iter().chain(layers)
    }
}

/// A list of manifests, one a platform as a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageIndex {
    /// Always 2.
    #[serde(rename = "schemaVersion")]
    pub schema_version: u32,
    /// Its own media type; OCI allows it to be absent.
    #[serde(
        rename = "mediaType",
        default,
        skip_serializing_if = "String::is_empty"
    )]
    pub media_type: String,
    /// Type of the artifact, where this is none of an image.
    #[serde(
        rename = "artifactType",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub artifact_type: Option<String>,
    /// The manifests.
    #[serde(default, deserialize_with = "null_is_default")]
    pub manifests: Vec<Descriptor>,
    /// The manifest that this one belongs to; makes it a referrer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// What its writer says about the image.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "null_is_default"
    )]
    pub annotations: Annotations,
}

/// Either kind of manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Manifest {
    /// One platform's image.
    Image(Box<ImageManifest>),
    /// A list of manifests.
    Index(Box<ImageIndex>),
}

/// Bytes that are no manifest we can read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidManifest {
    /// Not JSON, or not of the form that the media type promises.
    #[error("not a manifest of type {media_type}")]
    Form {
        /// The type it was read as.
        media_type: String,
        /// What the parser met.
        source: serde_json::Error,
    },
    /// A manifest of another kind.
    #[error("media type {0:?} is neither an image manifest nor an image index")]
    MediaType(String),
}

impl Manifest {
    /// `media_type`, or what the manifest says itself where that is empty.
    pub fn media_type_or(&self, media_type: &str) -> String {
        let (own, default) = match self {
            Self::Image(manifest) => (&manifest.media_type, media_type::OCI_MANIFEST),
            Self::Index(index) => (&index.media_type, media_type::OCI_INDEX),
        };
        [media_type, own, default]
            .into_iter()
            .find(|found| !found.is_empty())
            .unwrap_or_default()
            .to_owned()
    }

    /// Reads `bytes` as what `media_type` says; where that is empty, as what they say themselves.
    pub fn parse(media_type: &str, bytes: &[u8]) -> Result<Self, InvalidManifest> {
        let form = |source| InvalidManifest::Form {
            media_type: media_type.to_owned(),
            source,
        };
        match media_type {
            media_type::OCI_MANIFEST | media_type::DOCKER_MANIFEST => serde_json::from_slice(bytes)
                .map(|image| Self::Image(Box::new(image)))
                .map_err(form),
            media_type::OCI_INDEX | media_type::DOCKER_LIST => serde_json::from_slice(bytes)
                .map(|index| Self::Index(Box::new(index)))
                .map_err(form),
            "" => match serde_json::from_slice::<OwnMediaType>(bytes)
                .map_err(form)?
                .guess()
            {
                "" => Err(InvalidManifest::MediaType(String::new())),
                own => Self::parse(own, bytes),
            },
            other => Err(InvalidManifest::MediaType(other.to_owned())),
        }
    }
}

/// The fields that tell a manifest's kind where nobody else does.
#[derive(Deserialize)]
struct OwnMediaType {
    #[serde(rename = "mediaType", default)]
    media_type: String,
    manifests: Option<serde::de::IgnoredAny>,
    layers: Option<serde::de::IgnoredAny>,
}

impl OwnMediaType {
    fn guess(&self) -> &str {
        match (self.media_type.as_str(), &self.manifests, &self.layers) {
            ("", Some(_), _) => media_type::OCI_INDEX,
            ("", None, Some(_)) => media_type::OCI_MANIFEST,
            (own, _, _) => own,
        }
    }
}
