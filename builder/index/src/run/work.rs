//! A run whose image is known: reads the layers, and puts what they give. In: the image, and what is there already. Out: the
//! report, and what is to name the result.

use std::{sync::Arc, time::Instant};

use soci_format::{
    digest::Digest,
    image::Image,
    index::Version,
    oci::{Descriptor, Platform},
    plan::LayerPlan,
};
use soci_store::{
    load::Presence,
    store::{ReadImages, Store, Transaction},
};

use super::{
    Error, FallbackAction, KnownZtocs, Request,
    copy::Copy,
    existing::{self, Existing},
    jobs::Jobs,
    names::Names,
    naming, prefetch,
    publish::{Publication, Published, Publisher},
    target::{self, Target},
};
use crate::{
    progress::Progress,
    report::{IndexReport, LayerCounts, LayerState, Outcome, Report},
};

/// A run whose image is known.
pub(super) struct Run<'a> {
    pub(super) request: &'a Request,
    pub(super) image: &'a Image,
    pub(super) presence: &'a Presence,
    pub(super) targets: Vec<Target<'a>>,
    /// The copy that is made of the image.
    copy: Option<&'a Copy>,
    /// Names of the image to use afterwards.
    output_tags: Vec<String>,
    started: Instant,
}

/// Where a run reads and writes.
#[derive(Clone, Copy)]
pub(super) struct Places<'a> {
    /// Where the image is.
    pub(super) source: &'a Store,
    /// Where its index goes: to the image, or to its copy.
    pub(super) store: &'a Store,
    pub(super) transaction: &'a Transaction,
}

/// What a run that changed something gives.
pub(super) struct Worked {
    pub(super) report: Report,
    /// What is to name its result.
    pub(super) published: Option<Published>,
    /// Ztocs by the digest of their layer.
    pub(super) ztocs: Vec<(Digest, Descriptor)>,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        request: &'a Request,
        image: &'a Image,
        presence: &'a Presence,
        output_tags: Vec<String>,
        started: Instant,
    ) -> Result<Self, Error> {
        let run = Self {
            request,
            image,
            presence,
            targets: target::targets(image, presence, request)?,
            copy: None,
            output_tags,
            started,
        };
        // Version 2 makes a new image index, and looks at that one.
        if request.version == Version::V1 {
            run.check_original()?;
        }
        Ok(run)
    }

    /// The same run, which makes a copy of the image too.
    pub(super) fn copying(self, copy: Option<&'a Copy>) -> Self {
        Self { copy, ..self }
    }

    /// Which blobs are where the index goes.
    pub(super) fn there(&self) -> &Presence {
        self.copy.map_or(self.presence, |copy| &copy.there)
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

    /// The tags that the run puts, version 2.
    pub(super) fn new_tags(&self) -> &[String] {
        match self.request.version {
            Version::V1 => &[],
            Version::V2 => &self.output_tags,
        }
    }

    /// Reads the layers and puts all that is to be put.
    pub(super) async fn work(
        &self,
        places: Places<'_>,
        existing: &Existing,
        known: &KnownZtocs,
        progress: Arc<dyn Progress>,
    ) -> Result<Worked, Error> {
        let request = self.request;
        let Places { source, store, .. } = places;
        let reuse_from = naming::reuse_from(request, store);
        let reusable = existing::reusable(store, existing, request, reuse_from, &*progress).await;
        let jobs = Jobs::plan(&self.targets, (reusable, known), self.copy, request);
        let layers = jobs.run(places, request, Arc::clone(&progress)).await?;
        let names = Names::read(source, &self.targets, &layers, request).await;
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
        let publisher = Publisher {
            places,
            image: self.image,
            copy: self.copy,
            tags: self.new_tags(),
            progress: &*progress,
        };
        let (outcome, output, published) = if publication.is_empty() {
            let (outcome, output) = self.without_index()?;
            let published = match output {
                Some(_) if self.copy.is_some() || !self.new_tags().is_empty() => {
                    Some(publisher.tag_original().await?)
                }
                _ => None,
            };
            (outcome, output, published)
        } else {
            let published = publisher.publish(publication, request.version).await?;
            (Outcome::Indexed, Some(published.output), Some(published))
        };
        let mut report = self.report(outcome, output, indexes, bytes_read);
        if let Some(copy) = &mut report.copy {
            copy.add(layers.copied);
        }
        Ok(Worked {
            report: report.without(not_found),
            published,
            ztocs: layers.ztocs(),
        })
    }

    /// The report of a run that has nothing to do.
    pub(super) async fn without_work(
        &self,
        images: &impl ReadImages,
        existing: &Existing,
    ) -> Result<Option<Report>, Error> {
        if !self.targets.iter().any(Target::has_work) {
            let (outcome, output) = self.without_index()?;
            let is_done = existing.is_output(&self.image_digest()) && self.is_copied(images).await;
            if output.is_some() && !is_done {
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
        if found.is_some() && !self.is_copied(images).await {
            return Ok(None);
        }
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

    /// Whether the copy is there already, where one is to be made.
    async fn is_copied(&self, images: &impl ReadImages) -> bool {
        match self.copy {
            Some(copy) => copy.is_complete(images, &self.image.root).await,
            None => true,
        }
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

    pub(super) fn image_digest(&self) -> Digest {
        self.image.root.descriptor.digest
    }

    fn report(
        &self,
        outcome: Outcome,
        output_digest: Option<Digest>,
        indexes: Vec<IndexReport>,
        bytes_read: u64,
    ) -> Report {
        let tags = match output_digest {
            Some(_) => &self.output_tags[..],
            None => &[],
        };
        Report {
            outcome,
            image_digest: self.image_digest(),
            output_digest,
            output_tag: tags.first().cloned(),
            output_tags: match tags {
                [_, _, ..] => tags.to_vec(),
                _ => Vec::new(),
            },
            copy: self
                .copy
                .filter(|_| output_digest.is_some())
                .map(|copy| copy.report(&self.image_digest())),
            layers: LayerCounts::of(&indexes),
            indexes,
            prefetch_not_found: Vec::new(),
            missing: self.image.missing(),
            bytes_read,
            seconds: self.started.elapsed().as_secs_f64(),
        }
    }
}
