//! Spans: the pieces of a layer that a reader fetches one by one.
//! In: the stored bytes, and for gzip the block boundaries. Out: a digest per span, and the checkpoints.

use crate::{
    digest::{Digest, Hasher},
    inflate::{Boundary, checkpoint::Checkpoints},
};

/// What a pass knows of a layer's spans at its end.
pub(super) struct Spans {
    pub(super) checkpoints: Vec<u8>,
    pub(super) digests: Vec<Digest>,
}

/// Spans of a gzip layer: each runs from one checkpoint to the next. What stands before the first checkpoint, the gzip
/// header, belongs to none.
pub(super) struct GzipSpans {
    checkpoints: Checkpoints,
    digests: Vec<Digest>,
    span: Option<Hasher>,
    last_byte: u8,
}

impl GzipSpans {
    pub(super) fn new(span_size: u64) -> Self {
        Self {
            checkpoints: Checkpoints::new(span_size),
            digests: Vec::new(),
            span: None,
            last_byte: 0,
        }
    }

    pub(super) fn take(&mut self, bytes: &[u8]) {
        if let Some(span) = &mut self.span {
            span.update(bytes);
        }
        self.last_byte = bytes.last().copied().unwrap_or(self.last_byte);
    }

    pub(super) fn boundary(&mut self, boundary: Boundary, window: &[u8]) {
        if self.checkpoints.offer(boundary, window) {
            let mut next = Hasher::default();
            // A byte that both spans use belongs to both.
            if boundary.bits > 0 {
                next.update(&[self.last_byte]);
            }
            self.digests
                .extend(self.span.replace(next).map(Hasher::finish));
        }
    }

    pub(super) fn finish(mut self) -> Spans {
        self.digests.extend(self.span.map(Hasher::finish));
        Spans {
            checkpoints: self.checkpoints.finish(),
            digests: self.digests,
        }
    }
}

/// Spans of an uncompressed layer: pieces of equal size, the last one shorter.
pub(super) struct EqualSpans {
    size: u64,
    digests: Vec<Digest>,
    span: Hasher,
    taken: u64,
}

impl EqualSpans {
    pub(super) fn new(size: u64) -> Self {
        Self {
            size,
            digests: Vec::new(),
            span: Hasher::default(),
            taken: 0,
        }
    }

    pub(super) fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = usize::try_from(self.size - self.taken).unwrap_or(usize::MAX);
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.span.update(now);
            self.taken += now.len() as u64;
            if self.taken == self.size {
                self.digests.push(std::mem::take(&mut self.span).finish());
                self.taken = 0;
            }
            bytes = later;
        }
    }

    pub(super) fn finish(mut self) -> Vec<Digest> {
        if self.taken > 0 {
            self.digests.push(self.span.finish());
        }
        self.digests
    }
}
