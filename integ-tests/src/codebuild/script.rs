//! A test's script for a build that does not simply succeed.
//! In: a test's settings. Out: what the run does in each phase. Pure, except for gates.

use std::fmt;

use crate::faults::Gate;

/// A build's phases, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Taken.
    Submitted,
    /// Waits for its turn.
    Queued,
    /// Gets a machine and its log.
    Provisioning,
    /// Gets its source.
    DownloadSource,
    /// First commands.
    Install,
    /// Commands before the build's.
    PreBuild,
    /// The build's commands.
    Build,
    /// Commands after the build's.
    PostBuild,
    /// Nothing here: no project has artifacts.
    UploadArtifacts,
    /// The machine goes.
    Finalizing,
    /// Over.
    Completed,
}

impl Phase {
    /// AWS's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Submitted => "SUBMITTED",
            Self::Queued => "QUEUED",
            Self::Provisioning => "PROVISIONING",
            Self::DownloadSource => "DOWNLOAD_SOURCE",
            Self::Install => "INSTALL",
            Self::PreBuild => "PRE_BUILD",
            Self::Build => "BUILD",
            Self::PostBuild => "POST_BUILD",
            Self::UploadArtifacts => "UPLOAD_ARTIFACTS",
            Self::Finalizing => "FINALIZING",
            Self::Completed => "COMPLETED",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How a build, or a phase of it, ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Succeeded.
    Succeeded,
    /// The build's own failure.
    Failed,
    /// CodeBuild's fault.
    Fault,
    /// Timed out.
    TimedOut,
    /// Stopped by someone.
    Stopped,
}

impl Status {
    /// AWS's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::Fault => "FAULT",
            Self::TimedOut => "TIMED_OUT",
            Self::Stopped => "STOPPED",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A scripted failure, as AWS reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Death {
    /// The state it ends in.
    pub status: Status,
    /// `phases[].contexts[].statusCode`
    pub code: String,
    /// `phases[].contexts[].message`
    pub message: String,
}

/// What happens to the exported variables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Exports {
    /// They come back, whether or not the build succeeded.
    #[default]
    Kept,
    /// They come back if the build succeeded; it is not documented that they do otherwise.
    LostOnFailure,
    /// They come back empty: the program printed nothing.
    Empty,
    /// None comes back.
    Missing,
}

/// The script of one build.
#[derive(Clone, Debug, Default)]
pub struct Script {
    holds: Vec<(Phase, Gate)>,
    deaths: Vec<(Phase, Death)>,
    pub(super) exports: Exports,
    pub(super) drops_modes: bool,
}

impl Script {
    /// It succeeds.
    pub fn new() -> Self {
        Self::default()
    }

    /// It stays in a phase until the gate opens; [`Gate::after`] counts the `BatchGetBuilds` that name it.
    #[must_use]
    pub fn held_in(mut self, phase: Phase, gate: &Gate) -> Self {
        self.holds.push((phase, gate.clone()));
        self
    }

    /// It fails when it enters a phase.
    #[must_use]
    pub fn dies_in(mut self, phase: Phase, status: Status, code: &str, message: &str) -> Self {
        let death = Death {
            status,
            code: code.to_owned(),
            message: message.to_owned(),
        };
        self.deaths.push((phase, death));
        self
    }

    /// What happens to the exported variables.
    #[must_use]
    pub fn exports(mut self, exports: Exports) -> Self {
        self.exports = exports;
        self
    }

    /// The files of its source come without their modes.
    #[must_use]
    pub fn drops_modes(mut self) -> Self {
        self.drops_modes = true;
        self
    }

    pub(super) fn gate(&self, phase: Phase) -> Option<&Gate> {
        let mut holds = self.holds.iter();
        holds.find(|(at, _)| *at == phase).map(|(_, gate)| gate)
    }

    pub(super) fn death(&self, phase: Phase) -> Option<&Death> {
        let mut deaths = self.deaths.iter();
        deaths.find(|(at, _)| *at == phase).map(|(_, death)| death)
    }
}
