//! One layer or other blob: its ztoc is found or built, and it is copied where it is to be. What is read for the one is there for the
//! other.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use bytes::Bytes;
use soci_format::{
    digest::Digest,
    index::{IndexOptions, ZTOC},
    layer::{self, Pass, Unindexable},
    limits::Limits,
    oci::Descriptor,
    plan::Skip,
    ztoc::Ztoc,
};
use soci_store::{
    registry::{Sending, Upload},
    store::{LayerReader, ReadImages, Store, Transaction},
};
use tokio::task::spawn_blocking;

use super::{Job, Reusable, ToIndex};
use crate::{
    progress::Progress,
    run::{
        Error, LayerError, chain,
        copy::Copied,
        cores::{Cores, WithCore},
        known::Known,
        layers::{Contents, Facts, Layer, Layers},
    },
};

/// What all jobs share.
pub(super) struct Shared {
    /// Where layers are read.
    pub(super) source: Store,
    /// Where ztocs are.
    pub(super) store: Store,
    pub(super) transaction: Transaction,
    pub(super) options: IndexOptions,
    pub(super) limits: Limits,
    /// Room for the files of the layers, where they are wanted.
    pub(super) files_room: Option<Arc<AtomicU64>>,
    pub(super) strict: bool,
    pub(super) cores: Arc<Cores>,
    pub(super) progress: Arc<dyn Progress>,
}

/// What a job did.
pub(super) struct Done {
    digest: Digest,
    layer: Option<Layer>,
    bytes_read: u64,
    copied: Copied,
}

/// A ztoc just built, or why there is none.
type Built = Result<(Contents, Bytes), Unindexable>;

impl Done {
    pub(super) fn add_to(self, layers: &mut Layers) {
        if let Some(layer) = self.layer {
            layers.add(self.digest, layer);
        }
        layers.bytes_read += self.bytes_read;
        layers.copied.add(self.copied);
    }
}

impl Shared {
    /// Does a job. Its turn lasts until all that it made is up, though that needs no core: so many ztocs are in memory at once.
    pub(super) async fn run(&self, job: Job) -> Result<Done, Error> {
        let _turn = self.cores.connections.first().await;
        let Job { blob, at, .. } = &job;
        let (read, mut copied) = (Arc::<AtomicU64>::default(), Copied::default());
        let mut upload = None;
        if job.is_copied {
            let begun = self.transaction.begin_copy(&self.source, blob).await;
            upload = begun.map_err(|error| not_copied(blob, error))?;
            copied = match upload {
                Some(_) => Copied::uploaded(blob.size),
                None => Copied::mounted(),
            };
        }
        let mut bytes_read = 0;
        let mut layer = None;
        if let Some(index) = &job.index {
            layer = Some(match self.reuse(blob, index).await {
                Some(facts) => {
                    self.cores.layer_done();
                    Layer::Indexed {
                        facts: Box::new(facts),
                        reused: true,
                    }
                }
                None => {
                    let (layer, read) = self.read(&job, index, upload.take(), &read).await?;
                    bytes_read = read;
                    layer
                }
            });
        }
        if upload.is_some() {
            if let Some(at) = at {
                self.progress.started(*at, Arc::clone(&read));
            }
            self.copy(blob, upload, &read).await?;
        }
        bytes_read += read.load(Relaxed);
        match (at, &layer) {
            (Some(at), Some(layer)) => self.progress.finished(*at, &layer.state()),
            (Some(at), None) => self.progress.copied(*at),
            (None, _) => {}
        }
        Ok(Done {
            digest: blob.digest,
            layer,
            bytes_read,
            copied,
        })
    }

    /// The ztoc that is there already, if it is what its descriptor says and fits the layer.
    async fn reuse(&self, blob: &Descriptor, index: &ToIndex) -> Option<Facts> {
        let (store, descriptor) = match index.reusable.as_ref()? {
            Reusable::Here(ztoc) => (&self.store, ztoc),
            Reusable::Known(Known { store, ztoc }) => (store, ztoc),
        };
        let checked = match store.blob(descriptor).await {
            Ok(bytes) => match Ztoc::parse(&bytes) {
                Ok(ztoc) if ztoc.compressed_size != blob.size => {
                    Err("it belongs to a layer of another size".to_owned())
                }
                Ok(ztoc) if ztoc.build_tool != self.options.build_tool => {
                    Err("it has another build tool identifier".to_owned())
                }
                Ok(ztoc) if ztoc.empty_span().is_some() => {
                    Err("it has an empty span, which the SOCI snapshotter rejects".to_owned())
                }
                Ok(ztoc) => match &index.reusable {
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
                    descriptor.digest, blob.digest
                ));
                None
            }
        }
    }

    /// Reads the layer, and has its bytes uploaded where it is copied; gives how many bytes were read for its ztoc.
    async fn read(
        &self,
        job: &Job,
        index: &ToIndex,
        upload: Option<Upload>,
        read_again: &AtomicU64,
    ) -> Result<(Layer, u64), Error> {
        let blob = &job.blob;
        let failed = |source| Error::Layer {
            number: index.number,
            count: index.count,
            digest: blob.digest,
            source: Box::new(source),
        };
        let opened = self.open(blob, upload);
        let (reader, sending) = opened.map_err(|error| failed(error.into()))?;
        let read = reader.bytes_read();
        if let Some(at) = job.at {
            self.progress.started(at, Arc::clone(&read));
        }
        let built = self.pass(blob, index, reader).await.map_err(failed)?;
        // The digest is known to be right only now.
        if let Some(sending) = sending {
            let copied = self.transaction.finish_copy(sending, &blob.digest).await;
            if let Err(error) = copied {
                self.progress.warn(&format!(
                    "the upload of layer {} failed: {}; the layer is read again",
                    blob.digest,
                    chain(&error)
                ));
                self.copy(blob, None, read_again).await?;
            }
        }
        let layer = self.keep(blob, built).await.map_err(failed)?;
        Ok((layer, read.load(Relaxed)))
    }

    fn open(
        &self,
        blob: &Descriptor,
        upload: Option<Upload>,
    ) -> Result<(LayerReader, Option<Sending>), soci_store::store::Error> {
        let connections = &self.cores.connections;
        let Some(upload) = upload else {
            let reader = self.source.open_layer_over(blob, connections)?;
            return Ok((reader, None));
        };
        let (pieces, sending) = upload.start();
        let reader = self.source.open_layer_copying(blob, connections, pieces)?;
        Ok((reader, Some(sending)))
    }

    /// Reads a layer to its end, builds its ztoc, and compares its digest.
    async fn pass(
        &self,
        blob: &Descriptor,
        index: &ToIndex,
        reader: LayerReader,
    ) -> Result<Built, LayerError> {
        let (encoding, options, files_room) = (
            index.encoding.clone(),
            layer::Options {
                span_size: self.options.span_size,
                build_tool: self.options.build_tool.clone(),
                bytes_max: self.limits.ztoc_bytes_of(blob.size),
            },
            self.files_room.clone(),
        );
        let mut reader = WithCore::new(reader, &self.cores);
        let cores = Arc::clone(&self.cores);
        let (digest, size, built) = spawn_blocking(move || {
            let Pass { digest, size, ztoc } =
                layer::pass(&mut reader, encoding, &options, &mut || cores.spare())?;
            let built = ztoc.map(|ztoc| {
                let contents = Contents::of(&ztoc, files_room.as_deref());
                (contents, Bytes::from(ztoc.into_bytes()))
            });
            Ok((digest, size, built))
        })
        .await?
        .map_err(LayerError::Read)?;
        self.cores.layer_done();
        if digest != blob.digest || size != blob.size {
            return Err(LayerError::Digest {
                expected: blob.digest,
                found: digest,
                size,
            });
        }
        Ok(built)
    }

    /// Puts the ztoc, if there is one.
    async fn keep(&self, blob: &Descriptor, built: Built) -> Result<Layer, LayerError> {
        match built {
            Ok((contents, bytes)) => {
                let ztoc = Descriptor::of(ZTOC, &bytes);
                self.transaction.put_blob(&ztoc.digest, bytes).await?;
                let facts = Box::new(Facts { ztoc, contents });
                Ok(Layer::Indexed {
                    facts,
                    reused: false,
                })
            }
            Err(why) if self.strict => Err(why.into()),
            Err(why) => {
                let why = chain(&why);
                self.progress
                    .warn(&format!("layer {} is skipped: {why}", blob.digest));
                Ok(Layer::Skipped(Skip::Unindexable(why)))
            }
        }
    }

    /// Reads a blob for its copy alone.
    async fn copy(
        &self,
        blob: &Descriptor,
        upload: Option<Upload>,
        read: &AtomicU64,
    ) -> Result<(), Error> {
        let connections = &self.cores.connections;
        let copied = self
            .transaction
            .copy_blob(&self.source, blob, upload, connections, read);
        copied.await.map_err(|error| not_copied(blob, error))
    }
}

fn not_copied(blob: &Descriptor, source: soci_store::store::Error) -> Error {
    Error::Copy {
        digest: blob.digest,
        source: Box::new(source),
    }
}
