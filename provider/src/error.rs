//! Why a request failed: one enum, each variant a plain sentence, the cause behind it. What CloudFormation's user reads.

use std::fmt;

use soci_index::run;

use crate::{call::CallError, kept::NotKept, properties::Refused};

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The event.
    #[error("the event cannot be understood: {0}")]
    Event(String),
    /// A property.
    #[error(transparent)]
    Property(#[from] Refused),
    /// The image, or what of an index is there.
    #[error("cannot read the image {image}")]
    Image {
        /// Its whole name.
        image: String,
        /// Why.
        source: Box<run::Error>,
    },
    /// The image is gone, and there is no index of it that could stand for it.
    #[error("cannot read the image {image}, {why}")]
    Gone {
        /// Its whole name.
        image: String,
        /// What is under the output tag.
        why: Box<NotKept>,
        /// Why it cannot be read.
        source: Box<run::Error>,
    },
    /// A right that is missing where nothing else fails.
    #[error("cannot tell whether the index of {image} is there")]
    Rights {
        /// The image.
        image: String,
        /// What is denied.
        source: CallError,
    },
    /// The project's builds.
    #[error("cannot look for builds of the project {project}")]
    Builds {
        /// The project.
        project: String,
        /// Why.
        source: CallError,
    },
    /// The build was not started.
    #[error("cannot start a build of the project {project}")]
    Start {
        /// The project.
        project: String,
        /// Why.
        source: CallError,
    },
    /// The build was not started, and would have been in another account.
    #[error(
        "cannot start a build of the project {project}: the account's CodeBuild quota of concurrently running builds is used up \
         or 0; deploy again when other builds have ended, or request an increase under Service Quotas, AWS CodeBuild, \
         \"Concurrently running builds\""
    )]
    Quota {
        /// The project.
        project: String,
        /// What CodeBuild says.
        source: CallError,
    },
    /// The build was started, and is out of sight.
    #[error("cannot watch the build {build}")]
    Watch {
        /// The build.
        build: String,
        /// Why.
        source: CallError,
    },
    /// The build ended without an index.
    #[error(transparent)]
    Build(#[from] BuildFailed),
    /// There is no index, and that is to fail.
    #[error("{0}")]
    NoIndex(&'static str),
    /// CloudFormation will not wait any longer.
    #[error(
        "there is no index after {minutes} minutes, and CloudFormation waits no longer{stopped}"
    )]
    OutOfTime {
        /// How long it took so far.
        minutes: u64,
        /// What became of the build.
        stopped: String,
    },
    /// The next invocation could not be started.
    #[error("the time of this invocation is over, and the next one cannot be started")]
    HandOver(#[source] CallError),
    /// A bug.
    #[error("the provider failed inside; this is a bug: {0}")]
    Panic(String),
}

impl Error {
    /// The log of the build, where there is one.
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
    /// The builder's own words.
    pub said: Option<String>,
    /// How CodeBuild says it ended.
    pub how: String,
    /// Where the build's log is to be seen.
    pub log_link: Option<String>,
}

impl fmt::Display for BuildFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(said) = &self.said {
            write!(f, "{said}; ")?;
        }
        write!(f, "the build {} {}", self.build, self.how)
    }
}
