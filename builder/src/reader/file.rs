//! One file: its uncompressed bytes in order, from the spans that hold them. While one is given out, the next is fetched.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use soci_format::tar::HEADER_BYTES;
use tokio::sync::mpsc;

use super::{
    Error, Shared,
    layer::{Layer, Plain},
};

/// Spans that are fetched ahead of the one being read.
const AHEAD: usize = 2;

/// Reads one file from start to end.
pub struct FileReader {
    shared: Arc<Shared>,
    layer: Arc<Layer>,
    /// The file's uncompressed bytes in its layer.
    payload: Range<u64>,
    /// Those that were not given out yet.
    plain: Range<u64>,
    /// What came of the block before them, which is the file's header; not all of it where it lies in a span that is not needed.
    header: Vec<u8>,
    /// The spans that are still to be read.
    spans: Range<usize>,
    /// Spans before this one were asked for.
    asked: usize,
    /// A large span that comes in pieces, and where its next piece starts.
    pieces: Option<(mpsc::Receiver<Result<Bytes, Error>>, u64)>,
}

impl FileReader {
    pub(super) fn new(
        shared: Arc<Shared>,
        layer: Arc<Layer>,
        payload: Range<u64>,
    ) -> Result<Self, Error> {
        let fetched = layer.ranges().to_fetch(&layer.name(), &payload)?;
        let spans = layer.spans().holding(&fetched);
        Ok(Self {
            shared,
            layer,
            plain: payload.clone(),
            payload,
            header: Vec::new(),
            asked: spans.start,
            spans,
            pieces: None,
        })
    }

    /// The next bytes, never an empty piece; none after the last. To be dropped after an error. Where a span is too large to be
    /// kept, its bytes come before its digest is known, and the error instead of the end.
    ///
    /// # Errors
    /// Where a span cannot be fetched, or is not what its ztoc says; and where the file has another size.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            if let Some((pieces, at)) = &mut self.pieces {
                match pieces.recv().await {
                    Some(piece) => {
                        let (piece, start) = (piece?, *at);
                        *at += piece.len() as u64;
                        if let Some(part) = self.part(&piece, start)? {
                            return Ok(Some(part));
                        }
                    }
                    None => self.pieces = None,
                }
                continue;
            }
            let Some(id) = self.spans.next() else {
                return match self.plain.end - self.plain.start {
                    0 => Ok(None),
                    missing => Err(Error::FileCut {
                        layer: self.layer.name(),
                        missing,
                    }),
                };
            };
            self.fetch_ahead(id);
            let start = self.layer.spans().list()[id].plain.start;
            match self.layer.uncompressed_span(&self.shared, id).await? {
                Plain::Span(span) => {
                    if let Some(part) = self.part(&span, start)? {
                        return Ok(Some(part));
                    }
                }
                Plain::Pieces(pieces) => self.pieces = Some((pieces, start)),
            }
        }
    }

    /// All of the file.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub async fn read(mut self) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        while let Some(piece) = self.next().await? {
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }

    /// What of `piece`, which starts at the uncompressed byte `start`, belongs to the file and was not given out.
    fn part(&mut self, piece: &Bytes, start: u64) -> Result<Option<Bytes>, Error> {
        let end = start + piece.len() as u64;
        let overlap = |of: &Range<u64>| {
            let (from, to) = (of.start.max(start), of.end.min(end));
            let within = |at: u64| usize::try_from(at - start).unwrap_or(piece.len());
            (from < to).then(|| piece.slice(within(from)..within(to)))
        };
        if let Some(header) = overlap(&(self.payload.start - HEADER_BYTES..self.payload.start)) {
            self.header.extend_from_slice(&header);
            if self.header.len() as u64 == HEADER_BYTES {
                let ranges = self.layer.ranges();
                ranges.check(&self.layer.name(), &self.payload, &self.header)?;
            }
        }
        let part = overlap(&self.plain);
        self.plain.start += part.as_ref().map_or(0, |part| part.len() as u64);
        Ok(part)
    }

    /// Starts fetching what follows span `id`, into the cache. An error is met again, by whoever needs the span.
    fn fetch_ahead(&mut self, id: usize) {
        let end = self.spans.end.min(id + 1 + AHEAD);
        for id in self.asked.max(id + 1)..end {
            if self.layer.is_kept(&self.shared, id) {
                let (layer, shared) = (Arc::clone(&self.layer), Arc::clone(&self.shared));
                tokio::spawn(async move { layer.uncompressed_span(&shared, id).await.map(drop) });
            }
        }
        self.asked = self.asked.max(end);
    }
}
