//! Verification of an image's index: everything in it is rebuilt from the image, and compared.
//! In: an image. Out: a report of every platform, index and layer, with the exact place of each thing that is wrong.
//!
//! ```text
//! image ─▶ links (manifests, annotations, subjects) ─▶ layer ─┬▶ made again ─▶ compare
//!                                                             └▶ spans, beside another inflater
//! ```

mod compare;
mod layer;
mod links;
mod spans;

use std::collections::HashMap;

use futures_util::{StreamExt, stream};
use serde::Serialize;
use soci_format::{
    digest::Digest,
    image::{Image, Missing, NoSuchPlatform, OfPlatform, Role},
    index::{MANIFEST_DIGEST, V1, Version, ZTOC},
    oci::{Descriptor, ImageManifest, Platform, Reference},
};
use soci_index::run::chain;
use soci_store::{
    load::{self, Presence, load},
    store::{self, ReadImages, Store},
};

pub use compare::differences;

use crate::reader::FoundIndex;
use layer::Task;

/// Layers that are read at once; each keeps two threads busy.
const LAYERS_AT_ONCE: usize = 2;

/// What was found out about an image.
#[derive(Debug, Serialize)]
pub struct Report {
    pub image_digest: Digest,
    /// Problems of the image as a whole.
    pub problems: Vec<String>,
    /// One for each platform.
    pub platforms: Vec<PlatformReport>,
    /// Images that the image index lists and that are not in the store, or not all of them. Not a problem: partial copies have such.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Missing>,
}

/// What was found out about a platform's image.
#[derive(Debug, Serialize)]
pub struct PlatformReport {
    pub platform: String,
    pub manifest_digest: Digest,
    pub problems: Vec<String>,
    pub indexes: Vec<IndexReport>,
    /// Its layers, bottom first.
    pub layers: Vec<LayerReport>,
}

/// What was found out about an index.
#[derive(Debug, Serialize)]
pub struct IndexReport {
    /// `v1` or `v2`.
    pub version: &'static str,
    pub index_digest: Digest,
    /// Problems of its manifest.
    pub problems: Vec<String>,
}

/// What was found out about a layer.
#[derive(Clone, Debug, Serialize)]
pub struct LayerReport {
    pub digest: Digest,
    /// Its size in bytes, as stored.
    pub size: u64,
    /// Its ztoc; none where it has none.
    pub ztoc: Option<Digest>,
    /// Spans that were checked.
    pub spans: usize,
    /// Entries of its archive that were compared.
    pub files: usize,
    pub problems: Vec<String>,
}

/// An image that could not even be looked at.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The registry or the layout.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The image itself.
    #[error(transparent)]
    Image(#[from] load::Error),
    /// A platform that the image does not have.
    #[error(transparent)]
    Platform(#[from] NoSuchPlatform),
}

impl Report {
    /// All problems, each with where it is.
    pub fn problems(&self) -> Vec<String> {
        let mut all = self.problems.clone();
        for platform in &self.platforms {
            let of = &platform.platform;
            all.extend(platform.problems.iter().map(|what| format!("{of}: {what}")));
            for index in &platform.indexes {
                let digest = index.index_digest;
                let problems = index.problems.iter();
                all.extend(problems.map(|what| format!("{of}: SOCI index {digest}: {what}")));
            }
            for (number, layer) in platform.layers.iter().enumerate() {
                let (number, digest) = (number + 1, layer.digest);
                let problems = layer.problems.iter();
                all.extend(problems.map(|what| format!("{of}: layer {number} ({digest}): {what}")));
            }
        }
        all
    }
}

/// Verifies the indexes of `reference`; of `platform` only, where one is given. Reads every layer once.
///
/// # Errors
/// Where the image cannot be looked at. What is wrong with its indexes and layers is part of the report.
pub async fn verify(
    store: &Store,
    reference: &Reference,
    platform: Option<&Platform>,
) -> Result<Report, Error> {
    let root = store.image(reference).await?;
    let image = load(store, root).await?;
    let mut report = Report {
        image_digest: image.root.descriptor.digest,
        problems: Vec::new(),
        platforms: Vec::new(),
        missing: image.missing(),
    };
    let wanted = match platform {
        Some(wanted) => image.platform(wanted)?,
        None => image.platforms(),
    };
    let is_wanted = |platform: &Platform| wanted.iter().any(|(.., of, _)| of.same_as(platform));
    let shadowed = image.shadowed(is_wanted);
    report.problems = shadowed.iter().map(ToString::to_string).collect();
    let mut looked_up = Vec::new();
    for of in wanted {
        let mut problems = Vec::new();
        let indexes = indexes(store, of, &mut problems).await;
        looked_up.push((of, indexes, problems));
    }
    let is_indexed = looked_up
        .iter()
        .any(|(_, indexes, problems)| !indexes.is_empty() || !problems.is_empty());
    let mut used = Vec::new();
    let mut done: HashMap<Task, LayerReport> = HashMap::new();
    for (of, indexes, mut problems) in looked_up {
        let (_, descriptor, name, manifest) = of;
        if indexes.is_empty() && problems.is_empty() {
            if platform.is_some() || !is_indexed {
                problems.push("it has no SOCI index".to_owned());
            } else if let Some(what) = Presence::of(store, [manifest]).await.missing_blob(manifest)
            {
                report.missing.push(Missing {
                    platform: Some(name.to_string()),
                    manifest_digest: descriptor.digest,
                    reason: what,
                });
                continue;
            }
        }
        if let Err(error) = store.blob(&manifest.config).await {
            problems.push(format!("its config: {}", chain(&error)));
        }
        let mut found = PlatformReport {
            platform: name.to_string(),
            manifest_digest: descriptor.digest,
            problems,
            indexes: Vec::new(),
            layers: Vec::new(),
        };
        for index in &indexes {
            used.push(index.descriptor.digest);
            found.indexes.push(IndexReport {
                version: index.version.name(),
                index_digest: index.descriptor.digest,
                problems: links::problems(store, &image, (descriptor, name, manifest), index).await,
            });
        }
        found.layers = layers(store, manifest, &indexes, &mut done).await;
        report.platforms.push(found);
    }
    if platform.is_none() {
        report.problems.extend(dangling(&image, &used));
    }
    Ok(report)
}

/// The indexes of one platform's image, of both versions. That there is none is no problem yet: a platform may have nothing to index.
async fn indexes(
    store: &Store,
    (_, descriptor, _, manifest): OfPlatform<'_>,
    problems: &mut Vec<String>,
) -> Vec<FoundIndex> {
    let mut indexes = Vec::new();
    match FoundIndex::by_annotation(store, manifest).await {
        Ok(index) => indexes.extend(index),
        Err(error) => problems.push(chain(&error)),
    }
    match store.referrers(&descriptor.digest, V1).await {
        Ok(referrers) => {
            for referrer in referrers {
                match FoundIndex::read(store, Version::V1, referrer.digest).await {
                    Ok(index) => indexes.push(index),
                    Err(error) => problems.push(chain(&error)),
                }
            }
        }
        Err(error) => problems.push(format!("its referrers: {}", chain(&error))),
    }
    indexes
}

/// Verifies each layer of an image with each ztoc that its indexes have of it; what was verified before is not read again.
async fn layers(
    store: &Store,
    manifest: &ImageManifest,
    indexes: &[FoundIndex],
    done: &mut HashMap<Task, LayerReport>,
) -> Vec<LayerReport> {
    let mut tasks = Vec::new();
    for layer in &manifest.layers {
        let mut ztocs: Vec<_> = indexes.iter().filter_map(|of| of.ztoc_of(layer)).collect();
        ztocs.dedup_by_key(|ztoc| ztoc.digest);
        if ztocs.is_empty() {
            tasks.push(Task::new(layer, None));
        }
        tasks.extend(ztocs.into_iter().map(|ztoc| Task::new(layer, Some(ztoc))));
    }
    let mut fresh = Vec::new();
    for task in &tasks {
        if !done.contains_key(task) && !fresh.contains(task) {
            fresh.push(task.clone());
        }
    }
    let verified: Vec<_> = stream::iter(fresh)
        .map(|task| async move {
            let report = layer::verify(store, &task).await;
            (task, report)
        })
        .buffered(LAYERS_AT_ONCE)
        .collect()
        .await;
    done.extend(verified);
    tasks
        .iter()
        .filter_map(|task| done.get(task))
        .cloned()
        .collect()
}

/// Indexes that an image index lists and no image names.
fn dangling(image: &Image, used: &[Digest]) -> Vec<String> {
    let entries = image.entries.iter();
    let missing = image.missing();
    // The image that it is for may be among those that are missing.
    let is_for_a_missing_one = |entry: &Descriptor| {
        let link = entry.annotations.get(MANIFEST_DIGEST);
        link.is_some_and(|link| {
            missing
                .iter()
                .any(|of| of.manifest_digest.to_string() == *link)
        })
    };
    entries
        .filter(|entry| matches!(entry.role, Role::SociIndex))
        .map(|entry| &entry.descriptor)
        .filter(|entry| !used.contains(&entry.digest) && !is_for_a_missing_one(entry))
        .map(|entry| entry.digest)
        .map(|digest| {
            format!("the image index lists the SOCI index {digest}, but no image refers to it")
        })
        .collect()
}

/// Whether a blob of an index is a ztoc.
fn is_ztoc(blob: &Descriptor) -> bool {
    blob.media_type == ZTOC
}

/// Leaves so many problems, and says how many there were.
fn cut(problems: &mut Vec<String>, limit: usize) {
    let more = problems.len().saturating_sub(limit);
    if more > 0 {
        problems.truncate(limit);
        problems.push(format!("and {more} more like this"));
    }
}
