//! Where an image's index is: the annotation of its manifest (version 2), or its referrers (version 1).
//! In: an image. Out: one platform's manifest, and the index that belongs to it.

use soci_format::{
    digest::Digest,
    image::Image,
    index::{INDEX_DIGEST, LAYER_DIGEST, V1, Version, ZTOC},
    oci::{Descriptor, ImageManifest, Manifest, Platform, Selector},
};
use soci_store::store::{ReadImages, Store};

use super::Error;

/// The image of one platform, and its index.
pub struct PlatformImage {
    pub platform: Platform,
    /// Names the manifest.
    pub descriptor: Descriptor,
    pub manifest: ImageManifest,
    /// The index that runtimes would use; none where the image has none.
    pub index: Option<FoundIndex>,
    /// What the user should know of the choice.
    pub warning: Option<String>,
}

/// A SOCI index.
pub struct FoundIndex {
    /// Which form it has.
    pub version: Version,
    /// Names it.
    pub descriptor: Descriptor,
    pub manifest: ImageManifest,
}

impl PlatformImage {
    /// The image for `wanted`; without that, the only one, or that of this machine's platform.
    pub(super) async fn find(
        store: &Store,
        image: &Image,
        wanted: Option<&Platform>,
    ) -> Result<Self, Error> {
        let chosen = match (wanted, &image.platforms()[..]) {
            (None, [only]) => Ok(vec![*only]),
            (None, _) => image.platform(&host_platform()),
            (Some(wanted), _) => image.platform(wanted),
        };
        let chosen = chosen.map_err(Error::Platform)?;
        // There is one at least. Of several for one platform clients take the first.
        let (_, descriptor, platform, manifest) = chosen[0];
        let warning = (chosen.len() > 1).then(|| {
            format!(
                "the image has {} manifests for that platform; using the first, {}, for {platform}",
                chosen.len(),
                descriptor.digest
            )
        });
        let index = match FoundIndex::by_annotation(store, manifest).await? {
            Some(index) => Some(index),
            None => FoundIndex::by_referrers(store, descriptor).await?,
        };
        Ok(Self {
            platform: platform.clone(),
            descriptor: descriptor.clone(),
            manifest: manifest.clone(),
            index,
            warning,
        })
    }

    /// The ztoc of `layer`; none where there is no index, or it has none.
    pub fn ztoc_of(&self, layer: &Descriptor) -> Option<&Descriptor> {
        self.index.as_ref()?.ztoc_of(layer)
    }
}

impl FoundIndex {
    /// The index of version 2 that `image` names.
    ///
    /// # Errors
    /// Where it names one that is not there.
    pub async fn by_annotation(
        store: &Store,
        image: &ImageManifest,
    ) -> Result<Option<Self>, Error> {
        let Some(digest) = image.annotations.get(INDEX_DIGEST) else {
            return Ok(None);
        };
        let digest = digest.parse()?;
        Self::read(store, Version::V2, digest).await.map(Some)
    }

    /// The first index of version 1 that refers to the manifest `image` and can be read. A list may outlive what it names.
    ///
    /// # Errors
    /// Where its referrers cannot be listed, or none of them be read.
    pub async fn by_referrers(store: &Store, image: &Descriptor) -> Result<Option<Self>, Error> {
        let mut first_failure = None;
        for listed in store.referrers(&image.digest, V1).await? {
            match Self::read(store, Version::V1, listed.digest).await {
                Ok(found) => return Ok(Some(found)),
                Err(error) => first_failure = first_failure.or(Some(error)),
            }
        }
        first_failure.map_or(Ok(None), Err)
    }

    /// Reads an index by its digest.
    ///
    /// # Errors
    /// Where it is not there, or is something else.
    pub async fn read(store: &Store, version: Version, digest: Digest) -> Result<Self, Error> {
        let found = store.select(&Selector::Digest(digest)).await?;
        let found = found.ok_or(match version {
            Version::V1 => Error::NoReferrer(digest),
            Version::V2 => Error::NoIndex(digest),
        })?;
        match found.manifest {
            Manifest::Image(manifest) => Ok(Self {
                version,
                descriptor: found.descriptor,
                manifest: *manifest,
            }),
            Manifest::Index(_) => Err(Error::NotAnIndex(digest)),
        }
    }

    /// The ztoc of `layer`; none where the index has none.
    pub fn ztoc_of(&self, layer: &Descriptor) -> Option<&Descriptor> {
        let layer = layer.digest.to_string();
        self.manifest.layers.iter().find(|blob| {
            blob.media_type == ZTOC && blob.annotations.get(LAYER_DIGEST) == Some(&layer)
        })
    }
}

/// The platform whose containers this machine runs.
pub fn host_platform() -> Platform {
    Platform {
        os: "linux".to_owned(),
        architecture: std::env::consts::ARCH.to_owned(),
        ..Platform::default()
    }
    .normalized()
}
