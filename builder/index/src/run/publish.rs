//! Publishing: blobs, then children, then a look at all of it, and the tag last.
//! In: what the layers gave, and the copy that is made of the image. Out: the digest of the image to use. Whatever fails before the
//! tags leaves the tags alone.

use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use soci_format::{
    convert::convert,
    digest::Digest,
    image::{Image, Role},
    index::{EMPTY_CONFIG, V1, V2, Version, soci_index, ztoc_descriptor},
    oci::{Descriptor, Manifest, Selector, is_foreign},
    plan::LayerPlan,
    plural::bytes,
};
use soci_store::{
    load::Presence,
    registry,
    store::{self, REQUESTS_AT_ONCE, ReadImages, Store},
};

use super::{
    Error, Request,
    copy::Copy,
    layers::{Layer, Layers},
    target::Target,
    work::Places,
};
use crate::progress::Progress;

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
        prefetched: Vec<(Descriptor, Vec<u8>)>,
        request: &Request,
    ) -> Option<Digest> {
        let options = &request.options;
        let planned = target.manifest.layers.iter().zip(&target.plans);
        let indexed: Vec<_> = planned
            .filter(|(_, plan)| matches!(plan, LayerPlan::Index(_)))
            .filter_map(|(layer, _)| match layers.get(&layer.digest) {
                Layer::Indexed { facts, .. } => Some((layer, facts)),
                Layer::Skipped(_) => None,
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
        for artifact in prefetched {
            blobs.push(artifact.0.clone());
            self.blobs.push(artifact);
        }
        let (descriptor, bytes) = soci_index(request.version, blobs, target.descriptor, options);
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
}

/// Puts the result of a run, and the copy of the image where one is made.
pub(super) struct Publisher<'a> {
    pub(super) places: Places<'a>,
    pub(super) image: &'a Image,
    pub(super) copy: Option<&'a Copy>,
    /// The tags of the result.
    pub(super) tags: &'a [String],
    pub(super) progress: &'a dyn Progress,
}

impl Publisher<'_> {
    /// Puts it all. Gives what names it then, which is there with the commit.
    pub(super) async fn publish(
        &self,
        publication: Publication,
        version: Version,
    ) -> Result<Published, Error> {
        let Places {
            store, transaction, ..
        } = self.places;
        let config = Bytes::from_static(EMPTY_CONFIG);
        transaction.put_blob(&Digest::of(&config), config).await?;
        for (descriptor, bytes) in publication.blobs {
            transaction
                .put_blob(&descriptor.digest, bytes.into())
                .await?;
        }
        let mut put = self.put_copy().await?;
        match version {
            Version::V2 => {
                let descriptors = publication
                    .indexes
                    .iter()
                    .map(|(&at, index)| (at, index.descriptor.clone()))
                    .collect();
                for index in publication.indexes.into_values() {
                    transaction
                        .put_manifest(&index.descriptor, index.bytes.into())
                        .await?;
                    put.push(index.descriptor);
                }
                let conversion = convert(self.image, &descriptors)?;
                for (_, descriptor, bytes) in conversion.manifests {
                    transaction.put_manifest(&descriptor, bytes.into()).await?;
                    put.push(descriptor);
                }
                read_back(store, &put, &Presence::default()).await?;
                self.progress.before_tag().await.map_err(Error::Stopped)?;
                let root = (&conversion.descriptor, conversion.bytes.into());
                self.put_tags(root).await
            }
            Version::V1 => {
                read_back(store, &put, &Presence::default()).await?;
                put.clear();
                self.progress.before_tag().await.map_err(Error::Stopped)?;
                let mut published = self.put_tags(self.original()).await?;
                for index in publication.indexes.into_values() {
                    transaction
                        .put_referrer(&index.descriptor, index.bytes.into(), &index.subject)
                        .await?;
                    let referrer = (index.subject, index.descriptor.digest);
                    published.referrers.push(referrer);
                    put.push(index.descriptor);
                }
                read_back(store, &put, &Presence::default()).await?;
                Ok(published)
            }
        }
    }

    /// Puts the tags on the image as it is.
    pub(super) async fn tag_original(&self) -> Result<Published, Error> {
        let put = self.put_copy().await?;
        read_back(self.places.store, &put, &Presence::default()).await?;
        self.progress.before_tag().await.map_err(Error::Stopped)?;
        self.put_tags(self.original()).await
    }

    fn original(&self) -> (&Descriptor, Bytes) {
        let root = &self.image.root;
        (&root.descriptor, root.bytes.clone())
    }

    /// Puts the manifests of the copy, whose blobs are there; gives them.
    async fn put_copy(&self) -> Result<Vec<Descriptor>, Error> {
        let Some(copy) = self.copy else {
            return Ok(Vec::new());
        };
        let put = copy.put_manifests(self.places.transaction, &self.image.root);
        match put.await {
            Ok(put) => Ok(put),
            Err(refusal) => Err(self.explain(refusal).await),
        }
    }

    /// Puts the tag of the copy, and all tags of the result, one after the other. The first failure ends it: those behind it stay
    /// as they are.
    async fn put_tags(&self, (output, bytes): (&Descriptor, Bytes)) -> Result<Published, Error> {
        let mut tags = Vec::new();
        let original = self.copy.and_then(|copy| copy.tag.as_ref());
        tags.extend(original.map(|tag| {
            let (descriptor, bytes) = self.original();
            (tag, descriptor, bytes)
        }));
        tags.extend(self.tags.iter().map(|tag| (tag, output, bytes.clone())));
        let names = |tags: &[(&String, &Descriptor, Bytes)]| {
            let names = tags.iter().map(|(tag, ..)| (*tag).clone());
            names.collect::<Vec<_>>()
        };
        let mut published = Published {
            tags: Vec::new(),
            referrers: Vec::new(),
            output: output.digest,
        };
        for (at, (tag, descriptor, bytes)) in tags.iter().enumerate() {
            let put = self
                .places
                .transaction
                .put_tag(tag, descriptor, bytes.clone());
            if let Err(refusal) = put.await {
                let source = self.explain(refusal).await;
                return Err(match (self.places.store, &tags[..]) {
                    // A layout gets all of them, or none.
                    (Store::Registry(_), [_, _, ..]) => Error::SomeTags {
                        put: names(&tags[..at]),
                        not_put: names(&tags[at..]),
                        digest: descriptor.digest,
                        source: Box::new(source),
                    },
                    _ => source,
                });
            }
            published.tags.push(((*tag).clone(), descriptor.digest));
        }
        Ok(published)
    }

    /// Why an image index was refused. Many registries take none that lists manifests which they do not have, and do not say which;
    /// here they are named.
    async fn explain(&self, refusal: store::Error) -> Error {
        let mut missing = Vec::new();
        if let store::Error::Registry(registry::Error::Status(_)) = refusal {
            for entry in &self.image.entries {
                let digest = entry.descriptor.digest;
                let selector = Selector::Digest(digest);
                if !matches!(entry.role, Role::Platform { .. })
                    && let Ok(None) = self.places.store.select(&selector).await
                {
                    let platform = entry.descriptor.platform.as_ref();
                    let platform = platform.map(|platform| format!(" ({platform})"));
                    missing.push(format!("{digest}{}", platform.unwrap_or_default()));
                }
            }
        }
        if missing.is_empty() {
            return refusal.into();
        }
        Error::Incomplete {
            missing: missing.join(", "),
            source: Box::new(refusal),
        }
    }
}

/// What leads to the result of a run.
pub(super) struct Published {
    /// Tags, and what they name.
    tags: Vec<(String, Digest)>,
    /// Manifests of images, each with its SOCI index.
    referrers: Vec<(Digest, Digest)>,
    /// The image to use from now on.
    pub(super) output: Digest,
}

impl Published {
    /// Looks whether it does.
    pub(super) async fn check(&self, store: &Store) -> Result<(), Error> {
        for (tag, wanted) in &self.tags {
            let found = store.resolve(tag).await?;
            if found != Some(*wanted) {
                return Err(Error::TagMoved {
                    tag: tag.to_owned(),
                    wanted: *wanted,
                    found: found.map_or("nothing".to_owned(), |found| found.to_string()),
                });
            }
        }
        for (subject, index) in &self.referrers {
            let listed = store.referrers(subject, V1).await?;
            if !listed.iter().any(|referrer| referrer.digest == *index) {
                let what = format!("index {index} not found among the referrers of {subject}");
                return Err(Error::ReadBack { what });
            }
        }
        Ok(())
    }
}

/// Reads manifests back by digest, and asks for every blob that they name and `known` does not have.
pub(super) async fn read_back(
    store: &impl ReadImages,
    manifests: &[Descriptor],
    known: &Presence,
) -> Result<(), Error> {
    // Whether a blob is one of ours: the layers of an image may be gigabytes, and are not ours to vouch for.
    let mut blobs = BTreeSet::new();
    for descriptor in manifests {
        // The store compares the digest.
        if let Manifest::Image(manifest) = store.manifest(descriptor).await?.manifest {
            let is_ours = [V1, V2].contains(&manifest.config.media_type.as_str());
            let layers = manifest.layers.iter().map(|layer| (layer, is_ours));
            blobs.extend(
                layers
                    .chain([(&manifest.config, true)])
                    .filter(|(blob, is_ours)| {
                        *is_ours || !known.has_with_size(&blob.digest, blob.size)
                    })
                    .map(|(blob, is_ours)| {
                        let is_needed = !is_foreign(&blob.media_type);
                        (blob.digest, blob.size, is_ours, is_needed)
                    }),
            );
        }
    }
    stream::iter(blobs)
        .map(|(digest, size, is_ours, is_needed)| async move {
            let found = match is_ours {
                true => store.checked_size(&digest).await?,
                false => store.blob_size(&digest).await?,
            };
            match found {
                Some(found) if found == size => Ok(()),
                None if !is_needed => Ok(()),
                Some(found) => Err(Error::ReadBack {
                    what: format!("blob {digest} has {}, expected {size}", bytes(found)),
                }),
                None => Err(Error::ReadBack {
                    what: format!("blob {digest} not found"),
                }),
            }
        })
        .buffer_unordered(REQUESTS_AT_ONCE)
        .try_collect()
        .await
}
