//! One run: an image reference in, a pushed and checked index out. Knows every stage and their order.
//!
//! ```text
//! image ─▶ plan ─▶ there already? ─▶ layers (reused or read) ─▶ indexes ─▶ push ─▶ read back ─▶ tag
//! ```

mod error;
mod existing;
mod layers;
mod publish;

use std::{sync::Arc, time::Instant};

pub use error::{Error, LayerError, chain};

use crate::{
    digest::Digest,
    image::Image,
    index::{self, Prefetch, Version, soci_index, ztoc_descriptor},
    layout::Layout,
    oci::{Descriptor, ImageManifest, Platform, Reference, is_tag},
    plan::{IndexOptions, LayerPlan, Skip, layer_plan},
    progress::Progress,
    registry::Client,
    report::{IndexReport, LayerReport, LayerState, Outcome, Report},
    store::Store,
};
use layers::{Layer, Layers};
use publish::Publication;

/// What to do with an image that gets no index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Otherwise {
    /// Put the output tag on the image as it is.
    UseOriginal,
    /// Fail.
    Fail,
}

/// What a run is asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// The image.
    pub image: Reference,
    /// Version of the index.
    pub version: Version,
    /// Tag of the new image, version 2; `<tag>-soci` unless given.
    pub output_tag: Option<String>,
    /// The platforms to index; all of them where empty.
    pub platforms: Vec<Platform>,
    /// What the index holds.
    pub options: IndexOptions,
    /// A tag whose index may have ztocs of the same layers.
    pub reuse_from: Option<String>,
    /// Whether a layer that cannot be indexed fails the run.
    pub strict: bool,
    /// Where every layer is too small.
    pub when_too_small: Otherwise,
    /// Where no layer can be indexed.
    pub when_unsupported: Otherwise,
}

/// One platform's image, and what is to become of its layers.
struct Target<'a> {
    /// Position among the image's entries.
    at: usize,
    descriptor: &'a Descriptor,
    platform: &'a Platform,
    manifest: &'a ImageManifest,
    plans: Vec<LayerPlan>,
}

impl Target<'_> {
    fn has_work(&self) -> bool {
        self.plans
            .iter()
            .any(|plan| matches!(plan, LayerPlan::Index(_)))
    }

    /// Tells about the platform; `state` says what became of a layer that was to get a ztoc.
    fn report(
        &self,
        index_digest: Option<Digest>,
        state: impl Fn(&Descriptor) -> LayerState,
    ) -> IndexReport {
        let layers = self.manifest.layers.iter().zip(&self.plans);
        IndexReport {
            platform: self.platform.to_string(),
            manifest_digest: self.descriptor.digest,
            index_digest,
            layers: layers
                .map(|(layer, plan)| LayerReport {
                    digest: layer.digest,
                    size: layer.size,
                    state: match plan {
                        LayerPlan::Index(_) => state(layer),
                        LayerPlan::Skip(skip) => LayerState::Skipped {
                            reason: skip.to_string(),
                        },
                    },
                })
                .collect(),
        }
    }
}

/// Builds the index of an image and pushes it.
///
/// # Errors
/// One chain that says what was tried and why it failed. Nothing incomplete is ever under the output tag.
pub async fn index(
    request: &Request,
    client: &Client,
    progress: Arc<dyn Progress>,
) -> Result<Report, Error> {
    let started = Instant::now();
    let store = Store::open(&request.image, client)?;
    let root = store.image(&request.image).await?;
    let output_tag = output_tag(request, &store)?;
    let image = Image::load(&store, root).await?;
    let targets = targets(&image, request)?;
    let image_digest = image.root.descriptor.digest;
    let report = |outcome, output_digest, indexes, bytes_read| Report {
        outcome,
        image_digest,
        output_digest,
        output_tag: output_tag.clone(),
        indexes,
        bytes_read,
        seconds: started.elapsed().as_secs_f64(),
    };

    let existing = existing::find(&store, &image, &targets, request, output_tag.as_deref()).await?;
    if let Some(there) = existing::wanted(&store, &image, &targets, &existing, request).await? {
        let indexes = targets.iter().map(|target| {
            let soci_index = there.indexes.get(&target.at).copied();
            target.report(soci_index, |_| LayerState::Reused)
        });
        return Ok(report(
            Outcome::AlreadyThere,
            Some(there.image),
            indexes.collect(),
            0,
        ));
    }

    let reusable = existing::reusable(&store, &existing, request, &*progress).await?;
    let layers = layers::index_all(&store, &targets, reusable, request, progress).await?;
    let mut publication = Publication::default();
    let mut indexes = Vec::new();
    for target in &targets {
        let soci_index = publication.add(target, &layers, request);
        indexes.push(target.report(soci_index, |layer| layers.get(&layer.digest).state()));
    }
    if publication.is_empty() {
        let unsupported = targets.iter().any(|target| {
            target.plans.iter().any(|plan| match plan {
                LayerPlan::Skip(skip) => skip.is_unsupported(),
                LayerPlan::Index(_) => true,
            })
        });
        let (outcome, otherwise) = if unsupported {
            (Outcome::Unsupported, request.when_unsupported)
        } else {
            (Outcome::NothingToIndex, request.when_too_small)
        };
        let output = match otherwise {
            Otherwise::Fail => None,
            Otherwise::UseOriginal => {
                if let Some(tag) = output_tag
                    .as_deref()
                    .filter(|_| request.version == Version::V2)
                {
                    publish::tag_original(&store, &image, tag).await?;
                }
                Some(image_digest)
            }
        };
        let mut report = report(outcome, output, indexes, layers.bytes_read);
        report.output_tag = report.output_tag.filter(|_| output.is_some());
        return Ok(report);
    }
    let (output, news) = publication
        .publish(&store, &image, request, output_tag.as_deref())
        .await?;
    let outcome = if news {
        Outcome::Indexed
    } else {
        Outcome::AlreadyThere
    };
    Ok(report(outcome, Some(output), indexes, layers.bytes_read))
}

/// The tag of the image to use afterwards: a new one for version 2, the image's own for version 1.
fn output_tag(request: &Request, store: &Store) -> Result<Option<String>, Error> {
    let entry_tag = match store {
        Store::Layout(layout) => layout
            .resolve(request.image.tag())?
            .and_then(|entry| Layout::tag_of(&entry).map(str::to_owned)),
        Store::Registry(_) => None,
    };
    let tag = request.image.tag().map(str::to_owned).or(entry_tag);
    if request.version == Version::V1 {
        return Ok(tag);
    }
    let output = request
        .output_tag
        .clone()
        .or(tag.map(|tag| format!("{tag}-soci")))
        .ok_or(Error::NoOutputTag)?;
    if is_tag(&output) {
        Ok(Some(output))
    } else {
        Err(Error::OutputTag(output))
    }
}

fn targets<'a>(image: &'a Image, request: &Request) -> Result<Vec<Target<'a>>, Error> {
    let there = image.platforms();
    let names = || {
        there
            .iter()
            .map(|(_, _, platform, _)| platform.to_string())
            .collect::<Vec<_>>()
            .join(", ")
    };
    for wanted in &request.platforms {
        if !there
            .iter()
            .any(|(_, _, platform, _)| platform.same_as(wanted))
        {
            return Err(Error::NoSuchPlatform {
                wanted: wanted.to_string(),
                there: names(),
            });
        }
    }
    if there.is_empty() {
        return Err(Error::NoPlatforms);
    }
    let is_wanted = |platform: &Platform| {
        request.platforms.is_empty()
            || request
                .platforms
                .iter()
                .any(|wanted| wanted.same_as(platform))
    };
    Ok(there
        .into_iter()
        .filter(|(_, _, platform, _)| is_wanted(platform))
        .map(|(at, descriptor, platform, manifest)| Target {
            at,
            descriptor,
            platform,
            manifest,
            plans: manifest
                .layers
                .iter()
                .map(|layer| layer_plan(layer, &request.options))
                .collect(),
        })
        .collect())
}
