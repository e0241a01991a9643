//! How a build ended: CodeBuild's status, the phase that failed, what the builder printed.
//! In: CodeBuild's description of a build. Out: the same in our words. Pure.

use std::time::SystemTime;

use aws_sdk_codebuild::types::{Build, BuildPhase, StatusType};

use super::{State, attempt};

/// What the buildspec exports: the builder's standard output.
const RESULT: &str = "SOCI_RESULT";

/// In these phases no line of the buildspec has run.
const BEFORE_BUILDER: [&str; 4] = ["SUBMITTED", "QUEUED", "PROVISIONING", "DOWNLOAD_SOURCE"];

/// CodeBuild's codes and words, and those that it passes on of IAM, S3, KMS and EC2, where a role lacks a right.
const DENIALS: [&str; 6] = [
    "access_denied",
    "accessdenied",
    "access denied",
    "not authorized",
    "unauthorizedoperation",
    "does not allow",
];

/// How CodeBuild says a build ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Well.
    Succeeded,
    /// A command failed, or a phase before it.
    Failed,
    /// CodeBuild itself failed.
    Fault,
    /// It took too long, or waited too long.
    TimedOut,
    /// Somebody stopped it.
    Stopped,
    /// A word that was not known when this was written.
    Other,
}

/// The end of a build.
#[derive(Clone, Debug)]
pub struct Ending {
    /// How it ended.
    pub end: End,
    /// What the builder printed.
    pub result: Option<String>,
    /// The first phase that did not end well.
    pub phase: Option<FailedPhase>,
    /// Where the log is to be seen; absent where the build died before there was one.
    pub log_link: Option<String>,
    /// Which of its request's builds it was.
    pub attempt: u8,
    /// When it ended.
    pub at: Option<SystemTime>,
}

/// A phase that did not end well.
#[derive(Clone, Debug)]
pub struct FailedPhase {
    name: String,
    messages: Vec<String>,
    is_denied: bool,
}

impl FailedPhase {
    /// CodeBuild's name of the phase, and what it says of it: codes and messages.
    #[must_use]
    pub fn new(name: &str, contexts: &[(&str, &str)]) -> Self {
        let messages = contexts.iter().map(|(_, message)| message.trim());
        Self {
            name: name.to_owned(),
            messages: messages
                .filter(|text| !text.is_empty())
                .map(str::to_owned)
                .collect(),
            is_denied: contexts.iter().any(|(code, message)| {
                let text = format!("{code} {message}").to_lowercase();
                DENIALS.iter().any(|denial| text.contains(denial))
            }),
        }
    }

    /// Whether no line of the buildspec has run yet.
    fn is_before_builder(&self) -> bool {
        BEFORE_BUILDER.contains(&self.name.as_str())
    }
}

impl Ending {
    /// The end in words, to follow "the build … ".
    #[must_use]
    pub fn how(&self) -> String {
        let word = match self.end {
            End::Succeeded => "ended well",
            End::Failed => "failed (FAILED)",
            End::Fault => "was ended by a fault of CodeBuild (FAULT)",
            End::TimedOut => "took too long (TIMED_OUT)",
            End::Stopped => "was stopped (STOPPED)",
            End::Other => "did not end well",
        };
        let Some(phase) = &self.phase else {
            return word.to_owned();
        };
        let before = match phase.is_before_builder() {
            true => ", before the builder was started",
            false => "",
        };
        format!("{word} in the phase {}{before}", phase.name)
    }

    /// Whether it died of a denial before the builder ran: the rights of a role that was made a moment ago are not known
    /// everywhere yet.
    #[must_use]
    pub fn is_early_denial(&self) -> bool {
        let phase = self.phase.as_ref();
        self.end == End::Failed
            && phase.is_some_and(|phase| phase.is_denied && phase.is_before_builder())
    }

    /// How it ended, with what CodeBuild says of it.
    #[must_use]
    pub fn how_and_why(&self) -> String {
        let messages = self.phase.iter().flat_map(|phase| &phase.messages);
        messages.fold(self.how(), |how, message| format!("{how}: {message}"))
    }
}

impl State {
    /// What CodeBuild says of a build.
    pub(super) fn of(build: &Build) -> Self {
        let end = match build.build_status() {
            Some(StatusType::InProgress) | None => {
                return State::Running {
                    phase: build.current_phase().unwrap_or("SUBMITTED").to_owned(),
                };
            }
            Some(StatusType::Succeeded) => End::Succeeded,
            Some(StatusType::Failed) => End::Failed,
            Some(StatusType::Fault) => End::Fault,
            Some(StatusType::TimedOut) => End::TimedOut,
            Some(StatusType::Stopped) => End::Stopped,
            Some(_) => End::Other,
        };
        let exported = build.exported_environment_variables();
        let result = exported
            .iter()
            .find(|variable| variable.name() == Some(RESULT));
        State::Ended(Ending {
            end,
            result: result
                .and_then(|variable| variable.value())
                .map(str::to_owned),
            phase: build.phases().iter().find_map(failed_phase),
            log_link: build
                .logs()
                .and_then(|logs| logs.deep_link())
                // CodeBuild's link where there is no log yet.
                .filter(|link| !link.contains("group=null"))
                .map(str::to_owned),
            attempt: attempt(build),
            at: build
                .end_time()
                .and_then(|time| SystemTime::try_from(*time).ok()),
        })
    }
}

fn failed_phase(phase: &BuildPhase) -> Option<FailedPhase> {
    if matches!(
        phase.phase_status()?,
        StatusType::Succeeded | StatusType::InProgress
    ) {
        return None;
    }
    let contexts = phase.contexts().iter();
    let contexts: Vec<_> = contexts
        .map(|context| {
            (
                context.status_code().unwrap_or_default(),
                context.message().unwrap_or_default(),
            )
        })
        .collect();
    let name = phase.phase_type().map_or("UNKNOWN", |name| name.as_str());
    Some(FailedPhase::new(name, &contexts))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ending(end: End, phase: &str, messages: &[&str]) -> Ending {
        let contexts: Vec<_> = messages.iter().map(|message| ("CODE", *message)).collect();
        of_phase(end, FailedPhase::new(phase, &contexts))
    }

    fn of_phase(end: End, phase: FailedPhase) -> Ending {
        Ending {
            end,
            result: None,
            phase: Some(phase),
            log_link: None,
            attempt: 1,
            at: None,
        }
    }

    #[test]
    fn an_early_death_says_that_the_builder_never_ran() {
        let how = ending(End::Failed, "PROVISIONING", &["no capacity"]).how_and_why();
        assert_eq!(
            how,
            "failed (FAILED) in the phase PROVISIONING, before the builder was started: no capacity"
        );
        let how = ending(End::TimedOut, "QUEUED", &[]).how_and_why();
        assert_eq!(
            how,
            "took too long (TIMED_OUT) in the phase QUEUED, before the builder was started"
        );
        let how = ending(End::Failed, "BUILD", &["exit status 1"]).how_and_why();
        assert_eq!(how, "failed (FAILED) in the phase BUILD: exit status 1");
    }

    #[test]
    fn a_denial_before_the_builder_is_told_apart() {
        let role = "Service role r does not allow AWS CodeBuild to create Amazon CloudWatch Logs log streams";
        let source = "AccessDenied: User is not authorized for primary source";
        for (end, phase, code, message, expected) in [
            (End::Failed, "PROVISIONING", "ACCESS_DENIED", role, true),
            (
                End::Failed,
                "SUBMITTED",
                "ACCESS_DENIED",
                "CodeBuild is not authorized to perform: sts:AssumeRole",
                true,
            ),
            (
                End::Failed,
                "PROVISIONING",
                "VPC_CLIENT_ERROR",
                "Unexpected EC2 error: UnauthorizedOperation",
                true,
            ),
            (End::Failed, "DOWNLOAD_SOURCE", "CLIENT_ERROR", source, true),
            (
                End::Failed,
                "BUILD",
                "COMMAND_EXECUTION_ERROR",
                "access denied",
                false,
            ),
            (
                End::Failed,
                "DOWNLOAD_SOURCE",
                "CLIENT_ERROR",
                "NoSuchKey: The specified key does not exist.",
                false,
            ),
            (
                End::Failed,
                "PROVISIONING",
                "VPC_CLIENT_ERROR",
                "no free addresses",
                false,
            ),
            (End::Fault, "PROVISIONING", "ACCESS_DENIED", role, false),
            (
                End::TimedOut,
                "QUEUED",
                "BUILD_TIMED_OUT",
                "Build has timed out.",
                false,
            ),
        ] {
            let ending = of_phase(end, FailedPhase::new(phase, &[(code, message)]));
            assert_eq!(
                ending.is_early_denial(),
                expected,
                "{phase} {code} {message}"
            );
        }
    }
}
