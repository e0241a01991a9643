//! What is there already: the index that we would build, or ztocs of the same layers.
//! In: the store and the plan. Out: digests, and ztocs that may be used again. Reads manifests, never a layer.

use std::collections::HashMap;

use soci_format::{
    convert::convert,
    digest::Digest,
    image::Role,
    index::{IndexOptions, V1, Version, is_soci_index},
    oci::{Descriptor, ImageManifest, Manifest, Platform, Selector, StoredManifest},
    plan::{is_requested_index, reusable_ztocs},
};
use soci_store::store::{ReadImages, none_if_corrupt, none_if_denied};

use super::{Error, Request, chain, publish, work::Run};
use crate::progress::Progress;

/// SOCI indexes that are in the store.
#[derive(Default)]
pub(super) struct Existing {
    /// What the output tags name, version 2.
    outputs: Vec<Option<Digest>>,
    indexes: Vec<Found>,
}

impl Existing {
    /// Whether all output tags name `image`.
    pub(super) fn is_output(&self, image: &Digest) -> bool {
        let mut outputs = self.outputs.iter();
        outputs.all(|output| output.as_ref() == Some(image))
    }

    /// The ztocs that were built with the same options, by the digest of their layer.
    pub(super) fn ztocs(&self, options: &IndexOptions) -> HashMap<Digest, Descriptor> {
        let indexes = self.indexes.iter();
        indexes
            .flat_map(|found| reusable_ztocs(&found.manifest, options))
            .collect()
    }
}

struct Found {
    descriptor: Descriptor,
    manifest: Box<ImageManifest>,
    /// The platform, version 2.
    platform: Option<Platform>,
}

/// An index that is there and is the wanted one.
pub(super) struct UpToDate {
    /// The image to use.
    pub(super) image: Digest,
    /// SOCI indexes by the position of their image.
    pub(super) indexes: HashMap<usize, Digest>,
}

/// Looks where our own index would be: under the output tags, or among the referrers.
pub(super) async fn find(store: &impl ReadImages, run: &Run<'_>) -> Result<Existing, Error> {
    let mut existing = Existing::default();
    for tag in run.new_tags() {
        let output = store.select(&Selector::Tag(tag.to_owned())).await;
        let output = none_if_corrupt(output)?;
        let digest = output.as_ref().map(|output| output.descriptor.digest);
        if let Some(output) = output.filter(|_| !existing.outputs.contains(&digest)) {
            existing.indexes.extend(version_2(store, &output).await?);
        }
        existing.outputs.push(digest);
    }
    if run.request.version == Version::V1 {
        for target in &run.targets {
            existing
                .indexes
                .extend(version_1(store, target.descriptor).await?);
        }
    }
    // An image that was converted before brings its old indexes along.
    if !existing.outputs.contains(&Some(run.image_digest())) {
        for entry in &run.image.entries {
            if let Role::SociIndex = entry.role {
                let of = &entry.descriptor;
                let found = read(store, of, of.platform.clone()).await?;
                existing.indexes.extend(found);
            }
        }
    }
    Ok(existing)
}

/// The wanted index, where it is there and complete.
pub(super) async fn up_to_date(
    store: &impl ReadImages,
    run: &Run<'_>,
    existing: &Existing,
) -> Result<Option<UpToDate>, Error> {
    let request = run.request;
    let mut indexes = HashMap::new();
    for target in run.targets.iter().filter(|target| target.has_work()) {
        let found = existing.indexes.iter().find(|found| {
            // Version 1 says it by its subject, which its digest covers.
            let of = found.platform.as_ref();
            let is_for_it = of.is_none_or(|platform| platform.same_as(target.platform));
            is_for_it
                && is_requested_index(
                    (found.descriptor.digest, &found.manifest),
                    request.version,
                    (target.descriptor, target.manifest),
                    &target.plans,
                    &request.options,
                )
        });
        match found {
            Some(found) => indexes.insert(target.at, found.descriptor.clone()),
            None => return Ok(None),
        };
    }
    let soci_indexes: Vec<Descriptor> = indexes.values().cloned().collect();
    let (output, mut manifests) = match request.version {
        Version::V1 => (run.image_digest(), Vec::new()),
        Version::V2 => {
            let conversion = convert(run.image, &indexes)?;
            if !existing.is_output(&conversion.descriptor.digest) {
                return Ok(None);
            }
            (
                conversion.descriptor.digest,
                conversion
                    .manifests
                    .into_iter()
                    .map(|(_, new, _)| new)
                    .collect(),
            )
        }
    };
    manifests.extend(soci_indexes);
    // Not complete is as good as not there: the run goes on and repairs it.
    if publish::read_back(store, &manifests, run.there())
        .await
        .is_err()
    {
        return Ok(None);
    }
    let indexes = indexes
        .into_iter()
        .map(|(at, index)| (at, index.digest))
        .collect();
    Ok(Some(UpToDate {
        image: output,
        indexes,
    }))
}

/// Ztocs that may be used again, by the digest of their layer. Where none can be had, the layers are read.
pub(super) async fn reusable(
    store: &impl ReadImages,
    existing: &Existing,
    request: &Request,
    reuse_from: Option<String>,
    progress: &dyn Progress,
) -> HashMap<Digest, Descriptor> {
    let mut ztocs = HashMap::new();
    if let Some(tag) = reuse_from {
        let earlier = earlier(store, &tag).await;
        match &earlier {
            Ok(Some(indexes)) if indexes.is_empty() => {
                progress.warn(&format!("the tag {tag} has no SOCI index to reuse"));
            }
            Ok(Some(_)) => {}
            Ok(None) => progress.warn(&format!(
                "tag {tag} not found, so no index can be reused; all layers are read"
            )),
            Err(error) => progress.warn(&format!(
                "cannot reuse the index of the tag {tag}: {}; all layers are read",
                chain(error)
            )),
        }
        ztocs.extend(
            earlier
                .ok()
                .flatten()
                .iter()
                .flatten()
                .flat_map(|found| reusable_ztocs(&found.manifest, &request.options)),
        );
    }
    ztocs.extend(existing.ztocs(&request.options));
    ztocs
}

/// The SOCI indexes of what is under `tag`; `None` where there is no such tag.
async fn earlier(store: &impl ReadImages, tag: &str) -> Result<Option<Vec<Found>>, Error> {
    let earlier = store.select(&Selector::Tag(tag.to_owned())).await;
    let Some(earlier) = none_if_denied(earlier)? else {
        return Ok(None);
    };
    let mut indexes = version_2(store, &earlier).await?;
    let manifests = match &earlier.manifest {
        Manifest::Image(_) => vec![earlier.descriptor.clone()],
        Manifest::Index(index) if indexes.is_empty() => index.manifests.clone(),
        Manifest::Index(_) => Vec::new(),
    };
    for manifest in &manifests {
        indexes.extend(version_1(store, manifest).await?);
    }
    Ok(Some(indexes))
}

/// The SOCI indexes that an image index names itself.
async fn version_2(store: &impl ReadImages, image: &StoredManifest) -> Result<Vec<Found>, Error> {
    let Manifest::Index(index) = &image.manifest else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for descriptor in index.manifests.iter().filter(|entry| is_soci_index(entry)) {
        found.extend(read(store, descriptor, descriptor.platform.clone()).await?);
    }
    Ok(found)
}

/// The SOCI indexes that refer to an image's manifest.
async fn version_1(store: &impl ReadImages, image: &Descriptor) -> Result<Vec<Found>, Error> {
    let mut found = Vec::new();
    for descriptor in store.referrers(&image.digest, V1).await? {
        found.extend(read(store, &descriptor, None).await?);
    }
    Ok(found)
}

/// One index; `None` where its manifest is gone or damaged, which only means that it cannot be used.
async fn read(
    store: &impl ReadImages,
    descriptor: &Descriptor,
    platform: Option<Platform>,
) -> Result<Option<Found>, Error> {
    let found = store.select(&Selector::Digest(descriptor.digest)).await;
    Ok(match none_if_corrupt(found)? {
        Some(StoredManifest {
            manifest: Manifest::Image(manifest),
            descriptor,
            ..
        }) => Some(Found {
            descriptor,
            manifest,
            platform,
        }),
        _ => None,
    })
}
