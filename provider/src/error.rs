//! Why a request failed. The user reads these texts in the stack's events.

use std::{any::Any, fmt};

use soci_index::run;
use tokio::task::JoinError;

use crate::{
    call::CallError, failed_invocation::FailedInvocation, orphaned_index::NoUsableIndex,
    properties::InvalidProperty,
};

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Invalid event.
    #[error("cannot parse the event: {0}")]
    Event(String),
    /// Invalid property.
    #[error(transparent)]
    Property(#[from] InvalidProperty),
    /// The image or its index cannot be read.
    #[error("cannot read the image {image}")]
    Image {
        /// The full image reference.
        image: String,
        /// Why.
        source: Box<run::Error>,
    },
    /// The image was deleted, and no complete index of it can be used instead.
    #[error("cannot read the image {image}, {why}")]
    Gone {
        /// The full image reference.
        image: String,
        /// Why the output tag cannot be used.
        why: Box<NoUsableIndex>,
        /// Why the image cannot be read.
        source: Box<run::Error>,
    },
    /// Access denied while checking for an existing index.
    #[error("cannot check whether {image} is already indexed")]
    Rights {
        /// The image.
        image: String,
        /// The denied call.
        source: CallError,
    },
    /// Builds cannot be listed.
    #[error("cannot list builds of project {project}")]
    Builds {
        /// The project.
        project: String,
        /// Why.
        source: CallError,
    },
    /// The build cannot be started.
    #[error("cannot start a build of project {project}")]
    Start {
        /// The project.
        project: String,
        /// Why.
        source: CallError,
    },
    /// The build cannot be started because of the account's quota.
    #[error(
        "cannot start a build of project {project}: the account's CodeBuild quota of concurrently running builds is used up \
         or 0; deploy again when other builds have ended, or request an increase under Service Quotas, AWS CodeBuild, \
         \"Concurrently running builds\""
    )]
    Quota {
        /// The project.
        project: String,
        /// CodeBuild's error.
        source: CallError,
    },
    /// The build was started, but its status cannot be read.
    #[error("cannot get the status of build {build}")]
    Watch {
        /// The build.
        build: String,
        /// Why.
        source: CallError,
    },
    /// The build ended without an index.
    #[error(transparent)]
    Build(#[from] BuildFailed),
    /// The builder function could not be invoked.
    #[error("cannot invoke the builder function {function}")]
    Invoke {
        /// Its ARN.
        function: String,
        /// Why.
        source: CallError,
    },
    /// The builder function failed without a response.
    #[error("{0}")]
    Function(FailedInvocation),
    /// The builder function could not build the index.
    #[error("cannot index {image}")]
    Index {
        /// The image.
        image: String,
        /// Why.
        source: Box<run::Error>,
    },
    /// The builder function is about to time out.
    #[error(
        "timed out indexing {image} after {minutes} min: {so_far}; raise timeout (at most 14 minutes) or memorySize, which \
         raises the CPU share as well, or build the index in CodeBuild (builder: SociBuilder.CODE_BUILD)"
    )]
    NotFinished {
        /// The image.
        image: String,
        /// The invocation's time.
        minutes: u64,
        /// Layers and bytes read.
        so_far: String,
    },
    /// Another request for the same resource followed.
    #[error("stopped: a newer request for the same resource was received ({0})")]
    Superseded(String),
    /// There is no index, and the properties ask for a failure.
    #[error("{0}")]
    NoIndex(&'static str),
    /// The deadline is reached.
    #[error("timed out after {minutes} minutes waiting for the index{stopped}")]
    OutOfTime {
        /// Minutes since the event.
        minutes: u64,
        /// Whether the build was stopped.
        stopped: String,
    },
    /// The next invocation could not be started.
    #[error("the Lambda invocation is about to time out and the next one cannot be started")]
    HandOver(#[source] CallError),
    /// A bug.
    #[error("internal error in the provider; please report it: {0}")]
    Panic(String),
}

impl From<JoinError> for Error {
    fn from(error: JoinError) -> Self {
        Self::Panic(panic_message(error))
    }
}

/// What a task died of.
#[must_use]
pub fn panic_message(error: JoinError) -> String {
    let Ok(panic) = error.try_into_panic() else {
        return "the task was cancelled".to_owned();
    };
    let text = |panic: &(dyn Any + Send)| {
        let fixed = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        fixed.or_else(|| panic.downcast_ref::<String>().cloned())
    };
    text(&*panic).unwrap_or_else(|| "panic without a message".to_owned())
}

impl Error {
    /// The link to the build's log, if there is one.
    #[must_use]
    pub fn log_link(&self) -> Option<&str> {
        match self {
            Self::Build(failed) => failed.log_link.as_deref(),
            _ => None,
        }
    }
}

/// A build that ended without an index.
#[derive(Debug, thiserror::Error)]
pub struct BuildFailed {
    /// The build.
    pub build: String,
    /// The builder's own error message.
    pub said: Option<String>,
    /// The build's status as text.
    pub how: String,
    /// The link to the build's log.
    pub log_link: Option<String>,
}

impl fmt::Display for BuildFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(said) = &self.said {
            write!(f, "{said}; ")?;
        }
        write!(f, "build {} {}", self.build, self.how)
    }
}
