//! Spans: the pieces of a layer that a reader fetches one by one.
//! In: the compressed bytes, and for gzip the block boundaries. Out: the layer's digest, a digest per span, and the checkpoints.

use super::hashing::{Cut, Hashing};
use crate::{
    digest::Digest,
    inflate::{
        Boundary,
        checkpoint::{Checkpoints, Offer},
    },
    ztoc::TarZinfo,
};

/// What a pass knows of a layer's compressed bytes at its end.
pub(super) struct Spans {
    /// Digest of the layer.
    pub(super) layer: Digest,
    /// Its size in bytes.
    pub(super) size: u64,
    /// Serialized.
    pub(super) checkpoints: Vec<u8>,
    pub(super) digests: Vec<Digest>,
}

/// What the spans found so far take in a ztoc.
#[derive(Clone, Copy)]
pub(super) struct Size {
    pub(super) count: usize,
    /// Bytes of the serialized checkpoints.
    pub(super) checkpoints: usize,
}

/// Spans of a gzip layer: each runs from one checkpoint to the next. What stands before the first checkpoint, the gzip
/// header and blocks without uncompressed bytes, belongs to none.
pub(super) struct GzipSpans<'a> {
    checkpoints: Checkpoints,
    hashing: Hashing<'a>,
    size: u64,
    last_byte: u8,
}

impl<'a> GzipSpans<'a> {
    pub(super) fn new(span_size: u64, hashing: Hashing<'a>) -> Self {
        Self {
            checkpoints: Checkpoints::new(span_size),
            hashing,
            size: 0,
            last_byte: 0,
        }
    }

    pub(super) fn take(&mut self, bytes: &[u8]) {
        self.hashing.update(bytes);
        self.size += bytes.len() as u64;
        self.last_byte = bytes.last().copied().unwrap_or(self.last_byte);
    }

    pub(super) fn boundary(&mut self, boundary: Boundary, window: &[u8]) {
        // A byte that both spans use belongs to both.
        let shared = (boundary.bits > 0).then_some(self.last_byte);
        match self.checkpoints.offer(boundary, window) {
            Offer::Left => {}
            Offer::First => self.hashing.cut(Cut::Begin(shared)),
            Offer::Next => self.hashing.cut(Cut::Next(shared)),
        }
    }

    pub(super) fn size(&self) -> Size {
        Size {
            count: self.checkpoints.count(),
            checkpoints: self.checkpoints.bytes(),
        }
    }

    /// Gives up what was collected: only the layer's digest is wanted.
    pub(super) fn forget(&mut self) {
        self.checkpoints = Checkpoints::new(u64::MAX);
    }

    pub(super) fn finish(self) -> Spans {
        let (layer, digests) = self.hashing.finish();
        Spans {
            layer,
            size: self.size,
            checkpoints: self.checkpoints.finish(),
            digests,
        }
    }
}

/// Spans of an uncompressed layer: pieces of equal size, the last one shorter.
pub(super) struct EqualSpans<'a> {
    span_size: u64,
    hashing: Hashing<'a>,
    size: u64,
}

impl<'a> EqualSpans<'a> {
    pub(super) fn new(span_size: u64, hashing: Hashing<'a>) -> Self {
        Self {
            span_size,
            hashing,
            size: 0,
        }
    }

    pub(super) fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = self.span_size - self.size % self.span_size;
            let room = usize::try_from(room).unwrap_or(usize::MAX);
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.hashing.update(now);
            self.size += now.len() as u64;
            if self.size.is_multiple_of(self.span_size) {
                self.hashing.cut(Cut::Next(None));
            }
            bytes = later;
        }
    }

    pub(super) fn size(&self) -> Size {
        let count = self.size / self.span_size;
        Size {
            count: usize::try_from(count).unwrap_or(usize::MAX),
            checkpoints: 0,
        }
    }

    /// Ends no more spans: only the layer's digest is wanted.
    pub(super) fn forget(&mut self) {
        self.span_size = u64::MAX;
    }

    pub(super) fn finish(self) -> Spans {
        let (layer, mut digests) = self.hashing.finish();
        if self.size.is_multiple_of(self.span_size) {
            // Nothing stands behind the last cut.
            digests.pop();
        }
        let zinfo = TarZinfo {
            span_size: self.span_size,
            size: self.size,
        };
        Spans {
            layer,
            size: self.size,
            checkpoints: zinfo.into_bytes(),
            digests,
        }
    }
}
