//! Publishing: blobs, then children, then a look at all of it, and the tag last.
//! In: what the layers gave. Out: the digest of the image to use. Whatever fails before the tag leaves the tag alone.

use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::{
    Error, Layer, Layers, Prefetch, Request, Target,
    existing::{absent_where_damaged, absent_where_denied},
    index::EMPTY_CONFIG,
    index::V1,
    soci_index, ztoc_descriptor,
};
use crate::{
    convert::convert,
    digest::Digest,
    image::Image,
    index::Version,
    oci::{Descriptor, Manifest, Selector},
    store::{ReadImages, Store},
};

/// Requests for blobs at once; ECR allows hundreds a second.
const REQUESTS_AT_ONCE: usize = 8;

/// A SOCI index to be pushed.
pub(super) struct SociIndex {
    descriptor: Descriptor,
    bytes: Vec<u8>,
    /// The image that it is for.
    subject: Digest,
}

/// All that is to be pushed besides the ztocs, which are in the store by now.
#[derive(Default)]
pub(super) struct Publication {
    blobs: Vec<(Descriptor, Vec<u8>)>,
    /// By the position of their image among the entries.
    indexes: HashMap<usize, SociIndex>,
}

impl Publication {
    pub(super) fn is_empty(&self) -> bool {
        self.indexes.is_empty()
    }

    /// Makes the index of a platform's image; gives its digest, or `None` where no layer has a ztoc.
    pub(super) fn add(
        &mut self,
        target: &Target<'_>,
        layers: &Layers,
        request: &Request,
    ) -> Option<Digest> {
        let options = &request.options;
        let planned = target.manifest.layers.iter().zip(&target.plans);
        let indexed: Vec<_> = planned
            .filter(|(_, plan)| matches!(plan, super::LayerPlan::Index(_)))
            .filter_map(|(layer, _)| match layers.get(&layer.digest) {
                Layer::Indexed { facts, .. } => Some((layer, facts)),
                Layer::Left(_) => None,
            })
            .collect();
        if indexed.is_empty() {
            return None;
        }
        let mut blobs: Vec<Descriptor> = indexed
            .iter()
            .map(|(layer, facts)| {
                let disable_xattrs = options.optimize_xattrs && facts.contents.without_xattrs;
                ztoc_descriptor(layer, &facts.ztoc, options.span_size, disable_xattrs)
            })
            .collect();
        let looked_up: Vec<_> = indexed
            .iter()
            .map(|(layer, facts)| (*layer, &facts.contents.prefetch))
            .collect();
        for artifact in Prefetch::artifacts(&looked_up) {
            blobs.push(artifact.0.clone());
            self.blobs.push(artifact);
        }
        let (descriptor, bytes) = soci_index(
            request.version,
            blobs,
            target.descriptor,
            &options.build_tool,
        );
        let digest = descriptor.digest;
        self.indexes.insert(
            target.at,
            SociIndex {
                descriptor,
                bytes,
                subject: target.descriptor.digest,
            },
        );
        Some(digest)
    }

    /// Pushes it all. Gives the digest of the image to use, and whether anything was new.
    pub(super) async fn publish(
        self,
        store: &Store,
        image: &Image,
        request: &Request,
        output_tag: Option<&str>,
    ) -> Result<(Digest, bool), Error> {
        let config = Bytes::from_static(EMPTY_CONFIG);
        store.put_blob(&Digest::of(&config), config).await?;
        for (descriptor, bytes) in self.blobs {
            store.put_blob(&descriptor.digest, bytes.into()).await?;
        }
        let mut news = false;
        let mut pushed = Vec::new();
        match (request.version, output_tag) {
            (Version::V2, Some(tag)) => {
                let descriptors = self
                    .indexes
                    .iter()
                    .map(|(&at, index)| (at, index.descriptor.clone()))
                    .collect();
                for index in self.indexes.into_values() {
                    news |= put_manifest(store, &index.descriptor, index.bytes).await?;
                    pushed.push(index.descriptor);
                }
                let conversion = convert(image, &descriptors);
                for (_, descriptor, bytes) in conversion.manifests {
                    news |= put_manifest(store, &descriptor, bytes).await?;
                    pushed.push(descriptor);
                }
                read_back(store, &pushed).await?;
                news |=
                    put_tag(store, tag, &conversion.descriptor, conversion.bytes.into()).await?;
                Ok((conversion.descriptor.digest, news))
            }
            _ => {
                let mut subjects = Vec::new();
                for index in self.indexes.into_values() {
                    let digest = index.descriptor.digest;
                    // A list may outlive what it names, and one that cannot be read may lack it: putting it again does no harm.
                    let is_listed = is_referrer(store, &index.subject, &digest).await;
                    if !(is_there(store, &digest).await? && matches!(is_listed, Ok(true))) {
                        store
                            .put_referrer(&index.descriptor, index.bytes.into(), &index.subject)
                            .await?;
                        news = true;
                    }
                    subjects.push((index.subject, index.descriptor.digest));
                    pushed.push(index.descriptor);
                }
                read_back(store, &pushed).await?;
                store.commit()?;
                for (subject, index) in subjects {
                    if !is_referrer(store, &subject, &index).await? {
                        let what =
                            format!("the index {index} is not among the referrers of {subject}");
                        return Err(Error::ReadBack { what });
                    }
                }
                Ok((image.root.descriptor.digest, news))
            }
        }
    }
}

/// Puts the tag on the image as it is.
pub(super) async fn tag_original(store: &Store, image: &Image, tag: &str) -> Result<(), Error> {
    put_tag(store, tag, &image.root.descriptor, image.root.bytes.clone()).await?;
    Ok(())
}

/// Pushes a manifest unless it is there; says whether it was not.
async fn put_manifest(
    store: &Store,
    descriptor: &Descriptor,
    bytes: Vec<u8>,
) -> Result<bool, Error> {
    if is_there(store, &descriptor.digest).await? {
        return Ok(false);
    }
    store.put_manifest(descriptor, bytes.into()).await?;
    Ok(true)
}

/// Whether a manifest is there and whole.
async fn is_there(store: &Store, digest: &Digest) -> Result<bool, Error> {
    let found = store.select(&Selector::Digest(*digest)).await;
    Ok(absent_where_damaged(found)?.is_some())
}

/// Whether an index of version 1 is on the list of its image.
async fn is_referrer(store: &Store, subject: &Digest, index: &Digest) -> Result<bool, Error> {
    let listed = store.referrers(subject, V1).await?;
    Ok(listed.iter().any(|referrer| referrer.digest == *index))
}

/// Puts the tag and looks whether it is there; says whether it named something else before.
async fn put_tag(
    store: &Store,
    tag: &str,
    descriptor: &Descriptor,
    bytes: Bytes,
) -> Result<bool, Error> {
    // ECR refuses to put even the same manifest again under an immutable tag.
    if absent_where_denied(store.resolve(tag).await)? == Some(descriptor.digest) {
        return Ok(false);
    }
    store.put_tag(tag, descriptor, bytes).await?;
    store.commit()?;
    match store.resolve(tag).await? {
        Some(found) if found == descriptor.digest => Ok(true),
        found => Err(Error::TagMoved {
            tag: tag.to_owned(),
            wanted: descriptor.digest,
            found: found.map_or("nothing".to_owned(), |found| found.to_string()),
        }),
    }
}

/// Reads manifests back by digest, and asks for every blob that they name.
pub(super) async fn read_back(
    store: &impl ReadImages,
    manifests: &[Descriptor],
) -> Result<(), Error> {
    let mut blobs = BTreeSet::new();
    for descriptor in manifests {
        // The store compares the digest.
        if let Manifest::Image(manifest) = store.manifest(descriptor).await?.manifest {
            blobs.extend(
                manifest
                    .layers
                    .iter()
                    .chain([&manifest.config])
                    .map(|blob| (blob.digest, blob.size)),
            );
        }
    }
    stream::iter(blobs)
        .map(|(digest, size)| async move {
            match store.blob_size(&digest).await? {
                Some(found) if found == size => Ok(()),
                Some(found) => Err(Error::ReadBack {
                    what: format!("the blob {digest} has {found} bytes, not {size}"),
                }),
                None => Err(Error::ReadBack {
                    what: format!("the blob {digest} is not there"),
                }),
            }
        })
        .buffer_unordered(REQUESTS_AT_ONCE)
        .try_collect()
        .await
}
