//! What is to be done for each platform of an image. In: its manifests and the request. Out: targets, and what a report says of them.

use super::{Error, Request};
use crate::{
    digest::Digest,
    image::Image,
    oci::{Descriptor, ImageManifest, Platform},
    plan::{LayerPlan, layer_plan},
    report::{IndexReport, LayerReport, LayerState},
};

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

/// The platforms that the request is about.
pub(super) fn targets<'a>(image: &'a Image, request: &Request) -> Result<Vec<Target<'a>>, Error> {
    let there = image.platforms();
    for wanted in &request.platforms {
        image.platform(wanted)?;
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
