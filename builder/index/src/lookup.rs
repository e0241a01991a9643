//! Which index an image has, as far as manifests tell. In: a store, and the image's tag or digest. Out: the version. Reads no layer and
//! no ztoc.

use soci_format::{
    index::{INDEX_DIGEST, V1, Version, is_soci_index},
    oci::{Manifest, Selector},
};
use soci_store::store::{Error, ReadImages};

/// The version of the index that an image has: version 2 if the image index lists one, or the platform's manifest names one; version 1 if one
/// refers to the image.
///
/// # Errors
/// If the image does not exist or cannot be read.
pub async fn version_of(
    images: &impl ReadImages,
    image: &Selector,
) -> Result<Option<Version>, Error> {
    let found = images.select(image).await?;
    let found = found.ok_or_else(|| Error::NoManifest(image.to_string()))?;
    let subjects = match &found.manifest {
        Manifest::Image(manifest) if manifest.annotations.contains_key(INDEX_DIGEST) => {
            return Ok(Some(Version::V2));
        }
        Manifest::Image(_) => vec![found.descriptor.digest],
        Manifest::Index(index) if index.manifests.iter().any(is_soci_index) => {
            return Ok(Some(Version::V2));
        }
        Manifest::Index(index) => index.manifests.iter().map(|entry| entry.digest).collect(),
    };
    for subject in subjects {
        if !images.referrers(&subject, V1).await?.is_empty() {
            return Ok(Some(Version::V1));
        }
    }
    Ok(None)
}
