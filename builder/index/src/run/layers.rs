//! The layers of a run: each read once, several at a time, or not at all where its ztoc is there already.
//! In: the plan. Out: for each layer its ztoc's descriptor, pushed, and what an index has to know of its contents.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use soci_format::{
    digest::Digest,
    index::{IndexOptions, ZTOC},
    layer::{self, Pass},
    limits::Limits,
    oci::{Descriptor, LayerEncoding},
    plan::{LayerPlan, Skip},
    ztoc::{Toc, Ztoc, flat_bytes_max},
};
use soci_store::{
    registry::Connection,
    store::{ReadImages, Store, Transaction},
};
use tokio::task::{JoinSet, spawn_blocking};

use super::{
    Error, KnownZtocs, LayerError, Request, chain,
    cores::{Cores, InUse, WithCore},
    known::Known,
    target::Target,
};
use crate::{progress::Progress, report::LayerState};

/// What became of the layers of a run.
pub(super) struct Layers {
    layers: HashMap<Digest, Layer>,
    pub(super) bytes_read: u64,
    /// Bytes that the files of further layers may take.
    pub(super) files_room: Arc<AtomicU64>,
}

/// What became of one layer.
pub(super) enum Layer {
    /// It has a ztoc.
    Indexed { facts: Box<Facts>, reused: bool },
    /// It has none.
    Skipped(Skip),
}

/// What an index has to know of a layer.
pub(super) struct Facts {
    pub(super) ztoc: Descriptor,
    pub(super) contents: Contents,
}

/// What an index has to know of the files in a layer.
pub(super) struct Contents {
    /// Whether no file has an extended attribute, and no directory is opaque, which containerd marks with one.
    pub(super) without_xattrs: bool,
    /// Where the files are; only where some are to be prefetched, and there is room.
    pub(super) files: Option<Files>,
}

/// Where the files of a layer are.
pub(super) struct Files {
    pub(super) toc: Toc,
    /// Uncompressed bytes at which spans start.
    pub(super) span_starts: Vec<u64>,
}

impl Layers {
    pub(super) fn get(&self, digest: &Digest) -> &Layer {
        &self.layers[digest]
    }

    /// The ztocs, by the digest of their layer.
    pub(super) fn ztocs(&self) -> Vec<(Digest, Descriptor)> {
        let layers = self.layers.iter();
        layers
            .filter_map(|(&digest, layer)| match layer {
                Layer::Indexed { facts, .. } => Some((digest, facts.ztoc.clone())),
                Layer::Skipped(_) => None,
            })
            .collect()
    }

    /// What became of a layer; none where the plan left it out.
    pub(super) fn find(&self, digest: &Digest) -> Option<&Layer> {
        self.layers.get(digest)
    }
}

impl Layer {
    pub(super) fn state(&self) -> LayerState {
        match self {
            Self::Indexed { reused: false, .. } => LayerState::Indexed,
            Self::Indexed { reused: true, .. } => LayerState::Reused,
            Self::Skipped(skip) => LayerState::Skipped {
                reason: skip.to_string(),
            },
        }
    }
}

impl Contents {
    fn of(ztoc: &Ztoc, files_room: Option<&AtomicU64>) -> Self {
        Self {
            without_xattrs: without_xattrs(&ztoc.toc),
            files: files_room
                .filter(|room| has_room_for(&ztoc.toc, room))
                .map(|_| Files {
                    toc: ztoc.toc.clone(),
                    span_starts: ztoc.span_starts(),
                }),
        }
    }
}

/// Takes of `room` what a table of contents takes, where so much is left.
pub(super) fn has_room_for(toc: &Toc, room: &AtomicU64) -> bool {
    let bytes = flat_bytes_max(toc, 0, 0) as u64;
    let taken = |room: u64| room.checked_sub(bytes);
    let order = Ordering::Relaxed;
    room.try_update(order, order, taken).is_ok()
}

/// Whether nothing in a layer needs extended attributes.
fn without_xattrs(toc: &Toc) -> bool {
    toc.iter().all(|file| {
        let is_opaque = file.name.rsplit(|&byte| byte == b'/').next() == Some(b".wh..wh..opq");
        !is_opaque
            && !file
                .xattrs
                .iter()
                .any(|(key, _)| key.starts_with(b"SCHILY.xattr."))
    })
}

/// One layer to be done.
struct Job {
    number: usize,
    count: usize,
    /// Place in the order of starting.
    at: usize,
    layer: Descriptor,
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

/// What the jobs of all layers share.
struct LayerJobs {
    store: Store,
    transaction: Transaction,
    options: IndexOptions,
    limits: Limits,
    /// Room for the files of the layers, where they are wanted.
    files_room: Option<Arc<AtomicU64>>,
    strict: bool,
    cores: Arc<Cores>,
    progress: Arc<dyn Progress>,
}

/// Makes or finds the ztocs of all layers that the plan wants indexed. Large layers start first, so that the last one to
/// end is a small one.
pub(super) async fn index_all(
    store: &Store,
    transaction: &Transaction,
    targets: &[Target<'_>],
    (mut existing, known): (HashMap<Digest, Descriptor>, &KnownZtocs),
    request: &Request,
    progress: Arc<dyn Progress>,
) -> Result<Layers, Error> {
    let mut jobs: Vec<Job> = Vec::new();
    for target in targets {
        let layers = &target.manifest.layers;
        for (i, (layer, plan)) in layers.iter().zip(&target.plans).enumerate() {
            if let LayerPlan::Index(encoding) = plan
                && !jobs.iter().any(|job| job.layer.digest == layer.digest)
            {
                jobs.push(Job {
                    number: i + 1,
                    count: layers.len(),
                    at: 0,
                    layer: layer.clone(),
                    encoding: encoding.clone(),
                    reusable: existing
                        .remove(&layer.digest)
                        .map(Reusable::Here)
                        .or_else(|| {
                            let known = known.get(layer.digest, &request.options);
                            known.map(Reusable::Known)
                        }),
                });
            }
        }
    }
    jobs.sort_by_key(|job| std::cmp::Reverse(job.layer.size));
    progress.layers(
        &jobs
            .iter()
            .map(|job| (job.layer.digest, job.layer.size))
            .collect::<Vec<_>>(),
    );

    let files_room = Arc::new(AtomicU64::new(request.limits.ztocs_bytes));
    let with_files = !request.options.prefetch_files.is_empty();
    let shared = Arc::new(LayerJobs {
        store: store.clone(),
        transaction: transaction.clone(),
        options: request.options.clone(),
        limits: request.limits,
        files_room: with_files.then(|| Arc::clone(&files_room)),
        strict: request.strict,
        cores: Arc::new(Cores::new(jobs.len())),
        progress,
    });
    let _in_use = InUse(Arc::clone(&shared.cores));
    let mut running = JoinSet::new();
    for (at, job) in jobs.into_iter().enumerate() {
        let shared = Arc::clone(&shared);
        running.spawn(async move { shared.run(Job { at, ..job }).await });
    }
    let mut done = Layers {
        layers: HashMap::new(),
        bytes_read: 0,
        files_room,
    };
    // Leaving on the first error drops the set, which ends the others.
    while let Some(finished) = running.join_next().await {
        let (digest, layer, bytes_read) = finished??;
        done.layers.insert(digest, layer);
        done.bytes_read += bytes_read;
    }
    Ok(done)
}

impl LayerJobs {
    async fn run(&self, job: Job) -> Result<(Digest, Layer, u64), Error> {
        let turn = self.cores.connections.first().await;
        let (layer, bytes_read) = match self.reuse(&job).await {
            Some(facts) => {
                self.cores.layer_done();
                let facts = Box::new(facts);
                (
                    Layer::Indexed {
                        facts,
                        reused: true,
                    },
                    0,
                )
            }
            None => self.read(&job, turn).await.map_err(|source| Error::Layer {
                number: job.number,
                count: job.count,
                digest: job.layer.digest,
                source: Box::new(source),
            })?,
        };
        self.progress.finished(job.at, &layer.state());
        Ok((job.layer.digest, layer, bytes_read))
    }

    /// The ztoc that is there already, if it is what its descriptor says and fits the layer.
    async fn reuse(&self, job: &Job) -> Option<Facts> {
        let (store, descriptor) = match job.reusable.as_ref()? {
            Reusable::Here(ztoc) => (&self.store, ztoc),
            Reusable::Known(Known { store, ztoc }) => (store, ztoc),
        };
        let checked = match store.blob(descriptor).await {
            Ok(bytes) => match Ztoc::parse(&bytes) {
                Ok(ztoc) if ztoc.compressed_size != job.layer.size => {
                    Err("it belongs to a layer of another size".to_owned())
                }
                Ok(ztoc) if ztoc.build_tool != self.options.build_tool => {
                    Err("it has another build tool identifier".to_owned())
                }
                Ok(ztoc) if ztoc.empty_span().is_some() => {
                    Err("it has an empty span, which the SOCI snapshotter rejects".to_owned())
                }
                Ok(ztoc) => match &job.reusable {
                    Some(Reusable::Known(_)) => {
                        let put = self.transaction.put_blob(&descriptor.digest, bytes).await;
                        put.map(|()| ztoc).map_err(|error| chain(&error))
                    }
                    _ => Ok(ztoc),
                },
                Err(error) => Err(error.to_string()),
            },
            Err(error) => Err(error.to_string()),
        };
        match checked {
            Ok(ztoc) => Some(Facts {
                ztoc: Descriptor::new(ZTOC, descriptor.digest, descriptor.size),
                contents: Contents::of(&ztoc, self.files_room.as_deref()),
            }),
            Err(why) => {
                self.progress.warn(&format!(
                    "the ztoc {} of layer {} cannot be reused: {why}; the layer is read again",
                    descriptor.digest, job.layer.digest
                ));
                None
            }
        }
    }

    /// Reads the layer. Its turn lasts until its ztoc is up, though that needs no core: so many ztocs are in memory at once.
    async fn read(&self, job: &Job, _turn: Connection) -> Result<(Layer, u64), LayerError> {
        let reader = self
            .store
            .open_layer_over(&job.layer, &self.cores.connections)?;
        let read = reader.bytes_read();
        self.progress.started(job.at, Arc::clone(&read));
        let (encoding, options, files_room) = (
            job.encoding.clone(),
            layer::Options {
                span_size: self.options.span_size,
                build_tool: self.options.build_tool.clone(),
                bytes_max: self.limits.ztoc_bytes_of(job.layer.size),
            },
            self.files_room.clone(),
        );
        let mut reader = WithCore::new(reader, &self.cores);
        let cores = Arc::clone(&self.cores);
        let (digest, size, ztoc) = spawn_blocking(move || {
            let Pass { digest, size, ztoc } =
                layer::pass(&mut reader, encoding, &options, &mut || cores.spare())?;
            let ztoc = ztoc.map(|ztoc| {
                let contents = Contents::of(&ztoc, files_room.as_deref());
                (contents, Bytes::from(ztoc.into_bytes()))
            });
            Ok((digest, size, ztoc))
        })
        .await?
        .map_err(LayerError::Read)?;
        self.cores.layer_done();
        let bytes_read = read.load(Ordering::Relaxed);
        if digest != job.layer.digest || size != job.layer.size {
            return Err(LayerError::Digest {
                expected: job.layer.digest,
                found: digest,
                size,
            });
        }
        match ztoc {
            Ok((contents, bytes)) => {
                let ztoc = Descriptor::of(ZTOC, &bytes);
                self.transaction.put_blob(&ztoc.digest, bytes).await?;
                let facts = Box::new(Facts { ztoc, contents });
                Ok((
                    Layer::Indexed {
                        facts,
                        reused: false,
                    },
                    bytes_read,
                ))
            }
            Err(why) if self.strict => Err(why.into()),
            Err(why) => {
                let why = chain(&why);
                self.progress
                    .warn(&format!("layer {} is skipped: {why}", job.layer.digest));
                Ok((Layer::Skipped(Skip::Unindexable(why)), bytes_read))
            }
        }
    }
}
