//! The complete version 2 index of an image that was deleted. It contains all that a container needs.
//! In: the output tag. Out: the index, or why it cannot be used instead of the image.

use std::collections::BTreeSet;

use soci_format::{
    digest::Digest,
    image::NoSuchPlatform,
    index::{INDEX_DIGEST, ZTOC, is_soci_index},
    oci::{ImageManifest, Manifest, Selector},
};
use soci_index::run;
use soci_store::{
    load,
    store::{self, ReadImages},
};

use crate::{call::CallError, image::Images};

/// A complete index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrphanedIndex {
    /// The image index under the output tag.
    pub output: Digest,
    /// How many layers have a ztoc.
    pub ztocs: usize,
}

/// Why the output tag cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NoUsableIndex {
    /// The tag does not exist.
    #[error("and no index was found under output tag {0} either")]
    Absent(String),
    /// It points to an image without a SOCI index.
    #[error("and output tag {0} points to an image without a SOCI index")]
    NotOurs(String),
    /// It points to the index of the image that the resource indexed before.
    #[error("and output tag {tag} points to the index of another image, {image}")]
    Another {
        /// The output tag.
        tag: String,
        /// That image.
        image: String,
    },
    /// A manifest or blob is missing.
    #[error("and the index under output tag {tag} is incomplete: {what}")]
    Incomplete {
        /// The output tag.
        tag: String,
        /// What is missing.
        what: String,
    },
    /// It cannot be read.
    #[error("and output tag {tag} cannot be read: {}", run::chain(&**.source))]
    Unread {
        /// The output tag.
        tag: String,
        /// Why.
        source: Box<store::Error>,
    },
}

/// Whether the error says that the image, or a part of it, was deleted or archived, so that a retry does not help.
#[must_use]
pub fn is_gone(error: &run::Error) -> bool {
    match error {
        run::Error::Store(error) | run::Error::Image(load::Error::Store(error)) => match error {
            store::Error::NoManifest(_) | store::Error::NoBlob(_) => true,
            store::Error::Elsewhere(error) => error
                .downcast_ref::<CallError>()
                .is_some_and(CallError::is_inaccessible),
            _ => false,
        },
        run::Error::Image(load::Error::NoPlatform(_))
        | run::Error::Platform(NoSuchPlatform::Missing { .. }) => true,
        _ => false,
    }
}

/// The index under `tag`.
///
/// # Errors
/// If it cannot be used instead of its image.
pub async fn find_orphaned_index(
    images: &Images,
    tag: &str,
) -> Result<OrphanedIndex, NoUsableIndex> {
    let looked = look(images, tag).await;
    looked.unwrap_or_else(|source| {
        Err(NoUsableIndex::Unread {
            tag: tag.to_owned(),
            source: Box::new(source),
        })
    })
}

async fn look(
    images: &Images,
    tag: &str,
) -> Result<Result<OrphanedIndex, NoUsableIndex>, store::Error> {
    let Some(root) = images.select(&Selector::Tag(tag.to_owned())).await? else {
        return Ok(Err(NoUsableIndex::Absent(tag.to_owned())));
    };
    let Manifest::Index(index) = &root.manifest else {
        return Ok(Err(NoUsableIndex::NotOurs(tag.to_owned())));
    };
    let entries = &index.manifests;
    let soci: BTreeSet<_> = entries
        .iter()
        .filter(|entry| is_soci_index(entry))
        .map(|entry| entry.digest)
        .collect();
    if soci.is_empty() {
        return Ok(Err(NoUsableIndex::NotOurs(tag.to_owned())));
    }
    let incomplete = |what: String| {
        let tag = tag.to_owned();
        Ok(Err(NoUsableIndex::Incomplete { tag, what }))
    };
    let mut ztocs = BTreeSet::new();
    for entry in entries {
        let named = entry.annotations.get(INDEX_DIGEST);
        if named.is_none() && !soci.contains(&entry.digest) {
            // A platform without an index, or an attestation; not needed.
            continue;
        }
        if let Some(named) = named
            && !soci.iter().any(|digest| digest.to_string() == *named)
        {
            return incomplete(format!("SOCI index {named} is not listed"));
        }
        let manifest = images.select(&Selector::Digest(entry.digest)).await?;
        let Some(Manifest::Image(manifest)) = manifest.map(|found| found.manifest) else {
            return incomplete(format!("manifest {} not found", entry.digest));
        };
        if let Some(blob) = missing(images, &manifest).await? {
            return incomplete(format!("blob {blob} not found or archived"));
        }
        let layers = manifest.layers.iter();
        ztocs.extend(
            layers
                .filter(|layer| layer.media_type == ZTOC)
                .map(|layer| layer.digest),
        );
    }
    Ok(Ok(OrphanedIndex {
        output: root.descriptor.digest,
        ztocs: ztocs.len(),
    }))
}

/// The first blob that the manifest needs and the repository does not have. Unlike in
/// [`Presence`](soci_store::load::Presence), a failed request is an error: this decides whether the index can replace the image.
async fn missing(
    images: &Images,
    manifest: &ImageManifest,
) -> Result<Option<Digest>, store::Error> {
    for blob in manifest.required_blobs() {
        if images.blob_size(&blob.digest).await? != Some(blob.size) {
            return Ok(Some(blob.digest));
        }
    }
    Ok(None)
}
