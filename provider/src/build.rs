//! Builds of the CodeBuild project: start, find, watch and stop them.
//! In: names and the builder's arguments. Out: the state of a build, as our own types. Makes no decisions.

mod ended_build;

use std::time::SystemTime;

use aws_sdk_codebuild::{
    Client,
    types::{Build, EnvironmentVariable, EnvironmentVariableType, SortOrderType, StatusType},
};
use soci_format::digest::Digest;

pub use ended_build::{End, EndedBuild, FailedPhase};

use crate::{
    call::{CallError, Named},
    event::RequestContext,
    plan::KnownBuild,
};

const ARGUMENTS: &str = "SOCI_ARGUMENTS";
const REQUEST_ID: &str = "SOCI_REQUEST_ID";
const RESOURCE: &str = "SOCI_RESOURCE";
/// Set only if the response does not wait for the build (`WaitForIndex` is `false`).
const BACKGROUND: &str = "SOCI_BACKGROUND";
/// Set only on the second build of a request.
const ATTEMPT: &str = "SOCI_ATTEMPT";

/// The builds of a project.
#[derive(Clone, Debug)]
pub struct Builds {
    client: Client,
    /// The project's name.
    pub project: String,
}

/// A build to start.
#[derive(Clone, Copy, Debug)]
pub struct BuildRequest<'a> {
    /// The request it belongs to.
    pub context: &'a RequestContext,
    /// The builder's arguments, encoded for environment variables.
    pub arguments: &'a [String],
    /// 1 for the request's first build.
    pub attempt: u8,
    /// Whether the response waits for the build to end.
    pub is_waited_for: bool,
}

/// The state of a build.
#[derive(Clone, Debug)]
pub enum State {
    /// Not complete yet.
    Running {
        /// Its phase.
        phase: String,
    },
    /// Complete.
    Ended(EndedBuild),
    /// Not found in CodeBuild: not visible yet, or deleted.
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

    /// The latest builds, at most one page of 100. That includes all builds of a pending request.
    ///
    /// # Errors
    /// If the call fails.
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

    /// Starts a build and returns its id. Repeating the call within minutes returns the same build (idempotency token).
    ///
    /// # Errors
    /// If CodeBuild does not start it.
    pub async fn start(&self, build_request: &BuildRequest<'_>) -> Result<String, CallError> {
        const OPERATION: &str = "CodeBuild StartBuild";
        let variable = |name: &str, value: &str| {
            EnvironmentVariable::builder()
                .name(name)
                .value(value)
                .r#type(EnvironmentVariableType::Plaintext)
                .build()
                .map_err(|error| CallError::new(OPERATION, error.to_string()))
        };
        let context = build_request.context;
        let mut variables = Vec::new();
        for (at, part) in build_request.arguments.iter().enumerate() {
            let name = match at {
                0 => ARGUMENTS.to_owned(),
                _ => format!("{ARGUMENTS}_{}", at + 1),
            };
            variables.push(variable(&name, part)?);
        }
        variables.push(variable(REQUEST_ID, &context.request_id)?);
        variables.push(variable(RESOURCE, &context.resource())?);
        if !build_request.is_waited_for {
            variables.push(variable(BACKGROUND, "true")?);
        }
        if build_request.attempt > 1 {
            variables.push(variable(ATTEMPT, &build_request.attempt.to_string())?);
        }
        let started = self
            .client
            .start_build()
            .project_name(&self.project)
            .idempotency_token(token(build_request))
            .set_environment_variables_override(Some(variables))
            .send()
            .await
            .named(OPERATION)?;
        let id = started.build_value.and_then(|build| build.id);
        id.ok_or_else(|| CallError::new(OPERATION, "the response contains no build id"))
    }

    /// Gets the state of a build.
    ///
    /// # Errors
    /// If the call fails.
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

    /// Requests that a build stops and returns its state, which may still be running. A completed build is not changed.
    ///
    /// # Errors
    /// If CodeBuild does not stop it.
    pub async fn stop(&self, id: &str) -> Result<State, CallError> {
        let stopped = self.client.stop_build().id(id).send().await;
        match stopped.named("CodeBuild StopBuild") {
            Err(error) if error.is_not_found() => Ok(State::Unknown),
            other => other.map(|stopped| stopped.build_value().map_or(State::Unknown, State::of)),
        }
    }
}

/// The same for every delivery of the same event.
fn token(build_request: &BuildRequest<'_>) -> String {
    let context = build_request.context;
    let names = [&context.stack_id, &context.logical_id, &context.request_id];
    // The names have no line breaks, so the text is unique per request.
    let mut text = names.map(String::as_str).join("\n");
    if build_request.attempt > 1 {
        text += &format!("\n{}", build_request.attempt);
    }
    Digest::of(text.as_bytes()).hex()
}

/// A variable of a build's environment.
fn variable<'a>(build: &'a Build, name: &str) -> Option<&'a str> {
    let variables = build.environment()?.environment_variables();
    let found = variables.iter().find(|variable| variable.name() == name)?;
    Some(found.value())
}

/// Whether it is the first or the second build of its request.
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
        is_waited_for: variable(build, BACKGROUND).is_none(),
    })
}
