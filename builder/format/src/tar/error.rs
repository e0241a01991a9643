//! What can be wrong with a tar stream. Every error says at which byte of the uncompressed stream the header block stands
//! that it is about.

use super::{header, pax};

use crate::plural::bytes;

/// A tar stream that cannot be indexed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The block is no tar header.
    #[error("tar header at byte {at}: {problem}")]
    Header {
        /// The header block.
        at: u64,
        /// What is wrong in it.
        problem: header::Problem,
    },
    /// The size of something that has payload is below zero.
    #[error("tar header at byte {at}: {name:?} has the negative size {size}")]
    NegativeSize {
        /// The header block.
        at: u64,
        /// The member.
        name: String,
        /// The size it claims.
        size: i64,
    },
    /// Nothing in a table of contents stands for such a member.
    #[error("tar header at byte {at}: {name:?} has type flag '{flag}', which cannot be indexed")]
    UnsupportedFlag {
        /// The header block.
        at: u64,
        /// The member.
        name: String,
        /// The type flag, escaped where it does not print.
        flag: String,
    },
    /// A sparse file by PAX records: its payload is not its content.
    #[error(
        "tar header at byte {at}: {name:?} is sparse (PAX record {key:?}), which cannot be indexed"
    )]
    Sparse {
        /// The header block.
        at: u64,
        /// The member.
        name: String,
        /// The record that says so.
        key: String,
    },
    /// The records of a PAX header do not follow its grammar.
    #[error("PAX header at byte {at}: {problem}")]
    Pax {
        /// The header block of the PAX header.
        at: u64,
        /// What is wrong in it.
        problem: pax::Problem,
    },
    /// A PAX record that overrides a field of the header holds no such value.
    #[error(
        "tar header at byte {at}: PAX record {key:?} of {name:?} has the value {value:?}, which is not {wanted}"
    )]
    PaxValue {
        /// The member's header block.
        at: u64,
        /// The member.
        name: String,
        /// The record's key.
        key: &'static str,
        /// The record's value.
        value: String,
        /// What it would have to be.
        wanted: &'static str,
    },
    /// More records than the limit.
    #[error("tar header at byte {at}: {kind} of {bytes} bytes, more than the limit of {max}")]
    MetaTooLarge {
        /// The header block.
        at: u64,
        /// Which records.
        kind: &'static str,
        /// What the header claims.
        bytes: u64,
        /// The limit.
        max: u64,
    },
    /// The first half of the end marker, then no second.
    #[error("tar header at byte {at}: follows a zero block at byte {zero_at}, but is not one")]
    AfterZeroBlock {
        /// The block that should be zero.
        at: u64,
        /// The zero block.
        zero_at: u64,
    },
    /// The input ends inside a header block.
    #[error("tar header at byte {at}: the input ends after {have} of its 512 bytes")]
    CutHeader {
        /// The header block.
        at: u64,
        /// What is there of it.
        have: usize,
    },
    /// The input ends inside what follows a header block.
    #[error(
        "tar header at byte {at}: the input ends {} before the end of {name:?}",
        bytes(*.missing)
    )]
    CutPayload {
        /// The header block.
        at: u64,
        /// The member.
        name: String,
        /// What is not there of its payload.
        missing: u64,
    },
}

/// A name or value for a message: as text, cut at 256 bytes, because the input decides its length.
pub(super) fn shown(bytes: &[u8]) -> String {
    const MAX: usize = 256;
    match bytes.get(..MAX) {
        Some(start) if bytes.len() > MAX => format!("{}…", String::from_utf8_lossy(start)),
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}
