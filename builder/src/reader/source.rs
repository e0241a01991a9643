//! The compressed bytes of neighbouring spans, from one place in the layer to another: one request for all of them.
//! In: a layer's bytes, as they are held or as they come. Out: one span after the other. The byte that two spans share is given to both.

use std::{
    io::{self, Read},
    ops::Range,
    sync::atomic::Ordering,
};

use soci_store::store::LayerReader;

pub(super) struct SpanSource<'a> {
    layer: Layer<'a>,
    /// Where in the layer the next byte lies.
    at: u64,
    /// The byte before it, once there was one.
    last: u8,
    /// Whether it is given once more.
    repeats: bool,
    /// Where the present span ends.
    end: u64,
    counted: u64,
}

enum Layer<'a> {
    Held(&'a [u8]),
    Stored(LayerReader),
}

impl<'a> SpanSource<'a> {
    /// Bytes in memory; `at` is the place of the first.
    pub(super) fn held(bytes: &'a [u8], at: u64) -> Self {
        Self::of(Layer::Held(bytes), at)
    }

    /// Bytes from a store; `at` is the place of the first.
    pub(super) fn stored(bytes: LayerReader, at: u64) -> Self {
        Self::of(Layer::Stored(bytes), at)
    }

    fn of(layer: Layer<'a>, at: u64) -> Self {
        Self {
            layer,
            at,
            last: 0,
            repeats: false,
            end: at,
            counted: 0,
        }
    }

    /// Goes on with the span `stored`, the neighbour of the one before, which must have been read to its end.
    pub(super) fn begin(&mut self, stored: &Range<u64>) {
        self.repeats = stored.start < self.at;
        self.end = stored.end;
    }

    /// How many bytes came from the store since it was asked last.
    pub(super) fn newly_read(&mut self) -> u64 {
        let Layer::Stored(bytes) = &self.layer else {
            return 0;
        };
        let read = bytes.bytes_read().load(Ordering::Relaxed);
        read - std::mem::replace(&mut self.counted, read)
    }
}

impl Read for SpanSource<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.repeats && !into.is_empty() {
            self.repeats = false;
            into[0] = self.last;
            return Ok(1);
        }
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let into = match into.get_mut(..left) {
            Some(wanted) => wanted,
            None => into,
        };
        let n = match &mut self.layer {
            Layer::Held(bytes) => bytes.read(into)?,
            Layer::Stored(bytes) => bytes.read(into)?,
        };
        self.at += n as u64;
        self.last = into[..n].last().copied().unwrap_or(self.last);
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_share_a_byte_or_none() {
        let layer: Vec<u8> = (0..100).collect();
        let mut source = SpanSource::held(&layer[10..60], 10);
        for stored in [10..20_u8, 19..30, 30..31, 30..31, 31..31, 31..60] {
            source.begin(&(stored.start.into()..stored.end.into()));
            let mut found = Vec::new();
            source.read_to_end(&mut found).unwrap();
            assert_eq!(found, stored.clone().collect::<Vec<_>>(), "{stored:?}");
        }
        assert_eq!(source.newly_read(), 0);
    }
}
