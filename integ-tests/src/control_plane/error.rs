//! What can go wrong between us, the emulator and the `cdk` CLI.

use std::{io, path::PathBuf};

/// What was tried. The cause is the source.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder could not be made.
    #[error("cannot write {path}")]
    Write {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A program could not be started.
    #[error("cannot run {program}")]
    Run {
        /// Which one.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// A program ended with an error.
    #[error("{program} failed:\n{output}")]
    Failed {
        /// Which one.
        program: String,
        /// What it printed.
        output: String,
    },
    /// The emulator ended, or did not answer in time.
    #[error("the emulator {what}; its log ends:\n{log}")]
    Emulator {
        /// What it did.
        what: &'static str,
        /// The end of its log.
        log: String,
    },
    /// The emulator refused a request.
    #[error("the emulator refused {request}")]
    Refused {
        /// Which one.
        request: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The emulator knows no such thing.
    #[error("{0} not found")]
    Missing(String),
    /// The services of ours did not start.
    #[error("cannot start the local cloud")]
    Cloud(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    pub(super) fn cloud<E>(error: E) -> Self
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        Self::Cloud(error.into())
    }

    pub(super) fn refused<E>(request: impl Into<String>) -> impl FnOnce(E) -> Self
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let request = request.into();
        |error| Self::Refused {
            request,
            source: error.into(),
        }
    }
}
