//! Why layers make no file system, and why a path leads nowhere. Both as plain sentences.

use crate::tar::Kind;

/// Layers that no runtime can unpack.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unpackable {
    /// A kind that tables of contents do not have.
    #[error("{path} is of the unknown kind {kind:?}")]
    Kind {
        /// Its path.
        path: String,
        /// Its kind.
        kind: String,
    },
    /// A payload outside the layer.
    #[error("{0} has a negative size or offset")]
    Payload(String),
    /// A path that no system call takes.
    #[error("a path of {0} bytes is longer than Linux allows")]
    PathLength(usize),
    /// A hard link to nothing.
    #[error("{path} is a hard link to {target}, which does not exist")]
    HardLink {
        /// Its path.
        path: String,
        /// What it names.
        target: String,
    },
    /// More names than are held.
    #[error("the image has more files than fit into the memory limit")]
    TooLarge,
    /// A root that is something else than a directory.
    #[error("the root of the file system is {}, not a directory", .0.described())]
    Root(Kind),
    /// A whiteout of no name.
    #[error("{0} is a whiteout without a name")]
    Whiteout(String),
    /// A path through something else than directories.
    #[error("{path} cannot be created")]
    Path {
        /// The path.
        path: String,
        /// Why not.
        source: NotFound,
    },
}

/// A path that leads nowhere.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotFound {
    /// No such name.
    #[error("{0} not found")]
    Missing(String),
    /// Something else than a directory on the way.
    #[error("{0} is not a directory")]
    NotADirectory(String),
    /// Links in a circle, or too many.
    #[error("too many levels of symbolic links")]
    Links,
}
