//! Spans: the pieces of a layer that a reader fetches one by one.
//! In: the stored bytes, and for gzip the block boundaries. Out: the layer's digest, a digest per span, and the checkpoints.

use crate::{
    digest::{Digest, HashedTwice},
    inflate::{Boundary, checkpoint::Checkpoints},
    ztoc::TarZinfo,
};

/// What a pass knows of a layer's stored bytes at its end.
pub(super) struct Spans {
    /// Digest of the layer.
    pub(super) layer: Digest,
    /// Its size in bytes.
    pub(super) size: u64,
    /// Serialized.
    pub(super) checkpoints: Vec<u8>,
    pub(super) digests: Vec<Digest>,
}

/// Spans of a gzip layer: each runs from one checkpoint to the next. What stands before the first checkpoint, the gzip
/// header, belongs to none.
pub(super) struct GzipSpans {
    checkpoints: Checkpoints,
    hashed: HashedTwice,
    size: u64,
    has_begun: bool,
    digests: Vec<Digest>,
    last_byte: u8,
}

impl GzipSpans {
    pub(super) fn new(span_size: u64) -> Self {
        Self {
            checkpoints: Checkpoints::new(span_size),
            hashed: HashedTwice::default(),
            size: 0,
            has_begun: false,
            digests: Vec::new(),
            last_byte: 0,
        }
    }

    pub(super) fn take(&mut self, bytes: &[u8]) {
        self.hashed.update(bytes);
        self.size += bytes.len() as u64;
        self.last_byte = bytes.last().copied().unwrap_or(self.last_byte);
    }

    pub(super) fn boundary(&mut self, boundary: Boundary, window: &[u8]) {
        if self.checkpoints.offer(boundary, window) {
            // A byte that both spans use belongs to both.
            let shared = [self.last_byte];
            let shared = if boundary.bits > 0 { &shared[..] } else { &[] };
            let before = self.hashed.cut(shared);
            if self.has_begun {
                self.digests.push(before);
            }
            self.has_begun = true;
        }
    }

    pub(super) fn finish(mut self) -> Spans {
        let (layer, last) = self.hashed.finish();
        if self.has_begun {
            self.digests.push(last);
        }
        Spans {
            layer,
            size: self.size,
            checkpoints: self.checkpoints.finish(),
            digests: self.digests,
        }
    }
}

/// Spans of an uncompressed layer: pieces of equal size, the last one shorter.
pub(super) struct EqualSpans {
    span_size: u64,
    hashed: HashedTwice,
    size: u64,
    digests: Vec<Digest>,
}

impl EqualSpans {
    pub(super) fn new(span_size: u64) -> Self {
        Self {
            span_size,
            hashed: HashedTwice::default(),
            size: 0,
            digests: Vec::new(),
        }
    }

    pub(super) fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = self.span_size - self.size % self.span_size;
            let room = usize::try_from(room).unwrap_or(usize::MAX);
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.hashed.update(now);
            self.size += now.len() as u64;
            if self.size.is_multiple_of(self.span_size) {
                self.digests.push(self.hashed.cut(&[]));
            }
            bytes = later;
        }
    }

    pub(super) fn finish(mut self) -> Spans {
        let (layer, last) = self.hashed.finish();
        if !self.size.is_multiple_of(self.span_size) {
            self.digests.push(last);
        }
        let zinfo = TarZinfo {
            span_size: self.span_size,
            size: self.size,
        };
        Spans {
            layer,
            size: self.size,
            checkpoints: zinfo.into_bytes(),
            digests: self.digests,
        }
    }
}
