//! One file: its uncompressed bytes in order, from the spans that hold them.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use soci_format::tar::HEADER_BYTES;
use tokio::sync::mpsc;

use super::{
    Error,
    ahead::ReadAhead,
    layer::{Layer, Plain},
};

/// A file whose place is known.
pub struct File {
    layer: Arc<Layer>,
    /// The file's uncompressed bytes in its layer.
    payload: Range<u64>,
    /// Those that were not given out yet.
    plain: Range<u64>,
    /// What came of the block before them, which is the file's header; not all of it where it lies in a span that is not needed.
    header: Vec<u8>,
    /// The spans that are still to be read.
    spans: Range<usize>,
    /// A large span that comes in pieces, and where its next piece starts.
    pieces: Option<(mpsc::Receiver<Result<Bytes, Error>>, u64)>,
}

impl File {
    pub(super) fn new(layer: Arc<Layer>, payload: Range<u64>) -> Result<Self, Error> {
        let fetched = layer.ranges().to_fetch(&layer.name(), &payload)?;
        let spans = layer.spans().holding(&fetched);
        Ok(Self {
            layer,
            plain: payload.clone(),
            payload,
            header: Vec::new(),
            spans,
            pieces: None,
        })
    }

    /// The spans that are still to be read, in order.
    pub(super) fn spans(&self) -> impl Iterator<Item = (&Arc<Layer>, usize)> {
        self.spans.clone().map(|id| (&self.layer, id))
    }

    /// The next bytes, never an empty piece; none after the last. `ahead` gives each of its spans in order.
    pub(super) async fn next(&mut self, ahead: &mut ReadAhead) -> Result<Option<Bytes>, Error> {
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
            let start = self.layer.spans().list()[id].plain.start;
            match ahead.next(&self.layer, id).await? {
                Plain::Span(span) => {
                    if let Some(part) = self.part(&span, start)? {
                        return Ok(Some(part));
                    }
                }
                Plain::Pieces(pieces) => self.pieces = Some((pieces, start)),
            }
        }
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
}
