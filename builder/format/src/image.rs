//! An image: one manifest, or an index of several, each with what it is for us. Plain data; `load` reads it from a store.

use serde::{Deserialize, Serialize};

use crate::{
    choice::{Candidate, Kind, ShadowedImage, shadowed},
    digest::Digest,
    index::{INDEX_DIGEST, MANIFEST_DIGEST},
    oci::{Descriptor, ImageIndex, ImageManifest, Platform, StoredManifest},
};

/// An image with all its platforms.
pub struct Image {
    /// What the reference names.
    pub root: StoredManifest,
    /// The index, where the root is one.
    pub index: Option<ImageIndex>,
    /// The entries of the index in order, those of indexes within it in the place of these; for a single manifest, that one.
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
        /// The platform: the index's word; what that leaves open, the config's.
        platform: Platform,
        /// The manifest.
        manifest: Box<ImageManifest>,
    },
    /// A SOCI index, version 2.
    SociIndex,
    /// An image that is not in the store, or only in part; what is missing. Kept unchanged.
    Missing(String),
    /// Anything else: build attestations, other artifacts. Kept unchanged.
    Other,
}

/// An entry of an image index that is not in the store, or not all of it: partial copies have such.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// The platform, where the index says it.
    pub platform: Option<String>,
    /// Digest of its manifest.
    pub manifest_digest: Digest,
    /// What is missing.
    pub reason: String,
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let platform = self.platform.as_deref().unwrap_or("an unknown platform");
        write!(
            f,
            "{} for {platform}: {}",
            self.manifest_digest, self.reason
        )
    }
}

/// A platform that the image does not have.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoSuchPlatform {
    /// The image index does not list it.
    #[error("the image has no platform {wanted}; it has {there}")]
    NotListed {
        /// The platform asked for.
        wanted: String,
        /// Those that the image has.
        there: String,
    },
    /// The image index lists it, but its image is missing.
    #[error("the image for {wanted} is incomplete: {missing}; copy that platform too")]
    Missing {
        /// The platform asked for.
        wanted: String,
        /// What is missing.
        missing: Missing,
    },
}

/// The image of one platform: position among the entries, descriptor, platform and manifest.
pub type OfPlatform<'a> = (usize, &'a Descriptor, &'a Platform, &'a ImageManifest);

impl Image {
    /// The platforms' images, each once. Several may be for one platform.
    pub fn platforms(&self) -> Vec<OfPlatform<'_>> {
        let mut found: Vec<OfPlatform<'_>> = Vec::new();
        for (at, entry) in self.entries.iter().enumerate() {
            if let Role::Platform { platform, manifest } = &entry.role {
                let digest = entry.descriptor.digest;
                let is_known = |(_, known, of, _): &OfPlatform<'_>| {
                    known.digest == digest && of.same_as(platform)
                };
                if !found.iter().any(is_known) {
                    found.push((at, &entry.descriptor, platform, manifest));
                }
            }
        }
        found
    }

    /// The images for `wanted`; several where the image has several versions of an operating system.
    ///
    /// # Errors
    /// Where there is none, or one of them is missing.
    pub fn platform(&self, wanted: &Platform) -> Result<Vec<OfPlatform<'_>>, NoSuchPlatform> {
        let missing = self.entries.iter().find_map(|entry| {
            let of = entry.descriptor.platform.as_ref()?;
            of.matches(wanted).then(|| entry.missing())?
        });
        if let Some(missing) = missing {
            return Err(NoSuchPlatform::Missing {
                wanted: wanted.to_string(),
                missing,
            });
        }
        let platforms = self.platforms();
        let there = platforms.iter().map(|(.., of, _)| of.to_string());
        let there = there.collect::<Vec<_>>().join(", ");
        let meant: Vec<_> = platforms
            .into_iter()
            .filter(|(.., of, _)| of.matches(wanted))
            .collect();
        if meant.is_empty() {
            return Err(NoSuchPlatform::NotListed {
                wanted: wanted.to_string(),
                there,
            });
        }
        Ok(meant)
    }

    /// The entries of the SOCI indexes that say, or of which the image says, that they belong together. Where entries say nothing,
    /// those for the same platform.
    pub fn soci_indexes_of(
        &self,
        descriptor: &Descriptor,
        platform: &Platform,
        manifest: &ImageManifest,
    ) -> Vec<&Descriptor> {
        let mut found: Vec<&Descriptor> = Vec::new();
        for entry in &self.entries {
            let of = &entry.descriptor;
            let link = Link::between(of, descriptor, platform, manifest);
            let is_its = link.is_named || link.names.unwrap_or(link.is_same_platform);
            if matches!(entry.role, Role::SociIndex)
                && is_its
                && !found.iter().any(|known| known.digest == of.digest)
            {
                found.push(of);
            }
        }
        found
    }

    /// The entries that are missing, or of which something is.
    pub fn missing(&self) -> Vec<Missing> {
        self.entries.iter().filter_map(Entry::missing).collect()
    }

    /// What clients take for the images of the platforms for which `is_asked` says yes, where that is no image.
    pub fn shadowed(&self, is_asked: impl Fn(&Platform) -> bool) -> Vec<ShadowedImage> {
        let entries = self.entries.iter();
        let candidates: Vec<_> = entries
            .map(|entry| Candidate {
                descriptor: &entry.descriptor,
                kind: entry.kind(),
            })
            .collect();
        shadowed(&candidates, is_asked)
    }
}

/// What links a SOCI index to an image's manifest.
pub(crate) struct Link {
    /// The image's manifest names the index.
    pub(crate) is_named: bool,
    /// The index names the image's manifest; `None` where it names none.
    pub(crate) names: Option<bool>,
    /// Both are for one platform.
    pub(crate) is_same_platform: bool,
}

impl Link {
    pub(crate) fn between(
        soci_index: &Descriptor,
        image: &Descriptor,
        platform: &Platform,
        manifest: &ImageManifest,
    ) -> Self {
        let is_digest = |text: &String, digest: Digest| *text == digest.to_string();
        let named = manifest.annotations.get(INDEX_DIGEST);
        let names = soci_index.annotations.get(MANIFEST_DIGEST);
        let of = soci_index.platform.as_ref();
        Self {
            is_named: named.is_some_and(|named| is_digest(named, soci_index.digest)),
            names: names.map(|names| is_digest(names, image.digest)),
            is_same_platform: of.is_some_and(|of| of.same_as(platform)),
        }
    }
}

impl Entry {
    /// What clients must not confuse.
    pub fn kind(&self) -> Kind<'_> {
        match &self.role {
            Role::Platform { platform, .. } => Kind::Image(platform),
            Role::Missing(_) => Kind::Missing,
            Role::SociIndex => Kind::SociIndex,
            Role::Other => Kind::Other,
        }
    }

    fn missing(&self) -> Option<Missing> {
        let Role::Missing(reason) = &self.role else {
            return None;
        };
        Some(Missing {
            platform: self.descriptor.platform.as_ref().map(Platform::to_string),
            manifest_digest: self.descriptor.digest,
            reason: reason.clone(),
        })
    }
}
