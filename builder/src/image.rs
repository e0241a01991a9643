//! An image as it is stored: one manifest, or an index of several.
//! In: a reference's manifest. Out: each entry with what it is for us, and the manifests of the platforms' images.

use serde::Deserialize;

use crate::{
    index::V2,
    limits::Limits,
    oci::{Descriptor, ImageIndex, ImageManifest, Manifest, Platform, media_type},
    store::{self, Fetched, ReadImages},
};

/// An image with all its platforms.
pub struct Image {
    /// What the reference names.
    pub root: Fetched,
    /// The index, where the root is one.
    pub index: Option<ImageIndex>,
    /// The entries of the index in order; for a single manifest, that one.
    pub entries: Vec<Entry>,
}

/// One manifest of an image.
pub struct Entry {
    /// As the index has it; for a single manifest, as the registry has it.
    pub descriptor: Descriptor,
    /// What it is.
    pub role: Role,
}

/// What an entry of an image index is for us.
pub enum Role {
    /// The image of a platform.
    Platform {
        /// The platform: the index's word, or else the config's.
        platform: Platform,
        /// The manifest.
        manifest: Box<ImageManifest>,
    },
    /// A SOCI index, version 2.
    SociIndex,
    /// Anything else: build attestations, nested indexes, other artifacts. Stays as it is.
    Other,
}

/// A reference that names something else than an image.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A manifest of something else.
    #[error("it is no container image: its config has the media type {0:?}")]
    NotAnImage(String),
    /// A config that nobody would have written.
    #[error(
        "the config of the image has {0} bytes; at most {limit} are read",
        limit = Limits::MANIFEST_BYTES
    )]
    ConfigSize(u64),
    /// An index that nobody would have written.
    #[error("the manifests of its platforms have more than {0} bytes together")]
    ManifestsSize(u64),
    /// A config without a platform.
    #[error("the config of the image does not say its platform")]
    Config(#[source] serde_json::Error),
}

/// A platform that the image does not have.
#[derive(Debug, thiserror::Error)]
#[error("the image has no platform {wanted}; it has {there}")]
pub struct NoSuchPlatform {
    /// The platform asked for.
    pub wanted: String,
    /// Those that the image has.
    pub there: String,
}

/// The image of one platform: position among the entries, descriptor, platform and manifest.
pub type OfPlatform<'a> = (usize, &'a Descriptor, &'a Platform, &'a ImageManifest);

#[derive(Deserialize)]
struct Config {
    #[serde(flatten)]
    platform: Platform,
}

impl Image {
    /// Reads the manifests of an image, but no layer.
    pub async fn load(store: &impl ReadImages, root: Fetched) -> Result<Self, Error> {
        let (index, entries) = match &root.manifest {
            Manifest::Image(manifest) => {
                if !is_image(manifest) {
                    return Err(Error::NotAnImage(manifest.config.media_type.clone()));
                }
                let platform = platform_of(store, manifest).await?;
                let mut descriptor = root.descriptor.clone();
                descriptor.platform = Some(platform.clone());
                (
                    None,
                    vec![Entry {
                        descriptor,
                        role: Role::Platform {
                            platform,
                            manifest: manifest.clone(),
                        },
                    }],
                )
            }
            Manifest::Index(index) => {
                let mut entries = Vec::with_capacity(index.manifests.len());
                let mut room = store.limits().manifests_bytes;
                for descriptor in &index.manifests {
                    let role = role_of(store, descriptor, &mut room).await?;
                    entries.push(Entry {
                        descriptor: descriptor.clone(),
                        role,
                    });
                }
                (Some((**index).clone()), entries)
            }
        };
        Ok(Self {
            root,
            index,
            entries,
        })
    }

    /// The platforms' images. Of several images for one platform only the first counts, as it does for runtimes.
    pub fn platforms(&self) -> Vec<OfPlatform<'_>> {
        let mut found: Vec<OfPlatform<'_>> = Vec::new();
        for (at, entry) in self.entries.iter().enumerate() {
            if let Role::Platform { platform, manifest } = &entry.role
                && !found.iter().any(|(.., known, _)| known.same_as(platform))
            {
                found.push((at, &entry.descriptor, platform, manifest));
            }
        }
        found
    }

    /// The image for `wanted`.
    ///
    /// # Errors
    /// Where there is none.
    pub fn platform(&self, wanted: &Platform) -> Result<OfPlatform<'_>, NoSuchPlatform> {
        let platforms = self.platforms();
        let found = platforms.iter().find(|(.., of, _)| of.same_as(wanted));
        found.copied().ok_or_else(|| {
            let there = platforms.iter().map(|(.., of, _)| of.to_string());
            NoSuchPlatform {
                wanted: wanted.to_string(),
                there: there.collect::<Vec<_>>().join(", "),
            }
        })
    }
}

fn is_image(manifest: &ImageManifest) -> bool {
    [media_type::OCI_CONFIG, media_type::DOCKER_CONFIG]
        .contains(&manifest.config.media_type.as_str())
}

/// What an entry is. `room` is how many bytes its manifest may have, and is less by them afterwards.
async fn role_of(
    store: &impl ReadImages,
    descriptor: &Descriptor,
    room: &mut u64,
) -> Result<Role, Error> {
    if descriptor.artifact_type.as_deref() == Some(V2) {
        return Ok(Role::SociIndex);
    }
    let is_manifest = [media_type::OCI_MANIFEST, media_type::DOCKER_MANIFEST]
        .contains(&descriptor.media_type.as_str());
    if !is_manifest
        || descriptor
            .platform
            .as_ref()
            .is_some_and(Platform::is_unknown)
    {
        return Ok(Role::Other);
    }
    let fetched = store.manifest(descriptor).await?;
    *room = room
        .checked_sub(fetched.descriptor.size)
        .ok_or(Error::ManifestsSize(store.limits().manifests_bytes))?;
    let Manifest::Image(manifest) = fetched.manifest else {
        return Ok(Role::Other);
    };
    // Some tools drop an entry's artifact type when they copy an image index.
    if manifest.config.media_type == V2 {
        return Ok(Role::SociIndex);
    }
    if !is_image(&manifest) {
        return Ok(Role::Other);
    }
    let platform = match &descriptor.platform {
        Some(platform) => platform.clone(),
        None => platform_of(store, &manifest).await?,
    };
    Ok(Role::Platform { platform, manifest })
}

/// The platform that the image's config names, in its canonical spelling.
async fn platform_of(store: &impl ReadImages, manifest: &ImageManifest) -> Result<Platform, Error> {
    if manifest.config.size > Limits::MANIFEST_BYTES {
        return Err(Error::ConfigSize(manifest.config.size));
    }
    let config = store.blob(&manifest.config).await?;
    let config: Config = serde_json::from_slice(&config).map_err(Error::Config)?;
    Ok(config.platform.normalized())
}
