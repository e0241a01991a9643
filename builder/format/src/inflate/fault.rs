//! What can be wrong with a gzip stream.

/// What is wrong with a gzip stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The stream ends too early.
    #[error("the data ends in the middle of a gzip member")]
    Truncated,
    /// No gzip magic where a member must start.
    #[error("no gzip member starts here")]
    NotGzip,
    /// A compression method other than deflate.
    #[error("the gzip header names a compression method other than deflate")]
    Method,
    /// Reserved flags.
    #[error("the gzip header has flags that no version of the format defines")]
    HeaderFlags,
    /// The header's own checksum.
    #[error("the gzip header does not match its checksum")]
    HeaderChecksum,
    /// The member's checksum.
    #[error("the gzip member does not match its CRC-32")]
    Checksum,
    /// The member's length.
    #[error("the gzip member does not match its length field")]
    Length,
    /// Block type 3.
    #[error("a deflate block has an invalid type")]
    BlockType,
    /// A stored block whose length and complement differ.
    #[error("a stored deflate block has an invalid length")]
    StoredLength,
    /// More codes than deflate has.
    #[error("a deflate block declares too many codes")]
    TooManyCodes,
    /// Code lengths that make no prefix code.
    #[error("a deflate block has invalid code lengths")]
    CodeLengths,
    /// A repeated code length without one before it, or beyond the last.
    #[error("a deflate block repeats a code length before the first one")]
    RepeatOfNothing,
    /// No code for the end of the block.
    #[error("a deflate block has no code for its end")]
    NoEndOfBlock,
    /// Bits that are no code.
    #[error("a deflate block contains an invalid code")]
    NoCode,
    /// A match that starts before the member.
    #[error("a deflate block copies from before the start of its member")]
    TooFarBack,
}
