//! What a run reads: each layer once, several at a time, or not at all where its ztoc is there already and it need not be copied.
//! In: the plan. Out: what became of the layers.

mod job;

use std::{
    collections::HashMap,
    sync::{Arc, atomic::AtomicU64},
};

use soci_format::{
    digest::Digest,
    oci::{Descriptor, LayerEncoding},
    plan::LayerPlan,
};
use tokio::task::JoinSet;

use super::{
    Error, KnownZtocs, Request,
    copy::Copy,
    cores::{Cores, InUse},
    known::Known,
    layers::Layers,
    target::Target,
    work::Places,
};
use crate::progress::Progress;
use job::Shared;

/// All layers and other blobs to be done.
pub(super) struct Jobs(Vec<Job>);

/// One layer or other blob to be done.
struct Job {
    blob: Descriptor,
    /// Place in the order of starting, where it is told about: configs and the like are not.
    at: Option<usize>,
    /// Where it is a layer that gets a ztoc.
    index: Option<ToIndex>,
    is_copied: bool,
}

/// A layer that gets a ztoc.
struct ToIndex {
    /// Its number within its image, from 1.
    number: usize,
    /// How many layers that image has.
    count: usize,
    encoding: LayerEncoding,
    reusable: Option<Reusable>,
}

/// A ztoc that need not be built.
enum Reusable {
    /// It is in the store.
    Here(Descriptor),
    /// An earlier run left it, in this store or another.
    Known(Known),
}

impl Jobs {
    /// All layers that the plan wants indexed, and all blobs that the copy lacks. Large ones start first, so that the last one to end is a
    /// small one.
    pub(super) fn plan(
        targets: &[Target<'_>],
        (mut existing, known): (HashMap<Digest, Descriptor>, &KnownZtocs),
        copy: Option<&Copy>,
        request: &Request,
    ) -> Self {
        let mut jobs: Vec<Job> = Vec::new();
        for target in targets {
            let layers = &target.manifest.layers;
            for (i, (layer, plan)) in layers.iter().zip(&target.plans).enumerate() {
                if let LayerPlan::Index(encoding) = plan
                    && !jobs.iter().any(|job| job.blob.digest == layer.digest)
                {
                    let here = existing.remove(&layer.digest).map(Reusable::Here);
                    let known = || known.get(layer.digest, &request.options);
                    jobs.push(Job {
                        blob: layer.clone(),
                        at: None,
                        index: Some(ToIndex {
                            number: i + 1,
                            count: layers.len(),
                            encoding: encoding.clone(),
                            reusable: here.or_else(|| known().map(Reusable::Known)),
                        }),
                        is_copied: false,
                    });
                }
            }
        }
        for blob in copy.into_iter().flat_map(Copy::missing_blobs) {
            let mut indexed = jobs.iter_mut();
            match indexed.find(|job| job.blob.digest == blob.digest) {
                Some(job) => job.is_copied = true,
                None => jobs.push(Job {
                    blob: blob.clone(),
                    at: None,
                    index: None,
                    is_copied: true,
                }),
            }
        }
        jobs.sort_by_key(|job| std::cmp::Reverse(job.blob.size));
        for (at, job) in jobs.iter_mut().filter(|job| job.is_layer()).enumerate() {
            job.at = Some(at);
        }
        Self(jobs)
    }

    /// Does them all.
    pub(super) async fn run(
        self,
        places: Places<'_>,
        request: &Request,
        progress: Arc<dyn Progress>,
    ) -> Result<Layers, Error> {
        let Self(jobs) = self;
        let told = jobs.iter().filter(|job| job.at.is_some());
        let told: Vec<_> = told.map(|job| (job.blob.digest, job.blob.size)).collect();
        progress.layers(&told);
        let files_room = Arc::new(AtomicU64::new(request.limits.ztocs_bytes));
        let with_files = !request.options.prefetch_files.is_empty();
        let is_copying = jobs.iter().any(|job| job.is_copied);
        let indexed = jobs.iter().filter(|job| job.index.is_some()).count();
        let shared = Arc::new(Shared {
            source: places.source.clone(),
            store: places.store.clone(),
            transaction: places.transaction.clone(),
            options: request.options.clone(),
            limits: request.limits,
            files_room: with_files.then(|| Arc::clone(&files_room)),
            strict: request.strict,
            cores: Arc::new(Cores::new(indexed, is_copying)),
            progress,
        });
        let _in_use = InUse(Arc::clone(&shared.cores));
        let mut running = JoinSet::new();
        for job in jobs {
            let shared = Arc::clone(&shared);
            running.spawn(async move { shared.run(job).await });
        }
        let mut layers = Layers::new(files_room);
        // Leaving on the first error drops the set, which ends the others.
        while let Some(finished) = running.join_next().await {
            finished??.add_to(&mut layers);
        }
        Ok(layers)
    }
}

impl Job {
    fn is_layer(&self) -> bool {
        let encoding = LayerEncoding::declared_by(&self.blob.media_type);
        self.index.is_some() || encoding != LayerEncoding::NotALayer
    }
}
