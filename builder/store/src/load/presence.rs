//! Which blobs of an image are in the store: partial copies lack some, and layers that are not distributed may be missing.

use std::collections::{BTreeSet, HashMap};

use futures_util::{StreamExt, stream};
use soci_format::{digest::Digest, oci::ImageManifest};

use crate::store::{REQUESTS_AT_ONCE, ReadImages, missing_after_retry};

/// Sizes of the blobs that were asked for; `None` for those that are missing. Where the store's answer was an error, nothing is
/// known: whoever needs the blob meets the error again, and can say what for.
#[derive(Default)]
pub struct Presence(HashMap<Digest, Option<u64>>);

impl Presence {
    /// Asks for the configs and layers of `manifests`.
    pub async fn of<'a>(
        store: &impl ReadImages,
        manifests: impl IntoIterator<Item = &'a ImageManifest>,
    ) -> Self {
        let blobs = manifests
            .into_iter()
            .flat_map(|manifest| manifest.layers.iter().chain([&manifest.config]))
            .map(|blob| blob.digest)
            .collect();
        Self::asked(store, blobs, true).await
    }

    /// Asks for `blobs`, and only once: for whoever puts there what is missing.
    pub async fn of_blobs(store: &impl ReadImages, blobs: BTreeSet<Digest>) -> Self {
        Self::asked(store, blobs, false).await
    }

    async fn asked(store: &impl ReadImages, blobs: BTreeSet<Digest>, must_be_sure: bool) -> Self {
        let sizes = stream::iter(blobs)
            .map(|digest| async move {
                let ask = || store.blob_size(&digest);
                let size = match must_be_sure {
                    true => missing_after_retry(ask).await,
                    false => ask().await,
                };
                Some((digest, size.ok()?))
            })
            .buffer_unordered(REQUESTS_AT_ONCE)
            .filter_map(std::future::ready);
        Self(sizes.collect().await)
    }

    /// Takes a blob for missing from now on.
    pub fn leave_out(&mut self, digest: &Digest) {
        self.0.insert(*digest, None);
    }

    /// Whether the store has a blob, as far as it was asked.
    pub fn has(&self, digest: &Digest) -> bool {
        !matches!(self.0.get(digest), Some(None))
    }

    /// Whether the store was found to have a blob of that size.
    pub fn has_with_size(&self, digest: &Digest, size: u64) -> bool {
        self.0.get(digest) == Some(&Some(size))
    }

    /// What `manifest` needs and the store does not have.
    pub fn missing_blob(&self, manifest: &ImageManifest) -> Option<String> {
        let missing = manifest
            .required_blobs()
            .find(|blob| !self.has(&blob.digest))?
            .digest;
        let what = match missing == manifest.config.digest {
            true => "config",
            false => "layer",
        };
        Some(format!("its {what} {missing} is missing"))
    }
}
