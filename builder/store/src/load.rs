//! Reads an image from a store: its manifests, but no layer.
//! In: a reference's manifest. Out: the image, each entry with what it is for us, those of indexes within it in the place of these.

mod contents;
mod kept;
mod presence;
mod walk;

use soci_format::{
    digest::Digest,
    image::{Entry, Image, Missing, Role},
    limits::Limits,
    oci::{ImageManifest, Manifest, StoredManifest, media_type},
};

pub use contents::{Contents, contents};
pub use kept::KeptManifests;
pub use presence::Presence;

use crate::store::{self, ReadImages};
use walk::{Walk, platform_of};

/// A reference that names something else than an image.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error("not a container image: its config has media type {0:?}")]
    NotAnImage(String),
    /// An index that lists no image.
    #[error("no platform found: {0}")]
    NoImages(&'static str),
    /// An index of whose images something is missing.
    #[error("no platform found: no image is complete here: {0}")]
    NoPlatform(String),
    /// A config that is too large.
    #[error(
        "the config of the image has {1} bytes; at most {limit} are read (manifest {0})",
        limit = Limits::MANIFEST_BYTES
    )]
    ConfigSize(Digest, u64),
    /// An index that nobody would have written.
    #[error("the manifests of its platforms have more than {0} bytes together")]
    ManifestsSize(u64),
    /// An index that nobody would have written.
    #[error("the image index lists more than {0} manifests, with those of the indexes in it")]
    Manifests(usize),
    /// Indexes within indexes.
    #[error("image indexes are nested more than {0} deep, at {1}")]
    Nested(usize, Digest),
    /// A config that cannot be read.
    #[error("cannot read the config of the manifest {0}")]
    Config(Digest, #[source] serde_json::Error),
    /// A config without a platform.
    #[error(
        "the config of the manifest {0} has no os and architecture, and no index states them; build the image with a platform"
    )]
    ConfigPlatform(Digest),
}

/// Reads the manifests of an image, but no layer.
///
/// # Errors
/// Where it is none, has no platform, or something of it cannot be read. Manifests that are missing are no error as long as
/// there is one.
pub async fn load(store: &impl ReadImages, root: StoredManifest) -> Result<Image, Error> {
    let (index, entries) = match &root.manifest {
        Manifest::Image(manifest) => {
            if !is_image(manifest) {
                return Err(Error::NotAnImage(manifest.config.media_type.clone()));
            }
            let platform = platform_of(store, root.descriptor.digest, manifest).await?;
            if !platform.is_complete() {
                return Err(Error::ConfigPlatform(root.descriptor.digest));
            }
            let mut descriptor = root.descriptor.clone();
            descriptor.platform = Some(platform.clone());
            let manifest = manifest.clone();
            let role = Role::Platform { platform, manifest };
            (None, vec![Entry { descriptor, role }])
        }
        Manifest::Index(index) => {
            let entries = Walk::new(store).entries(index).await?;
            (Some((**index).clone()), entries)
        }
    };
    let image = Image {
        root,
        index,
        entries,
    };
    with_platforms(image)
}

fn with_platforms(image: Image) -> Result<Image, Error> {
    if !image.platforms().is_empty() {
        return Ok(image);
    }
    let missing: Vec<_> = image.missing().iter().map(Missing::to_string).collect();
    Err(match (&missing[..], image.entries.len()) {
        ([], 0) => Error::NoImages("the image index is empty"),
        ([], _) => Error::NoImages("the image index lists no container image"),
        _ => Error::NoPlatform(missing.join("; ")),
    })
}

/// Leaves out the images of which something is missing that a container needs.
///
/// # Errors
/// Where none is left.
pub fn leave_out_incomplete(mut image: Image, presence: &Presence) -> Result<Image, Error> {
    for entry in &mut image.entries {
        if let Role::Platform { manifest, .. } = &entry.role
            && let Some(what) = presence.missing_blob(manifest)
        {
            entry.role = Role::Missing(what);
        }
    }
    with_platforms(image)
}

fn is_image(manifest: &ImageManifest) -> bool {
    [media_type::OCI_CONFIG, media_type::DOCKER_CONFIG]
        .contains(&manifest.config.media_type.as_str())
}
