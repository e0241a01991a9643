//! What an image that is gone has left: its index of version 2, which holds all that a container needs.
//! In: the output tag. Out: the index, where all of it is there, or why it cannot stand for the image.

use std::collections::BTreeSet;

use soci_format::{
    digest::Digest,
    image::NoSuchPlatform,
    index::{INDEX_DIGEST, V2, ZTOC},
    oci::{Descriptor, ImageManifest, Manifest, Selector, is_foreign},
};
use soci_index::run;
use soci_store::{
    load,
    store::{self, ReadImages},
};

use crate::{call::CallError, image::Images};

/// An index that is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The image index under the output tag.
    pub output: Digest,
    /// How many layers have a ztoc.
    pub ztocs: usize,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum NotKept {
    /// Nothing has the tag.
    #[error("and no index is under the output tag {0} either")]
    Absent(String),
    /// It names something that was not made here.
    #[error("and the output tag {0} names an image without a SOCI index")]
    NotOurs(String),
    /// It names the index of what the resource indexed until now.
    #[error("and the output tag {tag} holds the index of another image, {image}")]
    Another {
        /// The output tag.
        tag: String,
        /// That image.
        image: String,
    },
    /// A part is missing.
    #[error("and the index under the output tag {tag} is not complete: {what}")]
    Incomplete {
        /// The output tag.
        tag: String,
        /// What is missing.
        what: String,
    },
    /// It could not be read.
    #[error("and the output tag {tag} cannot be read: {}", run::chain(&**.source))]
    Unread {
        /// The output tag.
        tag: String,
        /// Why.
        source: Box<store::Error>,
    },
}

/// Whether the error says that the image, or a part of it, is gone or archived: trying again does not bring it back.
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
/// Where it cannot stand for its image.
pub async fn kept(images: &Images, tag: &str) -> Result<Kept, NotKept> {
    let looked = look(images, tag).await;
    looked.unwrap_or_else(|source| {
        Err(NotKept::Unread {
            tag: tag.to_owned(),
            source: Box::new(source),
        })
    })
}

async fn look(images: &Images, tag: &str) -> Result<Result<Kept, NotKept>, store::Error> {
    let Some(root) = images.select(&Selector::Tag(tag.to_owned())).await? else {
        return Ok(Err(NotKept::Absent(tag.to_owned())));
    };
    let Manifest::Index(index) = &root.manifest else {
        return Ok(Err(NotKept::NotOurs(tag.to_owned())));
    };
    let entries = &index.manifests;
    let is_soci = |entry: &&Descriptor| entry.artifact_type.as_deref() == Some(V2);
    let soci: BTreeSet<_> = entries
        .iter()
        .filter(is_soci)
        .map(|entry| entry.digest)
        .collect();
    if soci.is_empty() {
        return Ok(Err(NotKept::NotOurs(tag.to_owned())));
    }
    let incomplete = |what: String| {
        let tag = tag.to_owned();
        Ok(Err(NotKept::Incomplete { tag, what }))
    };
    let mut ztocs = BTreeSet::new();
    for entry in entries {
        let named = entry.annotations.get(INDEX_DIGEST);
        if named.is_none() && !soci.contains(&entry.digest) {
            // A platform without an index, an attestation: as in the original, where they may be missing.
            continue;
        }
        if let Some(named) = named
            && !soci.iter().any(|digest| digest.to_string() == *named)
        {
            return incomplete(format!("it does not list the SOCI index {named}"));
        }
        let manifest = images.select(&Selector::Digest(entry.digest)).await?;
        let Some(Manifest::Image(manifest)) = manifest.map(|found| found.manifest) else {
            return incomplete(format!("its manifest {} is missing", entry.digest));
        };
        if let Some(blob) = missing(images, &manifest).await? {
            return incomplete(format!("the blob {blob} is missing or archived"));
        }
        let layers = manifest.layers.iter();
        ztocs.extend(
            layers
                .filter(|layer| layer.media_type == ZTOC)
                .map(|layer| layer.digest),
        );
    }
    Ok(Ok(Kept {
        output: root.descriptor.digest,
        ztocs: ztocs.len(),
    }))
}

/// A blob of the manifest that nobody can have. Layers that are not distributed come from elsewhere.
async fn missing(
    images: &Images,
    manifest: &ImageManifest,
) -> Result<Option<Digest>, store::Error> {
    let layers = manifest.layers.iter();
    let blobs = layers
        .filter(|layer| !is_foreign(&layer.media_type))
        .chain([&manifest.config]);
    for blob in blobs {
        if images.blob_size(&blob.digest).await? != Some(blob.size) {
            return Ok(Some(blob.digest));
        }
    }
    Ok(None)
}
