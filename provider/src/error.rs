//! Why a request failed. The user reads these texts in the stack's events.

use std::fmt;

use soci_index::run;

use crate::{call::CallError, orphaned_index::NoUsableIndex, properties::InvalidProperty};

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
