//! The result of a completed build: CodeBuild's status, the failed phase, the builder's output.
//! In: CodeBuild's description of a build. Out: the same as our own types. Pure.

use std::time::SystemTime;

use aws_sdk_codebuild::types::{Build, BuildPhase, StatusType};

use super::{State, attempt};

/// What the buildspec exports: the builder's standard output.
const RESULT: &str = "SOCI_RESULT";

/// In these phases no command of the buildspec has run yet.
const BEFORE_BUILDER: [&str; 4] = ["SUBMITTED", "QUEUED", "PROVISIONING", "DOWNLOAD_SOURCE"];

/// How CodeBuild reports access denied, by itself or for IAM, S3, KMS and EC2.
const DENIALS: [&str; 6] = [
    "access_denied",
    "accessdenied",
    "access denied",
    "not authorized",
    "unauthorizedoperation",
    "does not allow",
];

/// CodeBuild's final status of a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Succeeded.
    Succeeded,
    /// A command failed, or a phase before it.
    Failed,
    /// CodeBuild itself failed.
    Fault,
    /// The build or its time in the queue exceeded a timeout.
    TimedOut,
    /// Stopped by a caller.
    Stopped,
    /// A status that this version does not know.
    Other,
}

/// The end of a build.
#[derive(Clone, Debug)]
pub struct EndedBuild {
    /// How it ended.
    pub end: End,
    /// What the builder printed.
    pub result: Option<String>,
    /// The first phase that did not succeed.
    pub phase: Option<FailedPhase>,
    /// The link to the log; absent if the build failed before its log was created.
    pub log_link: Option<String>,
    /// Which of its request's builds it was.
    pub attempt: u8,
    /// The end time.
    pub at: Option<SystemTime>,
}

/// A phase that did not succeed.
#[derive(Clone, Debug)]
pub struct FailedPhase {
    name: String,
    messages: Vec<String>,
    is_denied: bool,
}

impl FailedPhase {
    /// From the phase's name and its contexts (code and message).
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

    /// Whether no command of the buildspec has run yet.
    fn is_before_builder(&self) -> bool {
        BEFORE_BUILDER.contains(&self.name.as_str())
    }
}

impl EndedBuild {
    /// The status as text, to follow "build ID ".
    #[must_use]
    pub fn describe(&self) -> String {
        let word = match self.end {
            End::Succeeded => "succeeded",
            End::Failed => "failed (FAILED)",
            End::Fault => "failed because of an internal CodeBuild error (FAULT)",
            End::TimedOut => "timed out (TIMED_OUT)",
            End::Stopped => "was stopped (STOPPED)",
            End::Other => "ended with an unknown status",
        };
        let Some(phase) = &self.phase else {
            return word.to_owned();
        };
        let before = match phase.is_before_builder() {
            true => " before the builder started",
            false => "",
        };
        format!("{word} in phase {}{before}", phase.name)
    }

    /// Whether the build got access denied before the builder ran, for example because the permissions of a new role have not
    /// propagated yet.
    #[must_use]
    pub fn is_early_denial(&self) -> bool {
        let phase = self.phase.as_ref();
        self.end == End::Failed
            && phase.is_some_and(|phase| phase.is_denied && phase.is_before_builder())
    }

    /// The status as text, with CodeBuild's messages.
    #[must_use]
    pub fn describe_with_messages(&self) -> String {
        let messages = self.phase.iter().flat_map(|phase| &phase.messages);
        messages.fold(self.describe(), |how, message| format!("{how}: {message}"))
    }
}

impl State {
    /// From CodeBuild's description.
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
        State::Ended(EndedBuild {
            end,
            result: result
                .and_then(|variable| variable.value())
                .map(str::to_owned),
            phase: build.phases().iter().find_map(failed_phase),
            log_link: build
                .logs()
                .and_then(|logs| logs.deep_link())
                // What CodeBuild returns if there is no log yet.
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

    fn ended(end: End, phase: &str, messages: &[&str]) -> EndedBuild {
        let contexts: Vec<_> = messages.iter().map(|message| ("CODE", *message)).collect();
        of_phase(end, FailedPhase::new(phase, &contexts))
    }

    fn of_phase(end: End, phase: FailedPhase) -> EndedBuild {
        EndedBuild {
            end,
            result: None,
            phase: Some(phase),
            log_link: None,
            attempt: 1,
            at: None,
        }
    }

    #[test]
    fn an_early_failure_says_that_the_builder_did_not_start() {
        let how = ended(End::Failed, "PROVISIONING", &["no capacity"]).describe_with_messages();
        assert_eq!(
            how,
            "failed (FAILED) in phase PROVISIONING before the builder started: no capacity"
        );
        let how = ended(End::TimedOut, "QUEUED", &[]).describe_with_messages();
        assert_eq!(
            how,
            "timed out (TIMED_OUT) in phase QUEUED before the builder started"
        );
        let how = ended(End::Failed, "BUILD", &["exit status 1"]).describe_with_messages();
        assert_eq!(how, "failed (FAILED) in phase BUILD: exit status 1");
    }

    #[test]
    fn access_denied_before_the_builder_is_recognized() {
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
            let ended = of_phase(end, FailedPhase::new(phase, &[(code, message)]));
            assert_eq!(
                ended.is_early_denial(),
                expected,
                "{phase} {code} {message}"
            );
        }
    }
}
