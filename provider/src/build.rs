//! Builds of the CodeBuild project: started, found again, watched, stopped.
//! In: names and the builder's arguments. Out: what CodeBuild knows of a build, in our words. Decides nothing.

use std::time::SystemTime;

use aws_sdk_codebuild::{
    Client,
    types::{
        Build, BuildPhase, EnvironmentVariable, EnvironmentVariableType, SortOrderType, StatusType,
    },
};
use soci_format::digest::Digest;

use crate::{
    call::{CallError, Named},
    event::Sender,
    plan::KnownBuild,
};

const ARGUMENTS: &str = "SOCI_ARGUMENTS";
const REQUEST_ID: &str = "SOCI_REQUEST_ID";
const RESOURCE: &str = "SOCI_RESOURCE";
/// There only where the request is answered at the build's start.
const NOBODY_WAITS: &str = "SOCI_NOBODY_WAITS";
/// What the buildspec exports: the builder's standard output.
const RESULT: &str = "SOCI_RESULT";

/// The builds of a project.
#[derive(Clone, Debug)]
pub struct Builds {
    client: Client,
    /// The project's name.
    pub project: String,
}

/// A build, as far as it is known.
#[derive(Clone, Debug)]
pub enum State {
    /// It has not ended.
    Running {
        /// Its phase.
        phase: String,
    },
    /// It has.
    Ended(Ending),
    /// CodeBuild does not know it: not yet, or not any more.
    Unknown,
}

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
}

/// A phase that did not end well.
#[derive(Clone, Debug)]
pub struct FailedPhase {
    name: String,
    messages: Vec<String>,
}

impl FailedPhase {
    /// CodeBuild's name of the phase, and what it says of it.
    #[must_use]
    pub fn new(name: &str, messages: &[&str]) -> Self {
        let messages = messages.iter().map(|text| text.trim());
        Self {
            name: name.to_owned(),
            messages: messages
                .filter(|text| !text.is_empty())
                .map(str::to_owned)
                .collect(),
        }
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
        // In these no line of the buildspec has run, and there is no log to look into.
        let before = match phase.name.as_str() {
            "QUEUED" | "SUBMITTED" | "PROVISIONING" => ", before the builder was started",
            _ => "",
        };
        format!("{word} in the phase {}{before}", phase.name)
    }

    /// The same, with what CodeBuild says of it.
    #[must_use]
    pub fn how_and_why(&self) -> String {
        let messages = self.phase.iter().flat_map(|phase| &phase.messages);
        messages.fold(self.how(), |how, message| format!("{how}: {message}"))
    }
}

impl Builds {
    /// The builds of `project`.
    #[must_use]
    pub fn of(client: Client, project: &str) -> Self {
        Self {
            client,
            project: project.to_owned(),
        }
    }

    /// The latest builds, at most a page of 100: those of a request that is still waited for are among them.
    ///
    /// # Errors
    /// Where CodeBuild does not answer.
    pub async fn latest(&self) -> Result<Vec<KnownBuild>, CallError> {
        let listed = self
            .client
            .list_builds_for_project()
            .project_name(&self.project)
            .sort_order(SortOrderType::Descending)
            .send()
            .await
            .named("CodeBuild ListBuildsForProject")?;
        let ids = listed.ids.unwrap_or_default();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let builds = self
            .client
            .batch_get_builds()
            .set_ids(Some(ids))
            .send()
            .await
            .named("CodeBuild BatchGetBuilds")?;
        Ok(builds.builds().iter().filter_map(known).collect())
    }

    /// Starts a build for a request and gives its id; the same request within minutes gives the same build.
    ///
    /// # Errors
    /// Where CodeBuild does not start it.
    pub async fn start(
        &self,
        sender: &Sender,
        arguments: &str,
        is_waited_for: bool,
    ) -> Result<String, CallError> {
        const OPERATION: &str = "CodeBuild StartBuild";
        let variable = |name: &str, value: &str| {
            EnvironmentVariable::builder()
                .name(name)
                .value(value)
                .r#type(EnvironmentVariableType::Plaintext)
                .build()
                .map_err(|error| CallError::new(OPERATION, error.to_string()))
        };
        let mut variables = vec![
            variable(ARGUMENTS, arguments)?,
            variable(REQUEST_ID, &sender.request_id)?,
            variable(RESOURCE, &sender.resource())?,
        ];
        if !is_waited_for {
            variables.push(variable(NOBODY_WAITS, "true")?);
        }
        let started = self
            .client
            .start_build()
            .project_name(&self.project)
            .idempotency_token(token(sender))
            .set_environment_variables_override(Some(variables))
            .send()
            .await
            .named(OPERATION)?;
        let id = started.build_value.and_then(|build| build.id);
        id.ok_or_else(|| CallError::new(OPERATION, "the answer names no build"))
    }

    /// Looks at a build.
    ///
    /// # Errors
    /// Where CodeBuild does not answer.
    pub async fn look(&self, id: &str) -> Result<State, CallError> {
        let builds = self
            .client
            .batch_get_builds()
            .ids(id)
            .send()
            .await
            .named("CodeBuild BatchGetBuilds")?;
        Ok(builds.builds().first().map_or(State::Unknown, state))
    }

    /// Stops a build; one that has ended stays as it is.
    ///
    /// # Errors
    /// Where CodeBuild does not do so.
    pub async fn stop(&self, id: &str) -> Result<(), CallError> {
        let stopped = self.client.stop_build().id(id).send().await;
        match stopped.named("CodeBuild StopBuild") {
            Err(error) if error.is_not_found() => Ok(()),
            other => other.map(|_| ()),
        }
    }
}

/// The same for every delivery of a request.
fn token(sender: &Sender) -> String {
    let names = [&sender.stack_id, &sender.logical_id, &sender.request_id];
    // No name has a line break, so that no two requests have one text.
    Digest::of(names.map(String::as_str).join("\n").as_bytes()).hex()
}

fn known(build: &Build) -> Option<KnownBuild> {
    let variables = build
        .environment()
        .map_or(&[][..], |environment| environment.environment_variables());
    let value = |name: &str| {
        let found = variables.iter().find(|variable| variable.name() == name);
        found.map(|variable| variable.value().to_owned())
    };
    Some(KnownBuild {
        id: build.id()?.to_owned(),
        request_id: value(REQUEST_ID),
        resource: value(RESOURCE),
        started: build
            .start_time()
            .and_then(|time| SystemTime::try_from(*time).ok()),
        is_running: matches!(build.build_status(), Some(StatusType::InProgress) | None),
        is_waited_for: value(NOBODY_WAITS).is_none(),
    })
}

fn state(build: &Build) -> State {
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
    })
}

fn failed_phase(phase: &BuildPhase) -> Option<FailedPhase> {
    if matches!(
        phase.phase_status()?,
        StatusType::Succeeded | StatusType::InProgress
    ) {
        return None;
    }
    let messages: Vec<&str> = phase
        .contexts()
        .iter()
        .filter_map(|context| context.message())
        .collect();
    let name = phase.phase_type().map_or("UNKNOWN", |name| name.as_str());
    Some(FailedPhase::new(name, &messages))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ending(end: End, phase: &str, messages: &[&str]) -> Ending {
        Ending {
            end,
            result: None,
            phase: Some(FailedPhase::new(phase, messages)),
            log_link: None,
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
}
