//! The spans of one layer: which compressed bytes make which uncompressed bytes, and how to get these from those.
//! In: a ztoc, and a span's compressed bytes. Out: its uncompressed bytes, once its digest is known to be right.

use std::{
    io::{self, Read},
    ops::Range,
};

use soci_format::{
    digest::{Digest, Hasher},
    inflate::{
        self, Boundary, CompressedAt, Fault, Gunzip, Sink,
        checkpoint::{WINDOW, Zinfo},
    },
    plural::bytes,
    ztoc::{Compression, Ztoc},
};

/// Bytes read at once from a span that is not compressed.
const PIECE: usize = 64 << 10;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Where it lies in the layer as stored. The byte that two spans share belongs to both.
    pub stored: Range<u64>,
    /// Where its uncompressed bytes lie in the layer's tar archive. What follows the archive's end is no part of the last one.
    pub plain: Range<u64>,
    /// Digest of the compressed bytes.
    pub digest: Digest,
}

/// All spans of a layer.
#[derive(Debug)]
pub struct Spans {
    list: Vec<Span>,
    /// Serialized; empty where the layer is not compressed.
    checkpoints: Vec<u8>,
}

/// Spans that cannot lie in their layer.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnusableSpans {
    /// The layer's size.
    #[error("it was made for a layer of {}, but the layer has {found}", bytes(*.expected))]
    LayerSize {
        /// By the ztoc.
        expected: u64,
        /// By the manifest.
        found: u64,
    },
    /// One of them.
    #[error("its span {0} does not lie within the layer")]
    Outside(usize),
    #[error("its checkpoints are malformed")]
    Checkpoints(#[from] inflate::checkpoint::ZinfoError),
}

/// What is wrong with a span's bytes.
#[derive(Debug, thiserror::Error)]
pub enum SpanError {
    /// They could not be fetched.
    #[error("its bytes could not be read")]
    Read(#[source] io::Error),
    /// They are others than the ztoc says.
    #[error("digest mismatch: expected {expected}, got {found}")]
    Digest {
        /// Of what came.
        found: Digest,
        /// By the ztoc.
        expected: Digest,
    },
    /// They do not inflate from the checkpoint.
    #[error("it cannot be inflated from its checkpoint: at byte {at} of the layer, {fault}")]
    Inflate {
        /// Where in the layer.
        at: CompressedAt,
        /// Why not.
        fault: Fault,
    },
    /// They inflate to more uncompressed bytes, and the next span would have other ones than it should.
    #[error("it inflates to more than {expected} bytes")]
    TooLong {
        /// By the checkpoints.
        expected: u64,
    },
    /// They inflate to fewer uncompressed bytes.
    #[error("it inflates to {}, expected {expected}", bytes(*.found))]
    Length {
        /// Uncompressed bytes that came.
        found: u64,
        /// By the checkpoints.
        expected: u64,
    },
}

impl Spans {
    /// The spans that `ztoc` describes, of a layer of `layer_size` compressed bytes.
    ///
    /// # Errors
    /// Where they cannot lie in it.
    pub fn of(mut ztoc: Ztoc, layer_size: u64) -> Result<Self, UnusableSpans> {
        Self::taken_from(&mut ztoc, layer_size)
    }

    /// The same; of `ztoc` only the checkpoints are taken, and only where the spans can lie in the layer.
    ///
    /// # Errors
    /// Where they cannot.
    pub fn taken_from(ztoc: &mut Ztoc, layer_size: u64) -> Result<Self, UnusableSpans> {
        if ztoc.compressed_size != layer_size {
            return Err(UnusableSpans::LayerSize {
                expected: ztoc.compressed_size,
                found: layer_size,
            });
        }
        // For each span: its first stored byte, where the one before it ends, and its first uncompressed byte.
        let starts: Vec<(u64, u64, u64)> = match ztoc.compression {
            Compression::Gzip => Zinfo::parse(&ztoc.checkpoints)?
                .iter()
                .map(|(at, _)| (at.first_byte().0, at.compressed_at.0, at.uncompressed_at.0))
                .collect(),
            Compression::Uncompressed => {
                let starts = ztoc.span_starts().into_iter();
                starts.map(|at| (at, at, at)).collect()
            }
        };
        let mut list = Vec::with_capacity(starts.len());
        for (id, &(first, _, plain)) in starts.iter().enumerate() {
            let (stored_end, plain_end) = match starts.get(id + 1) {
                Some(&(_, stored_end, plain_end)) => (stored_end, plain_end),
                None => (layer_size, ztoc.plain_size.max(plain)),
            };
            if first > stored_end || stored_end > layer_size || plain > plain_end {
                return Err(UnusableSpans::Outside(id));
            }
            list.push(Span {
                stored: first..stored_end,
                plain: plain..plain_end,
                digest: ztoc.span_digests[id],
            });
        }
        let checkpoints = match ztoc.compression {
            Compression::Gzip => std::mem::take(&mut ztoc.checkpoints),
            Compression::Uncompressed => Vec::new(),
        };
        Ok(Self { list, checkpoints })
    }

    /// The serialized checkpoints, which [`Self::taken_from`] took; none where the layer is not compressed.
    pub fn into_checkpoints(self) -> Vec<u8> {
        self.checkpoints
    }

    /// The spans, in order.
    pub fn list(&self) -> &[Span] {
        &self.list
    }

    /// Those that hold any of these uncompressed bytes.
    pub fn holding(&self, plain: &Range<u64>) -> Range<usize> {
        if plain.is_empty() {
            return 0..0;
        }
        let first = self
            .list
            .partition_point(|span| span.plain.end <= plain.start);
        let end = self
            .list
            .partition_point(|span| span.plain.start < plain.end);
        first..end.max(first)
    }

    /// The checkpoint that span `id` starts at; none where the layer is not compressed.
    pub fn checkpoint(&self, id: usize) -> Option<(Boundary, &[u8; WINDOW])> {
        Zinfo::parse(&self.checkpoints).ok()?.iter().nth(id)
    }

    /// Gives the uncompressed bytes of span `id` to `give`, from its compressed bytes. They are only to be trusted when all is well at
    /// the end: the digest is that of the whole span.
    ///
    /// # Errors
    /// Where `source` fails, or gives other bytes than the ztoc promises.
    pub fn read(
        &self,
        id: usize,
        source: &mut impl Read,
        give: impl FnMut(&[u8]),
    ) -> Result<(), SpanError> {
        let span = &self.list[id];
        let mut taken = Taken {
            hasher: Hasher::default(),
            left: span.plain.end - span.plain.start,
            has_more: false,
            give,
        };
        let inflated = match self.checkpoint(id) {
            Some((from, window)) => taken.inflate(Gunzip::resume(from, window), source),
            None => taken.copy(source).map(|()| None),
        };
        let fault = inflated.map_err(SpanError::Read)?;
        let found = taken.hasher.finish();
        if found != span.digest {
            return Err(SpanError::Digest {
                found,
                expected: span.digest,
            });
        }
        let expected = span.plain.end - span.plain.start;
        if taken.has_more && id + 1 < self.list.len() {
            return Err(SpanError::TooLong { expected });
        }
        match fault {
            // The span ends before its member does, as a rule.
            Some((_, Fault::Truncated)) | None if taken.left == 0 => Ok(()),
            // What is behind the last member is none of its bytes.
            Some((_, Fault::NotGzip)) if taken.left == 0 => Ok(()),
            Some((at, fault)) if fault != Fault::Truncated => Err(SpanError::Inflate { at, fault }),
            _ => Err(SpanError::Length {
                found: expected - taken.left,
                expected,
            }),
        }
    }
}

/// Hashes a span's compressed bytes and passes its plain ones on.
struct Taken<F> {
    hasher: Hasher,
    /// Uncompressed bytes that belong to the span and did not come yet.
    left: u64,
    /// Whether more came than belongs to it: behind the archive's end, and otherwise wrongly.
    has_more: bool,
    give: F,
}

/// All uncompressed bytes of the span came; what follows belongs to nobody.
struct Enough;

impl<F: FnMut(&[u8])> Taken<F> {
    fn take(&mut self, bytes: &[u8]) {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX);
        self.has_more |= bytes.len() > wanted;
        let bytes = &bytes[..bytes.len().min(wanted)];
        self.left -= bytes.len() as u64;
        if !bytes.is_empty() {
            (self.give)(bytes);
        }
    }

    /// Inflates all of `source`, and says what stopped it before its end.
    fn inflate(
        &mut self,
        mut gunzip: Gunzip,
        source: &mut impl Read,
    ) -> io::Result<Option<(CompressedAt, Fault)>> {
        let fault = match gunzip.run(source, self) {
            Ok(_) | Err(inflate::Error::Sink(Enough)) => None,
            Err(inflate::Error::Stream { at, fault }) => Some((at, fault)),
            Err(inflate::Error::Read(error)) => return Err(error),
        };
        gunzip.drain(source, self)?;
        Ok(fault)
    }

    fn copy(&mut self, source: &mut impl Read) -> io::Result<()> {
        let mut piece = vec![0; PIECE];
        loop {
            match source.read(&mut piece) {
                Ok(0) => return Ok(()),
                Ok(n) => {
                    self.hasher.update(&piece[..n]);
                    self.take(&piece[..n]);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl<F: FnMut(&[u8])> Sink for Taken<F> {
    type Error = Enough;

    fn compressed(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
    }

    fn uncompressed(&mut self, bytes: &[u8]) -> Result<(), Enough> {
        if self.left == 0 && !bytes.is_empty() {
            self.has_more = true;
            return Err(Enough);
        }
        self.take(bytes);
        Ok(())
    }

    fn boundary(&mut self, _: Boundary, _: &[u8]) {}
}
