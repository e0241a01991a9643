//! The tar stream of a layer, read as it passes by.
//! In: uncompressed bytes in any slices. Out: one `Entry` per member, in order, as Go's `archive/tar` reader would give
//! it, because the reference implementation takes its table of contents from there. Knows nothing of compression.

mod entry;
mod error;
mod header;
mod members;
mod meta;
mod pax;
mod timestamp;

pub use entry::{Entry, Kind};
pub use error::Error;
pub use header::Problem as HeaderProblem;
pub use members::{Content, Member, Members, NoMembers};
pub use pax::{Problem as PaxProblem, Records as PaxRecords};
pub use timestamp::Timestamp;

use error::shown;
use header::{BLOCK_BYTES, Block, Header};
use meta::{MetaKind, Pending};

use crate::limits::Limits;

/// The type flag of a global PAX header.
const GLOBAL: u8 = b'g';

/// The parser: [`push`](Self::push) it every byte of the stream, then [`finish`](Self::finish).
///
/// Memory does not grow with the stream: one block, and the records that wait for their member.
pub struct TarReader {
    state: State,
    /// Bytes of the stream taken so far.
    taken: u64,
    /// A header block that is split over pushes; its first `filled` bytes.
    block: Block,
    filled: usize,
    /// Where the zero block stands that the last block was.
    zero_at: Option<u64>,
    /// The last header block, for errors about what follows it.
    header_at: u64,
    header_name: Vec<u8>,
    pending: Pending,
    passes_over_globals: bool,
}

enum State {
    /// The next byte belongs to a header block.
    Header,
    /// In the records that describe the next member.
    Meta {
        kind: MetaKind,
        left: u64,
        padding: u64,
    },
    /// In bytes that nobody needs. The end of the input may cut the padding, never the payload.
    Skip { payload: u64, padding: u64 },
    /// Behind the end marker; whatever follows is no part of the archive.
    Ended { archive_bytes: u64 },
    /// Nothing after an error can be trusted, so it stays.
    Failed(Error),
}

impl Default for TarReader {
    fn default() -> Self {
        Self::new()
    }
}

impl TarReader {
    /// A parser at the start of a stream.
    pub fn new() -> Self {
        Self {
            state: State::Header,
            taken: 0,
            block: [0; BLOCK_BYTES],
            filled: 0,
            zero_at: None,
            header_at: 0,
            header_name: Vec::new(),
            pending: Pending::default(),
            passes_over_globals: false,
        }
    }

    /// Passes over global PAX headers (`git archive` writes one), as runtimes do. A table of contents has no entry for one, so an
    /// archive with one can be read, but not be indexed.
    #[must_use]
    pub(crate) fn passing_over_globals(mut self) -> Self {
        self.passes_over_globals = true;
        self
    }

    /// Whether the end marker has come.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.state, State::Ended { .. })
    }

    /// Takes the next bytes, however many, and gives `sink` each member whose header ends in them.
    ///
    /// An error is final: every later call gives it again.
    pub fn push(
        &mut self,
        mut bytes: &[u8],
        sink: &mut impl FnMut(Entry<'_>),
    ) -> Result<(), Error> {
        if let State::Failed(error) = &self.state {
            return Err(error.clone());
        }
        while !bytes.is_empty() {
            match self.step(bytes, sink) {
                Ok(used) => {
                    bytes = &bytes[used..];
                }
                Err(error) => {
                    self.state = State::Failed(error.clone());
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Says that the input has ended, and gives the size of the archive: up to and with its end marker, or up to
    /// the end of the input where there is none.
    pub fn finish(self) -> Result<u64, Error> {
        let missing = match self.state {
            State::Failed(error) => return Err(error),
            State::Ended { archive_bytes } => return Ok(archive_bytes),
            State::Header if self.filled == 0 => return Ok(self.taken),
            State::Header => {
                return Err(Error::CutHeader {
                    at: self.taken - self.filled as u64,
                    have: self.filled,
                });
            }
            State::Skip { payload: 0, .. } => return Ok(self.taken),
            State::Skip { payload, .. } => payload,
            State::Meta { left, .. } => left,
        };
        Err(Error::CutPayload {
            at: self.header_at,
            name: shown(&self.header_name),
            missing,
        })
    }

    /// Uses some of `bytes`, at least one, and says how many.
    fn step(&mut self, bytes: &[u8], sink: &mut impl FnMut(Entry<'_>)) -> Result<usize, Error> {
        let used;
        match &mut self.state {
            State::Header => match bytes.first_chunk::<BLOCK_BYTES>() {
                Some(block) if self.filled == 0 => {
                    used = BLOCK_BYTES;
                    self.taken += BLOCK_BYTES as u64;
                    self.header(block, sink)?;
                }
                _ => {
                    used = bytes.len().min(BLOCK_BYTES - self.filled);
                    self.block[self.filled..][..used].copy_from_slice(&bytes[..used]);
                    self.filled += used;
                    self.taken += used as u64;
                    if self.filled == BLOCK_BYTES {
                        self.filled = 0;
                        let block = self.block;
                        self.header(&block, sink)?;
                    }
                }
            },
            State::Meta {
                kind,
                left,
                padding,
            } => {
                used = at_most(bytes, *left);
                self.taken += used as u64;
                *left -= used as u64;
                self.pending.take(*kind, &bytes[..used]);
                if *left == 0 {
                    let (kind, padding) = (*kind, *padding);
                    self.meta_ended(kind, padding)?;
                }
            }
            State::Skip { payload, padding } => {
                let left = if *payload > 0 {
                    &mut *payload
                } else {
                    &mut *padding
                };
                used = at_most(bytes, *left);
                self.taken += used as u64;
                *left -= used as u64;
                if *payload == 0 && *padding == 0 {
                    self.state = State::Header;
                }
            }
            State::Ended { .. } | State::Failed(_) => used = bytes.len(),
        }
        Ok(used)
    }

    /// Takes the header block that ends at `taken`, and says what follows it by setting the state.
    fn header(&mut self, block: &Block, sink: &mut impl FnMut(Entry<'_>)) -> Result<(), Error> {
        let at = self.taken - BLOCK_BYTES as u64;
        if block.iter().all(|&byte| byte == 0) {
            match self.zero_at {
                None => self.zero_at = Some(at),
                Some(_) => {
                    self.state = State::Ended {
                        archive_bytes: self.taken,
                    };
                }
            }
            return Ok(());
        }
        if let Some(zero_at) = self.zero_at {
            return Err(Error::AfterZeroBlock { at, zero_at });
        }
        let header = Header::parse(block).map_err(|problem| Error::Header { at, problem })?;
        self.header_at = at;

        if header.flag == GLOBAL && self.passes_over_globals {
            header.full_name(&mut self.header_name);
            let bytes = entry::payload_bytes(at, &self.header_name, header.size)?;
            self.pending.clear();
            self.skip(bytes, padding_after(bytes));
            return Ok(());
        }
        if let Some(kind) = MetaKind::of(header.flag) {
            header.full_name(&mut self.header_name);
            let bytes = entry::payload_bytes(at, &self.header_name, header.size)?;
            if bytes > Limits::RECORD_BYTES {
                return Err(Error::MetaTooLarge {
                    at,
                    kind: kind.as_str(),
                    bytes,
                    max: Limits::RECORD_BYTES,
                });
            }
            self.pending.begin(kind);
            if bytes == 0 {
                return self.meta_ended(kind, 0);
            }
            self.state = State::Meta {
                kind,
                left: bytes,
                padding: padding_after(bytes),
            };
            return Ok(());
        }

        let entry = self.pending.entry(&header, at)?;
        self.header_name.clear();
        self.header_name.extend_from_slice(entry.name);
        let payload = match entry.kind {
            Kind::Regular => entry::payload_bytes(at, entry.name, entry.size)?,
            _ => 0,
        };
        sink(entry);
        self.pending.clear();
        self.skip(payload, padding_after(payload));
        Ok(())
    }

    fn meta_ended(&mut self, kind: MetaKind, padding: u64) -> Result<(), Error> {
        self.pending.end(kind).map_err(|problem| Error::Pax {
            at: self.header_at,
            problem,
        })?;
        self.skip(0, padding);
        Ok(())
    }

    fn skip(&mut self, payload: u64, padding: u64) {
        self.state = match (payload, padding) {
            (0, 0) => State::Header,
            _ => State::Skip { payload, padding },
        };
    }
}

/// Bytes of a header, and of the blocks that an archive is made of.
pub const HEADER_BYTES: u64 = BLOCK_BYTES as u64;

/// The size that a header says, where it is the header of a regular file.
pub fn regular_size(header: &[u8]) -> Option<u64> {
    let header = Header::parse(header.try_into().ok()?).ok()?;
    let mut name = Vec::new();
    header.full_name(&mut name);
    let is_regular = Kind::of(header.flag, &name) == Some(Kind::Regular);
    u64::try_from(header.size).ok().filter(|_| is_regular)
}

/// Whether a block is a header that an archive can start with.
pub(crate) fn is_header(block: &[u8]) -> bool {
    block
        .try_into()
        .is_ok_and(|block| Header::parse(block).is_ok())
}

/// How many of `bytes` are among the next `left` of the stream.
fn at_most(bytes: &[u8], left: u64) -> usize {
    usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()))
}

/// What fills `payload` bytes up to whole blocks.
fn padding_after(payload: u64) -> u64 {
    payload.wrapping_neg() % BLOCK_BYTES as u64
}
