//! What is to be done for each platform of an image. In: its manifests and the request. Out: targets, and what a report says of them.

use soci_format::{
    digest::Digest,
    image::Image,
    index::Version,
    oci::{Descriptor, ImageManifest, Platform},
    plan::{LayerPlan, layer_plan},
};
use soci_store::{
    load::{Presence, leave_out_incomplete},
    store::ReadImages,
};

use super::{Error, Request};
use crate::report::{IndexReport, LayerReport, LayerState};

/// One platform's image, and what is to become of its layers.
pub(super) struct Target<'a> {
    /// Position among the image's entries.
    pub(super) at: usize,
    pub(super) descriptor: &'a Descriptor,
    pub(super) platform: &'a Platform,
    pub(super) manifest: &'a ImageManifest,
    pub(super) plans: Vec<LayerPlan>,
}

impl Target<'_> {
    /// Whether any layer gets a ztoc, as far as its media type tells.
    pub(super) fn has_work(&self) -> bool {
        self.plans
            .iter()
            .any(|plan| matches!(plan, LayerPlan::Index(_)))
    }

    /// Tells about the platform; `state` says what became of a layer that was to get a ztoc.
    pub(super) fn report(
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

/// The image without the platforms that are not complete, and which blobs are there. Version 2 writes every platform's manifest
/// anew, and so needs all of them, as a copy does; version 1 only those that are asked for.
pub(super) async fn complete(
    images: &impl ReadImages,
    image: Image,
    request: &Request,
) -> Result<(Image, Presence), Error> {
    let is_needed = |platform: &Platform| {
        let mut wanted = request.platforms.iter();
        request.version == Version::V2
            || request.copy_to.is_some()
            || request.platforms.is_empty()
            || wanted.any(|wanted| platform.matches(wanted))
    };
    let platforms = image.platforms();
    let manifests = platforms
        .iter()
        .filter(|(.., platform, _)| is_needed(platform))
        .map(|(.., manifest)| *manifest);
    let presence = Presence::of(images, manifests).await;
    Ok((leave_out_incomplete(image, &presence)?, presence))
}

/// The platforms that the request is about.
pub(super) fn targets<'a>(
    image: &'a Image,
    presence: &Presence,
    request: &Request,
) -> Result<Vec<Target<'a>>, Error> {
    let mut meant = Vec::new();
    for wanted in &request.platforms {
        meant.extend(image.platform(wanted)?.into_iter().map(|(at, ..)| at));
    }
    let there = image.platforms().into_iter();
    Ok(there
        .filter(|(at, ..)| request.platforms.is_empty() || meant.contains(at))
        .map(|(at, descriptor, platform, manifest)| Target {
            at,
            descriptor,
            platform,
            manifest,
            plans: manifest
                .layers
                .iter()
                .map(|layer| layer_plan(layer, presence.has(&layer.digest), &request.options))
                .collect(),
        })
        .collect())
}
