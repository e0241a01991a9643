//! One layer, ready to be read: its spans, from its ztoc or from one pass over all of it.
//! In: a descriptor. Out: the table of contents, and the uncompressed bytes of any span.

use std::{
    io::{self, Read},
    ops::Range,
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

use super::{
    Error, PlatformImage, Shared, Span, Spans, cache::Claim, ranges::Ranges, source::SpanSource,
};

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

    /// Its number in the image, from 0.
    pub(super) fn number(&self) -> usize {
        self.number
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
                let mut source = layer.open(&of, &layer.span(id).stored)?;
                layer.read_kept(&of, id, &mut source)
            })
            .await?
        };
        let key = (self.number, id);
        let span = shared.cache.get(key, self.span_bytes(id), fetch).await;
        span.map(Plain::Span)
    }

    /// Claims those of `spans` that are neither there nor on their way. All must be small enough to be kept.
    pub(super) fn claim(&self, shared: &Shared, spans: Range<usize>) -> Vec<Claim> {
        let claim = |id| shared.cache.claim((self.number, id), self.span_bytes(id));
        spans.filter_map(claim).collect()
    }

    /// Reads spans into the cache, neighbours with one request; blocks. Ends at the first that cannot be read.
    pub(super) fn read_claimed(&self, shared: &Shared, claims: &[Claim]) -> Result<(), Error> {
        for claims in claims.chunk_by(|one, next| one.span() + 1 == next.span()) {
            let (first, last) = (&claims[0], &claims[claims.len() - 1]);
            let stored = self.span(first.span()).stored.start..self.span(last.span()).stored.end;
            let mut source = self.open(shared, &stored)?;
            for claim in claims {
                claim.keep(self.read_kept(shared, claim.span(), &mut source)?);
            }
        }
        Ok(())
    }

    fn pieces(
        self: &Arc<Self>,
        shared: &Arc<Shared>,
        id: usize,
    ) -> mpsc::Receiver<Result<Bytes, Error>> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let (layer, shared) = (Arc::clone(self), Arc::clone(shared));
        spawn_blocking(move || {
            // Where nobody listens any more, the rest is only hashed.
            let give = |bytes: &[u8]| {
                let _ = sender.blocking_send(Ok(Bytes::copy_from_slice(bytes)));
            };
            let source = layer.open(&shared, &layer.span(id).stored);
            let read = source.and_then(|mut source| layer.read(&shared, id, &mut source, give));
            if let Err(error) = read {
                let _ = sender.blocking_send(Err(error));
            }
        });
        receiver
    }

    /// The uncompressed bytes of a span.
    pub(super) fn span_bytes(&self, id: usize) -> u64 {
        let plain = &self.span(id).plain;
        plain.end - plain.start
    }

    /// Whether a span is small enough to be kept.
    fn is_kept(&self, shared: &Shared, id: usize) -> bool {
        self.span_bytes(id) <= shared.store.limits().span_bytes
    }

    /// The compressed bytes `stored`.
    fn open(&self, shared: &Shared, stored: &Range<u64>) -> Result<SpanSource<'_>, Error> {
        if let Some(held) = &self.held {
            let at = |at: u64| usize::try_from(at).unwrap_or(held.len()).min(held.len());
            let held = &held[at(stored.start)..at(stored.end)];
            return Ok(SpanSource::held(held, stored.start));
        }
        let reader = shared
            .store
            .open_layer_part(&self.descriptor, stored.clone())?;
        Ok(SpanSource::stored(reader, stored.start))
    }

    /// Reads a span that is small enough to be kept; blocks.
    fn read_kept(
        &self,
        shared: &Shared,
        id: usize,
        source: &mut SpanSource<'_>,
    ) -> Result<Bytes, Error> {
        let bytes = usize::try_from(self.span_bytes(id)).unwrap_or(0);
        let mut plain = Vec::with_capacity(bytes);
        self.read(shared, id, source, |bytes| plain.extend_from_slice(bytes))?;
        Ok(Bytes::from(plain))
    }

    /// Reads a span; blocks.
    fn read(
        &self,
        shared: &Shared,
        id: usize,
        source: &mut SpanSource<'_>,
        give: impl FnMut(&[u8]),
    ) -> Result<(), Error> {
        source.begin(&self.span(id).stored);
        let read = self.spans.read(id, source, give);
        shared
            .bytes_read
            .fetch_add(source.newly_read(), Ordering::Relaxed);
        read.map_err(|source| Error::Span {
            layer: self.name(),
            span: id,
            source,
        })
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
