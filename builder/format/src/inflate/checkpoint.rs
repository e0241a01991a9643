//! Checkpoints: the places in a gzip stream where inflation can start again.
//! In: block boundaries. Out: one checkpoint about every `span_size` uncompressed bytes, in the serialized form of a ztoc
//! ("zinfo"). Knows nothing of tar or the network.

use super::{Boundary, CompressedAt, UncompressedAt};

use crate::plural::bytes;

/// Uncompressed bytes that a checkpoint keeps: as far back as a deflate match can reach.
pub const WINDOW: usize = super::WINDOW;

/// Bytes before the first checkpoint: their number (`i32`) and the span size (`i64`), little endian.
const HEAD: usize = 4 + 8;
/// Bytes of a checkpoint before its window: compressed offset, uncompressed offset (`i64` each), bits (`u8`).
const FIXED: usize = 8 + 8 + 1;

/// What became of a boundary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// It is no checkpoint.
    Left,
    /// It is the first checkpoint, in place of an earlier one if there was one.
    First,
    /// It is the next checkpoint.
    Next,
}

/// The checkpoints of one gzip stream.
///
/// They are kept in their serialized form from the start: the windows are nearly all of a ztoc, and keeping them twice
/// would double the memory of a pass.
pub struct Checkpoints {
    span_size: u64,
    zinfo: Vec<u8>,
    /// Where the last one lies; none before the first.
    last: Option<UncompressedAt>,
}

impl Checkpoints {
    /// No checkpoint yet; `span_size` is in uncompressed bytes.
    pub fn new(span_size: u64) -> Self {
        let mut zinfo = vec![0; 4];
        zinfo.extend(span_size.to_le_bytes());
        Self {
            span_size,
            zinfo,
            last: None,
        }
    }

    /// Takes a checkpoint at `boundary` if one is due there: at the last boundary before the first uncompressed byte, and then at the
    /// first one that is more than a span behind the last checkpoint (not at exactly a span). Says whether it was taken.
    ///
    /// The reference takes every boundary before the first uncompressed byte, and then refuses to read a span without uncompressed bytes.
    pub fn offer(&mut self, boundary: Boundary, window: &[u8]) -> Offer {
        let offer = match self.last {
            _ if boundary.uncompressed_at.0 == 0 => Offer::First,
            Some(last) if boundary.uncompressed_at.0 - last.0 <= self.span_size => {
                return Offer::Left;
            }
            _ => Offer::Next,
        };
        let place = [
            &boundary.compressed_at.0.to_le_bytes()[..],
            &boundary.uncompressed_at.0.to_le_bytes(),
            &[boundary.bits],
        ]
        .concat();
        if offer == Offer::First && self.last.is_some() {
            // Its window is that of the one before: no uncompressed byte came in between.
            self.zinfo[HEAD..HEAD + FIXED].copy_from_slice(&place);
        } else {
            self.zinfo.extend(place);
            self.zinfo.extend(window);
        }
        self.last = Some(boundary.uncompressed_at);
        offer
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        (self.zinfo.len() - HEAD) / (FIXED + WINDOW)
    }

    /// Bytes that they take serialized.
    pub fn bytes(&self) -> usize {
        self.zinfo.len()
    }

    /// The serialized checkpoints.
    pub fn finish(mut self) -> Vec<u8> {
        let taken = u32::try_from(self.count()).expect("they are far fewer than 32 bits can count");
        self.zinfo[..4].copy_from_slice(&taken.to_le_bytes());
        self.zinfo
    }
}

/// Checkpoints read back from their serialized form.
#[derive(Debug)]
pub struct Zinfo<'a> {
    /// Uncompressed bytes between two checkpoints, at least.
    pub span_size: u64,
    checkpoints: &'a [u8],
}

/// Bytes that are no serialized checkpoints.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ZinfoError {
    /// The length does not fit the number of checkpoints.
    #[error("the checkpoints have {}, but {count} checkpoints need {expected}", bytes(*.found))]
    Length {
        /// The number of checkpoints announced.
        count: u32,
        /// Bytes that they take.
        expected: u64,
        /// Bytes that are there.
        found: usize,
    },
    /// An offset that is negative: the format has 64 bits with a sign.
    #[error("checkpoint {0} has a negative offset")]
    Negative(usize),
    /// Offsets that do not rise, or more than 7 bits.
    #[error("checkpoint {0} is not after the previous one")]
    Order(usize),
}

impl<'a> Zinfo<'a> {
    /// Reads `bytes`, checking that the checkpoints are whole and in order.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ZinfoError> {
        let short = ZinfoError::Length {
            count: 0,
            expected: HEAD as u64,
            found: bytes.len(),
        };
        let (count, rest) = bytes.split_first_chunk().ok_or(short)?;
        let count = u32::from_le_bytes(*count);
        let expected = HEAD as u64 + u64::from(count) * (FIXED + WINDOW) as u64;
        let wrong = ZinfoError::Length {
            count,
            expected,
            found: bytes.len(),
        };
        let Some((span_size, checkpoints)) = rest.split_first_chunk() else {
            return Err(wrong);
        };
        if bytes.len() as u64 != expected {
            return Err(wrong);
        }
        let zinfo = Self {
            span_size: u64::from_le_bytes(*span_size),
            checkpoints,
        };
        let mut before = Boundary {
            compressed_at: CompressedAt(0),
            bits: 0,
            uncompressed_at: UncompressedAt(0),
        };
        for (i, (boundary, _)) in zinfo.iter().enumerate() {
            let offsets = [boundary.compressed_at.0, boundary.uncompressed_at.0];
            if offsets.iter().any(|&at| i64::try_from(at).is_err()) {
                return Err(ZinfoError::Negative(i));
            }
            if boundary.bits > 7
                || boundary.compressed_at < before.compressed_at
                || boundary.uncompressed_at < before.uncompressed_at
                || (boundary.bits > 0 && boundary.compressed_at.0 == 0)
            {
                return Err(ZinfoError::Order(i));
            }
            before = boundary;
        }
        Ok(zinfo)
    }

    /// The checkpoints and their windows, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (Boundary, &'a [u8; WINDOW])> + Clone {
        let number = |bytes: &[u8]| {
            bytes
                .iter()
                .rev()
                .fold(0, |number, &byte| number << 8 | u64::from(byte))
        };
        self.checkpoints
            .chunks_exact(FIXED + WINDOW)
            .map(move |checkpoint| {
                let (fixed, window) = checkpoint
                    .split_last_chunk()
                    .expect("a checkpoint is longer than its window");
                let boundary = Boundary {
                    compressed_at: CompressedAt(number(&fixed[..8])),
                    bits: fixed[16],
                    uncompressed_at: UncompressedAt(number(&fixed[8..16])),
                };
                (boundary, window)
            })
    }
}
