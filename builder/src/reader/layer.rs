//! One layer, ready to be read: its spans, from its ztoc or from one pass over all of it.
//! In: a descriptor. Out: the table of contents, and the uncompressed bytes of any span.

use std::{
    io::{self, Read},
    sync::{Arc, atomic::Ordering},
};

use bytes::Bytes;
use soci_format::{
    digest::Digest,
    layer::{self, Options},
    oci::{Descriptor, LayerEncoding},
    tree::Tree,
    ztoc::{DEFAULT_BUILD_TOOL, Toc, Ztoc},
};
use soci_store::store::ReadImages;
use tokio::{sync::mpsc, task::spawn_blocking};

use super::{Error, PlatformImage, Shared, Span, Spans, ranges::Ranges};

/// Uncompressed bytes between two checkpoints of a layer that has none yet.
const SPAN_SIZE: u64 = 4 << 20;

/// Pieces of a large span that wait for their reader.
const QUEUE: usize = 4;

/// A layer whose files are not known: it has no ztoc, and cannot be read whole.
#[derive(Debug)]
pub struct UnknownLayer {
    /// Its number, from 0.
    pub number: usize,
    pub digest: Digest,
    /// Why it cannot be read.
    pub reason: Error,
}

impl UnknownLayer {
    /// What errors call it.
    pub fn name(&self) -> String {
        named(self.number, &self.digest)
    }
}

pub(super) struct Layer {
    number: usize,
    descriptor: Descriptor,
    spans: Spans,
    ranges: Ranges,
    /// All its compressed bytes, where they had to be read and there was room for them.
    held: Option<Bytes>,
}

/// How a layer's uncompressed bytes come.
pub(super) enum Plain {
    /// A whole span.
    Span(Bytes),
    /// A large one, in pieces.
    Pieces(mpsc::Receiver<Result<Bytes, Error>>),
}

impl Layer {
    /// As [`prepare`](Self::prepare); where the layer has no ztoc and cannot be read, the reason, which is no failure: of the image
    /// the rest can be read.
    pub(super) async fn prepare_if_known(
        shared: &Arc<Shared>,
        image: &PlatformImage,
        number: usize,
    ) -> Result<Result<(Self, Toc), UnknownLayer>, Error> {
        let descriptor = &image.manifest.layers[number];
        match Self::prepare(shared, image, number).await {
            Err(
                reason @ (Error::Unreadable { .. }
                | Error::Layer { .. }
                | Error::Read { .. }
                | Error::Store(_)),
            ) if image.ztoc_of(descriptor).is_none() => Ok(Err(UnknownLayer {
                number,
                digest: descriptor.digest,
                reason,
            })),
            prepared => prepared.map(Ok),
        }
    }

    /// Fetches the ztoc of layer `number`, or reads the layer.
    pub(super) async fn prepare(
        shared: &Arc<Shared>,
        image: &PlatformImage,
        number: usize,
    ) -> Result<(Self, Toc), Error> {
        let descriptor = image.manifest.layers[number].clone();
        let too_much = || Error::ZtocsSize {
            layer: name(number, &descriptor),
            limit: shared.store.limits().ztocs_bytes,
        };
        let (mut found, held) = match image.ztoc_of(&descriptor) {
            Some(named) => {
                if !shared.has_room_for_ztoc(named.size) {
                    return Err(too_much());
                }
                let bytes = shared.store.blob(named).await?;
                let ztoc = Ztoc::parse(&bytes).map_err(|source| Error::Ztoc {
                    layer: name(number, &descriptor),
                    ztoc: named.digest,
                    source,
                })?;
                (ztoc, None)
            }
            None => {
                let of = (Arc::clone(shared), descriptor.clone());
                let made = spawn_blocking(move || read_whole(&of.0, number, &of.1)).await??;
                if !shared.has_room_for_ztoc(made.0.size_max() as u64) {
                    return Err(too_much());
                }
                made
            }
        };
        let toc = std::mem::take(&mut found.toc);
        let ranges = Ranges::of(&toc, found.plain_size);
        let spans = Spans::of(found, descriptor.size).map_err(|source| Error::Spans {
            layer: name(number, &descriptor),
            source,
        })?;
        let layer = Self {
            number,
            spans,
            ranges,
            held,
            descriptor,
        };
        Ok((layer, toc))
    }

    /// What errors call it.
    pub(super) fn name(&self) -> String {
        name(self.number, &self.descriptor)
    }

    /// Puts its files, which `toc` lists, over those of the layers below.
    pub(super) fn apply(&self, toc: &Toc, tree: &mut Tree) -> Result<(), Error> {
        let applied = tree.apply(self.number, toc);
        applied.map_err(|source| Error::Unpackable {
            layer: self.name(),
            source,
        })
    }

    pub(super) fn spans(&self) -> &Spans {
        &self.spans
    }

    /// Where its files lie.
    pub(super) fn ranges(&self) -> &Ranges {
        &self.ranges
    }

    pub(super) fn into_spans(self) -> Spans {
        self.spans
    }

    fn span(&self, id: usize) -> &Span {
        &self.spans.list()[id]
    }

    /// The uncompressed bytes of a span.
    pub(super) async fn uncompressed_span(
        self: &Arc<Self>,
        shared: &Arc<Shared>,
        id: usize,
    ) -> Result<Plain, Error> {
        if !self.is_kept(shared, id) {
            return Ok(Plain::Pieces(self.pieces(shared, id)));
        }
        let (layer, of) = (Arc::clone(self), Arc::clone(shared));
        let fetch = async move {
            spawn_blocking(move || {
                let mut plain = Vec::new();
                layer.read_span(&of, id, |bytes| plain.extend_from_slice(bytes))?;
                Ok(Bytes::from(plain))
            })
            .await?
        };
        let span = shared.cache.get((self.number, id), fetch).await;
        span.map(Plain::Span)
    }

    fn pieces(
        self: &Arc<Self>,
        shared: &Arc<Shared>,
        id: usize,
    ) -> mpsc::Receiver<Result<Bytes, Error>> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let (layer, shared) = (Arc::clone(self), Arc::clone(shared));
        spawn_blocking(move || {
            let read = layer.read_span(&shared, id, |bytes| {
                // Where nobody listens any more, the rest is only hashed.
                let _ = sender.blocking_send(Ok(Bytes::copy_from_slice(bytes)));
            });
            if let Err(error) = read {
                let _ = sender.blocking_send(Err(error));
            }
        });
        receiver
    }

    /// Whether a span is small enough to be kept, so that it makes sense to fetch it ahead.
    pub(super) fn is_kept(&self, shared: &Shared, id: usize) -> bool {
        let plain = &self.span(id).plain;
        plain.end - plain.start <= shared.store.limits().span_bytes
    }

    /// Reads a span; blocks.
    fn read_span(&self, shared: &Shared, id: usize, give: impl FnMut(&[u8])) -> Result<(), Error> {
        let failed = |source| Error::Span {
            layer: self.name(),
            span: id,
            source,
        };
        let stored = self.span(id).stored.clone();
        if let Some(held) = &self.held {
            let at = |at: u64| usize::try_from(at).unwrap_or(held.len()).min(held.len());
            let mut source = &held[at(stored.start)..at(stored.end)];
            return self.spans.read(id, &mut source, give).map_err(failed);
        }
        let mut source = shared.store.open_layer_part(&self.descriptor, stored)?;
        let counter = source.bytes_read();
        let read = self.spans.read(id, &mut source, give);
        shared
            .bytes_read
            .fetch_add(counter.load(Ordering::Relaxed), Ordering::Relaxed);
        read.map_err(failed)
    }
}

fn name(number: usize, layer: &Descriptor) -> String {
    named(number, &layer.digest)
}

fn named(number: usize, digest: &Digest) -> String {
    format!("layer {} ({digest})", number + 1)
}

/// Makes the ztoc that a layer does not have; blocks.
fn read_whole(
    shared: &Shared,
    number: usize,
    descriptor: &Descriptor,
) -> Result<(Ztoc, Option<Bytes>), Error> {
    let read = |source| Error::Read {
        layer: name(number, descriptor),
        source,
    };
    let room = shared
        .room
        .try_update(Ordering::Relaxed, Ordering::Relaxed, |room| {
            room.checked_sub(descriptor.size)
        });
    let source = shared.store.open_layer(descriptor)?;
    let counter = source.bytes_read();
    let mut source = Held {
        source,
        held: room.is_ok().then(Vec::new),
    };
    let options = Options {
        span_size: SPAN_SIZE,
        build_tool: DEFAULT_BUILD_TOOL.to_owned(),
        bytes_max: shared.store.limits().ztoc_bytes_of(descriptor.size),
    };
    // Its bytes decide, as they do for runtimes; only what is no layer at all is known by its type.
    let declared = match LayerEncoding::declared_by(&descriptor.media_type) {
        LayerEncoding::Gzip | LayerEncoding::Uncompressed => LayerEncoding::Unknown,
        other => other,
    };
    let pass = layer::pass_to_read(&mut source, declared, &options).map_err(read)?;
    shared
        .bytes_read
        .fetch_add(counter.load(Ordering::Relaxed), Ordering::Relaxed);
    if pass.digest != descriptor.digest {
        return Err(Error::Layer {
            layer: name(number, descriptor),
            found: pass.digest,
            size: pass.size,
        });
    }
    let ztoc = pass.ztoc.map_err(|source| Error::Unreadable {
        layer: name(number, descriptor),
        source,
    })?;
    Ok((ztoc, source.held.map(Bytes::from)))
}

/// Keeps what is read through it.
struct Held<R> {
    source: R,
    held: Option<Vec<u8>>,
}

impl<R: Read> Read for Held<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.source.read(buffer)?;
        if let Some(held) = &mut self.held {
            held.extend_from_slice(&buffer[..n]);
        }
        Ok(n)
    }
}
