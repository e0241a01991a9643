//! One run: an image reference in, a pushed and checked index out. Knows every stage and their order.
//!
//! ```text
//! image ─▶ plan ─▶ there already? ─▶ layers (reused or read) ─▶ indexes ─▶ push ─▶ read back ─▶ tag
//! ```

mod cores;
mod error;
mod existing;
mod layers;
mod names;
mod naming;
mod prefetch;
mod publish;
mod request;
mod target;

use std::{sync::Arc, time::Instant};

use soci_format::{
    digest::Digest,
    image::Image,
    index::Version,
    oci::{Platform, Reference},
    plan::{LayerPlan, Skip},
};
use soci_store::{
    load::{Presence, load},
    registry::Client,
    store::{self, ReadImages, Store, Transaction},
};

pub use error::{Error, LayerError, chain};
pub use request::{FallbackAction, InvalidFallbackAction, Request};

use crate::{
    progress::Progress,
    report::{IndexReport, LayerCounts, LayerState, Outcome, Report},
};
use existing::Existing;
use layers::{Layer, Layers};
use names::Names;
use publish::{Publication, Published};
use target::Target;

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
    naming::check(request)?;
    let store = Store::open(&request.image, client, request.limits)?;
    naming::check_store(&store)?;
    let root = store.image(&request.image).await?;
    let output_tag = naming::output(request, store.name_of(&request.image)?.as_deref())?;
    let image = load(&store, root).await?;
    let (image, presence) = target::complete(&store, image, request).await?;
    for missing in image.missing() {
        progress.warn(&format!("kept unchanged in the image index: {missing}"));
    }
    let run = Run::new(request, &image, &presence, output_tag, started)?;
    // What is there already saves work, no more: where it cannot be looked at, the work is done.
    let existing = existing::find(&store, &run).await.unwrap_or_else(|error| {
        let reason = chain(&error);
        progress.warn(&format!("cannot check for existing indexes: {reason}"));
        Existing::default()
    });
    if let Some(report) = run.without_work(&store, &existing).await? {
        prefetch::report_missing(&report.prefetch_not_found, request.strict, &*progress)?;
        return Ok(report);
    }

    let work =
        async |transaction: &Transaction| run.work(&store, transaction, &existing, progress).await;
    let ((report, published), has_changed) = store.write(work).await?;
    if let Some(published) = published {
        published.check(&store).await?;
    }
    Ok(match report.outcome {
        Outcome::Indexed if !has_changed => Report {
            outcome: Outcome::AlreadyThere,
            ..report
        },
        _ => report,
    })
}

/// What a run would end with, where it would neither read a layer nor push anything: the wanted index is there and complete, or
/// there is nothing to index and nothing to do about it. `None` where a run is needed.
///
/// # Errors
/// As a run's own: the image is not there, is none, or does not have a platform that was asked for.
pub async fn already_there(
    request: &Request,
    images: &impl ReadImages,
) -> Result<Option<Report>, Error> {
    let started = Instant::now();
    // Layouts have no selectors, and nobody asks about them from elsewhere.
    let Reference::Registry(reference) = &request.image else {
        return Ok(None);
    };
    let root = images.select(&reference.selector()).await?;
    let root = root.ok_or_else(|| store::Error::NoManifest(request.image.to_string()))?;
    let output_tag = naming::output(request, request.image.tag())?;
    let image = load(images, root).await?;
    let (image, presence) = target::complete(images, image, request).await?;
    let run = Run::new(request, &image, &presence, output_tag, started)?;
    let existing = existing::find(images, &run).await?;
    run.without_work(images, &existing).await
}

/// A run whose image is known.
struct Run<'a> {
    request: &'a Request,
    image: &'a Image,
    presence: &'a Presence,
    targets: Vec<Target<'a>>,
    output_tag: Option<String>,
    started: Instant,
}

impl<'a> Run<'a> {
    fn new(
        request: &'a Request,
        image: &'a Image,
        presence: &'a Presence,
        output_tag: Option<String>,
        started: Instant,
    ) -> Result<Self, Error> {
        let run = Self {
            request,
            image,
            presence,
            targets: target::targets(image, presence, request)?,
            output_tag,
            started,
        };
        // Version 2 makes a new image index, and looks at that one.
        if request.version == Version::V1 {
            run.check_original()?;
        }
        Ok(run)
    }

    /// Whether clients get the images that the run is about from the image as it is.
    fn check_original(&self) -> Result<(), Error> {
        let is_asked = |platform: &Platform| {
            let mut targets = self.targets.iter();
            targets.any(|target| target.platform.same_as(platform))
        };
        match self.image.shadowed(is_asked).into_iter().next() {
            Some(shadowed) => Err(shadowed.into()),
            None => Ok(()),
        }
    }

    /// The tag that the run puts, version 2.
    fn new_tag(&self) -> Option<&str> {
        match self.request.version {
            Version::V1 => None,
            Version::V2 => self.output_tag.as_deref(),
        }
    }

    /// Reads the layers and puts all that is to be put. Gives the report of a run that changed something, and what is to name
    /// its result.
    async fn work(
        &self,
        store: &Store,
        transaction: &Transaction,
        existing: &Existing,
        progress: Arc<dyn Progress>,
    ) -> Result<(Report, Option<Published>), Error> {
        let request = self.request;
        let reuse_from = naming::reuse_from(request, store);
        let reusable = existing::reusable(store, existing, request, reuse_from, &*progress).await;
        let layers = layers::index_all(
            store,
            transaction,
            &self.targets,
            reusable,
            request,
            Arc::clone(&progress),
        )
        .await?;
        let names = Names::read(store, &self.targets, &layers, request).await;
        let bytes_read = layers.bytes_read + names.bytes_read;
        let mut publication = Publication::default();
        let (mut indexes, mut not_found) = (Vec::new(), Vec::new());
        for target in &self.targets {
            let prefetched = prefetch::find(target, &layers, &names, request);
            prefetched
                .doubts
                .iter()
                .for_each(|doubt| progress.warn(doubt));
            not_found.extend(prefetched.not_found);
            let soci_index = publication.add(target, &layers, prefetched.artifacts, request);
            indexes.push(target.report(soci_index, |layer| layers.get(&layer.digest).state()));
        }
        prefetch::report_missing(&not_found, request.strict, &*progress)?;
        if publication.is_empty() {
            let (outcome, output) = self.without_index()?;
            let published = match (output, self.new_tag()) {
                (Some(_), Some(tag)) => Some(
                    publish::tag_original(store, transaction, self.image, tag, &*progress).await?,
                ),
                _ => None,
            };
            let report = self.report(outcome, output, indexes, bytes_read);
            let report = report.without(not_found);
            return Ok((report, published));
        }
        let published = publication
            .publish(
                store,
                transaction,
                self.image,
                request,
                self.output_tag.as_deref(),
                &*progress,
            )
            .await?;
        let output = match &published {
            Published::Tag(_, digest) => *digest,
            Published::Referrers(_) => self.image_digest(),
        };
        let report = self
            .report(Outcome::Indexed, Some(output), indexes, bytes_read)
            .without(not_found);
        Ok((report, Some(published)))
    }

    /// The report of a run that has nothing to do.
    async fn without_work(
        &self,
        images: &impl ReadImages,
        existing: &Existing,
    ) -> Result<Option<Report>, Error> {
        if !self.targets.iter().any(Target::has_work) {
            let (outcome, output) = self.without_index()?;
            let tag_is_missing = output.is_some()
                && self.new_tag().is_some()
                && existing.output() != Some(self.image_digest());
            if tag_is_missing {
                return Ok(None);
            }
            let indexes = self
                .targets
                .iter()
                .map(|target| target.report(None, |_| LayerState::Reused));
            let report = self.report(outcome, output, indexes.collect(), 0);
            let files = &self.request.options.prefetch_files;
            return Ok(Some(
                report.without(prefetch::without_index(&self.targets, files)),
            ));
        }
        let found = existing::up_to_date(images, self, existing).await?;
        Ok(found.map(|found| {
            let indexes = self.targets.iter().map(|target| {
                let soci_index = found.indexes.get(&target.at).copied();
                target.report(soci_index, |_| LayerState::Reused)
            });
            self.report(
                Outcome::AlreadyThere,
                Some(found.image),
                indexes.collect(),
                0,
            )
        }))
    }

    /// How a run ends that gets no index, and the image to use then, if any.
    fn without_index(&self) -> Result<(Outcome, Option<Digest>), Error> {
        let unsupported =
            self.targets
                .iter()
                .flat_map(|target| &target.plans)
                .any(|plan| match plan {
                    LayerPlan::Skip(skip) => skip.is_unsupported(),
                    LayerPlan::Index(_) => true,
                });
        let (outcome, fallback) = if unsupported {
            (Outcome::Unsupported, self.request.when_unsupported)
        } else {
            (Outcome::NothingToIndex, self.request.when_too_small)
        };
        let output = match fallback {
            FallbackAction::Fail => None,
            FallbackAction::UseOriginal => {
                self.check_original()?;
                Some(self.image_digest())
            }
        };
        Ok((outcome, output))
    }

    fn image_digest(&self) -> Digest {
        self.image.root.descriptor.digest
    }

    fn report(
        &self,
        outcome: Outcome,
        output_digest: Option<Digest>,
        indexes: Vec<IndexReport>,
        bytes_read: u64,
    ) -> Report {
        Report {
            outcome,
            image_digest: self.image_digest(),
            output_digest,
            output_tag: self.output_tag.clone().filter(|_| output_digest.is_some()),
            layers: LayerCounts::of(&indexes),
            indexes,
            prefetch_not_found: Vec::new(),
            missing: self.image.missing(),
            bytes_read,
            seconds: self.started.elapsed().as_secs_f64(),
        }
    }
}
