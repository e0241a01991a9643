//! Builds of the CodeBuild project: started, found again, watched, stopped.
//! In: names and the builder's arguments. Out: what CodeBuild knows of a build, in our words. Decides nothing.

mod ending;

use std::time::SystemTime;

use aws_sdk_codebuild::{
    Client,
    types::{Build, EnvironmentVariable, EnvironmentVariableType, SortOrderType, StatusType},
};
use soci_format::digest::Digest;

pub use ending::{End, Ending, FailedPhase};

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
/// There only on a request's second build.
const ATTEMPT: &str = "SOCI_ATTEMPT";

/// The builds of a project.
#[derive(Clone, Debug)]
pub struct Builds {
    client: Client,
    /// The project's name.
    pub project: String,
}

/// A build that is to be started.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// Whose it is.
    pub sender: &'a Sender,
    /// The builder's arguments, as the environment has them.
    pub arguments: &'a [String],
    /// 1 for the request's first build.
    pub attempt: u8,
    /// Whether the request is answered at the build's end.
    pub is_waited_for: bool,
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
    pub async fn start(&self, order: &Order<'_>) -> Result<String, CallError> {
        const OPERATION: &str = "CodeBuild StartBuild";
        let variable = |name: &str, value: &str| {
            EnvironmentVariable::builder()
                .name(name)
                .value(value)
                .r#type(EnvironmentVariableType::Plaintext)
                .build()
                .map_err(|error| CallError::new(OPERATION, error.to_string()))
        };
        let sender = order.sender;
        let mut variables = Vec::new();
        for (at, part) in order.arguments.iter().enumerate() {
            let name = match at {
                0 => ARGUMENTS.to_owned(),
                _ => format!("{ARGUMENTS}_{}", at + 1),
            };
            variables.push(variable(&name, part)?);
        }
        variables.push(variable(REQUEST_ID, &sender.request_id)?);
        variables.push(variable(RESOURCE, &sender.resource())?);
        if !order.is_waited_for {
            variables.push(variable(NOBODY_WAITS, "true")?);
        }
        if order.attempt > 1 {
            variables.push(variable(ATTEMPT, &order.attempt.to_string())?);
        }
        let started = self
            .client
            .start_build()
            .project_name(&self.project)
            .idempotency_token(token(order))
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
        Ok(builds.builds().first().map_or(State::Unknown, State::of))
    }

    /// Has a build stopped; one that has ended stays as it is. Gives its state, which may still be a running one.
    ///
    /// # Errors
    /// Where CodeBuild does not do so.
    pub async fn stop(&self, id: &str) -> Result<State, CallError> {
        let stopped = self.client.stop_build().id(id).send().await;
        match stopped.named("CodeBuild StopBuild") {
            Err(error) if error.is_not_found() => Ok(State::Unknown),
            other => other.map(|stopped| stopped.build_value().map_or(State::Unknown, State::of)),
        }
    }
}

/// The same for every delivery of a request.
fn token(order: &Order<'_>) -> String {
    let sender = order.sender;
    let names = [&sender.stack_id, &sender.logical_id, &sender.request_id];
    // No name has a line break, so that no two requests have one text.
    let mut text = names.map(String::as_str).join("\n");
    if order.attempt > 1 {
        text += &format!("\n{}", order.attempt);
    }
    Digest::of(text.as_bytes()).hex()
}

/// A variable of a build's environment.
fn variable<'a>(build: &'a Build, name: &str) -> Option<&'a str> {
    let variables = build.environment()?.environment_variables();
    let found = variables.iter().find(|variable| variable.name() == name)?;
    Some(found.value())
}

/// Which of its request's builds it is.
fn attempt(build: &Build) -> u8 {
    let attempt = variable(build, ATTEMPT).and_then(|attempt| attempt.parse().ok());
    attempt.unwrap_or(1)
}

fn known(build: &Build) -> Option<KnownBuild> {
    let value = |name: &str| variable(build, name).map(str::to_owned);
    Some(KnownBuild {
        id: build.id()?.to_owned(),
        request_id: value(REQUEST_ID),
        resource: value(RESOURCE),
        attempt: attempt(build),
        started: build
            .start_time()
            .and_then(|time| SystemTime::try_from(*time).ok()),
        is_running: matches!(build.build_status(), Some(StatusType::InProgress) | None),
        is_waited_for: variable(build, NOBODY_WAITS).is_none(),
    })
}
