//! Why an event failed. Lambda runs it again, and then puts it into the queue with this text.

use soci_index::run;
use soci_store::store;
use tokio::task::JoinError;

use crate::{call::CallError, error::panic_message};

/// Why an event failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Invalid event.
    #[error("cannot parse the event: {0}")]
    Event(String),
    /// ECR does not say where the registry is.
    #[error("cannot get the registry's address")]
    Registry(#[source] CallError),
    /// ECR says nothing about the image.
    #[error("cannot look up {image}")]
    LookUp {
        /// The image.
        image: String,
        /// Why.
        source: CallError,
    },
    /// No output tag can be made of the image's tag.
    #[error(
        "cannot index {image}: the output tag {output_tag} would have more than 128 characters; use shorter tags or a shorter outputSuffix"
    )]
    OutputTag {
        /// The image.
        image: String,
        /// The output tag.
        output_tag: String,
    },
    /// The index could not be built.
    #[error("cannot index {image}")]
    Index {
        /// The image.
        image: String,
        /// Why.
        source: Box<run::Error>,
    },
    /// The output tag names something else, and cannot be moved.
    #[error(
        "cannot index {image}: the repository's tags are immutable, and its output tag names something else, for example an index with \
         other options; delete that tag and redrive the event, or use another outputSuffix"
    )]
    ImmutableTag {
        /// The image.
        image: String,
        /// Which tag, and what it names.
        source: Box<run::Error>,
    },
    /// There is no index, and the settings ask for a failure.
    #[error("cannot index {image}: {why}")]
    NoIndex {
        /// The image.
        image: String,
        /// Why not.
        why: String,
    },
    /// Whether the image still has its tag could not be determined.
    #[error(
        "cannot index {image}: the output tag was not put, because the image's tag cannot be checked: {why}"
    )]
    Unchecked {
        /// The image.
        image: String,
        /// The failed call.
        why: String,
    },
    /// The invocation is about to time out.
    #[error(
        "timed out indexing {image} after {seconds} s: {so_far}; raise timeout (at most 14 minutes) or memorySize, which raises the CPU \
         share as well, and redrive the event"
    )]
    NotFinished {
        /// The image.
        image: String,
        /// The invocation's time.
        seconds: u64,
        /// Layers and bytes read.
        so_far: String,
    },
    /// The images to index cannot be listed.
    #[error("cannot list the images to index")]
    List(#[source] CallError),
    /// The function could not be invoked.
    #[error("cannot invoke the function {function} for {what}")]
    Invoke {
        /// Its name.
        function: String,
        /// What for.
        what: String,
        /// Why.
        source: CallError,
    },
    /// Some events of a batch failed.
    #[error("{failed} of {all} events failed: {first}")]
    Batch {
        /// How many.
        failed: usize,
        /// Of how many.
        all: usize,
        /// Why the first did.
        first: String,
    },
    /// A bug.
    #[error("internal error in the function; please report it: {0}")]
    Panic(String),
}

impl Error {
    /// From a run.
    #[must_use]
    pub fn index(image: String, error: run::Error) -> Self {
        let source = Box::new(error);
        match &*source {
            run::Error::Store(store::Error::ImmutableTag { .. }) => {
                Self::ImmutableTag { image, source }
            }
            _ => Self::Index { image, source },
        }
    }
}

impl From<JoinError> for Error {
    fn from(error: JoinError) -> Self {
        Self::Panic(panic_message(error))
    }
}
