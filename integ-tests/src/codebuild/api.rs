//! CodeBuild's API: the four actions that the provider uses.
//! In: calls. Out: AWS's responses or errors. Starts runs without waiting for them.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use serde_json::{Value, json};

use super::{Started, State, build::Build, lengths, queue::Full, run};
use crate::{
    account::{ACCOUNT_ID, Project, REGION},
    cloud::call::{Call, Refused},
    iam::Caller,
};

/// The limit of `BatchGetBuilds`.
const IDS_MAX: usize = 100;
/// Emulated parameters of `StartBuild`.
const START_PARAMETERS: [&str; 3] = [
    "projectName",
    "environmentVariablesOverride",
    "idempotencyToken",
];

/// Handles a call if IAM allows it.
pub(super) async fn act(state: Arc<State>, call: Arc<Call>) -> Result<Value, Refused> {
    match call.action.as_str() {
        "StartBuild" => start(&state, &call).await,
        "BatchGetBuilds" => get(&state, &call).await,
        "ListBuildsForProject" => list(&state, &call).await,
        "StopBuild" => stop(&state, &call).await,
        other => Err(Refused::unplayed(other)),
    }
}

/// Checks the right to do that with builds of that project.
async fn check(state: &State, call: &Call, project: &str) -> Result<(), Refused> {
    let action = format!("codebuild:{}", call.action);
    let arn = project_arn(project);
    Ok(state.iam.check(&call.caller, &action, &arn).await?)
}

fn project_arn(name: &str) -> String {
    format!("arn:aws:codebuild:{REGION}:{ACCOUNT_ID}:project/{name}")
}

/// A project's name, also where its ARN is given.
fn project_name(call: &Call) -> String {
    let given = call.text("projectName");
    given.rsplit(":project/").next().unwrap_or(given).to_owned()
}

async fn project(state: &State, name: &str) -> Result<Project, Refused> {
    state.account.project(name).await.ok_or_else(|| {
        let message = format!("Project cannot be found: {}", project_arn(name));
        Refused::new("ResourceNotFoundException", message)
    })
}

async fn start(state: &Arc<State>, call: &Call) -> Result<Value, Refused> {
    let name = project_name(call);
    check(state, call, &name).await?;
    let parameters = call.input.as_object().cloned().unwrap_or_default();
    let mut names = parameters.keys();
    if let Some(other) = names.find(|name| !START_PARAMETERS.contains(&name.as_str())) {
        return Err(Refused::unplayed(&format!("StartBuild's {other}")));
    }
    let project = project(state, &name).await?;
    let environment = environment(&project, &call.input["environmentVariablesOverride"])?;
    // Between looking and noting nobody else may come.
    let mut builds = state.builds();
    if let Some(token) = call.input["idempotencyToken"].as_str() {
        let window = state.options.idempotency_window;
        let held = |one: &&Started| one.token.as_deref() == Some(token);
        let fresh = |one: &&Started| one.at.elapsed() < window && !one.forgotten;
        if let Some(earlier) = builds.iter().rev().find(|one| held(one) && fresh(one)) {
            return match earlier.input == call.input {
                true => Ok(json!({"build": earlier.build.json()})),
                false => Err(Refused::new(
                    "InvalidInputException",
                    "Idempotency token was already used with other parameters",
                )),
            };
        }
    }
    let place = state.queue.join().map_err(|Full { limit }| {
        Refused::new(
            "AccountLimitExceededException",
            format!("Cannot have more than {limit} builds in queue for the account"),
        )
    })?;
    let of_project = builds.iter().filter(|one| one.build.project_name() == name);
    let number = of_project.count() as u64 + 1;
    let initiator = match &call.caller {
        Caller::Role { session, .. } => session.clone(),
        other => other.to_string(),
    };
    let build = Build::new(project, number, initiator, environment);
    let build = Arc::new(build.map_err(|error| Refused::broken(error.to_string()))?);
    let run = run::run(state.clone(), build.clone(), place, state.script());
    builds.push(Started {
        build: build.clone(),
        token: call.input["idempotencyToken"].as_str().map(str::to_owned),
        input: call.input.clone(),
        at: Instant::now(),
        forgotten: false,
        run: tokio::spawn(run).abort_handle(),
    });
    Ok(json!({"build": build.json()}))
}

/// The project's variables with the overrides.
fn environment(project: &Project, overrides: &Value) -> Result<BTreeMap<String, String>, Refused> {
    let mut environment = project.environment.clone();
    for one in overrides.as_array().into_iter().flatten() {
        let kind = one["type"].as_str().unwrap_or("PLAINTEXT");
        match (one["name"].as_str(), one["value"].as_str()) {
            (Some(name), Some(value)) if kind == "PLAINTEXT" => {
                lengths::check_variable(name, value)?;
                environment.insert(name.to_owned(), value.to_owned());
            }
            _ => {
                let message = format!("Invalid environment variable: {}", one["name"]);
                return Err(Refused::new("InvalidInputException", message));
            }
        }
    }
    Ok(environment)
}

async fn get(state: &State, call: &Call) -> Result<Value, Refused> {
    let ids = call.texts("ids");
    if ids.is_empty() || ids.len() > IDS_MAX {
        let message = format!("1 to {IDS_MAX} build ids are allowed");
        return Err(Refused::new("InvalidInputException", message));
    }
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for id in ids {
        check(state, call, of_project(&id)).await?;
        match state.find(&id) {
            Some(build) => {
                build.knock();
                found.push(build.json());
            }
            None => missing.push(id),
        }
    }
    Ok(json!({"builds": found, "buildsNotFound": missing}))
}

/// The project of a build's id or ARN.
fn of_project(id: &str) -> &str {
    let id = id.rsplit(":build/").next().unwrap_or(id);
    id.split(':').next().unwrap_or(id)
}

async fn list(state: &State, call: &Call) -> Result<Value, Refused> {
    let name = project_name(call);
    check(state, call, &name).await?;
    project(state, &name).await?;
    let mut ids: Vec<String> = {
        let builds = state.builds();
        let builds = builds.iter().map(|one| &one.build);
        let builds = builds.filter(|build| build.project_name() == name);
        builds.map(|build| build.id().to_owned()).collect()
    };
    // Newest first, unless asked otherwise.
    if call.text("sortOrder") != "ASCENDING" {
        ids.reverse();
    }
    // The token is the last id of the page before: builds that come in between shift nothing.
    let from = match call.text("nextToken") {
        "" => 0,
        token => {
            let last = ids.iter().position(|id| id == token);
            last.map(|at| at + 1)
                .ok_or_else(|| Refused::new("InvalidInputException", "Invalid nextToken"))?
        }
    };
    let page: Vec<_> = ids[from..]
        .iter()
        .take(state.options.page)
        .cloned()
        .collect();
    let more = from + page.len() < ids.len();
    let next = page.last().filter(|_| more).cloned();
    Ok(json!({"ids": page, "nextToken": next}))
}

async fn stop(state: &State, call: &Call) -> Result<Value, Refused> {
    let id = call.text("id");
    check(state, call, of_project(id)).await?;
    let build = state.find(id).ok_or_else(|| {
        let message = format!("Build not found: {id}");
        Refused::new("ResourceNotFoundException", message)
    })?;
    build.stop();
    Ok(json!({"build": build.json()}))
}
