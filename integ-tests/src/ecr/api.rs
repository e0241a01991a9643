//! ECR's API: the actions that the provider, the builder, the `cdk` CLI and tests use.
//! In: calls. Out: AWS's responses or errors.

pub(super) mod images;
mod page;

use std::{sync::Arc, time::SystemTime};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use super::{state::State, upstream};
use crate::{
    account::{ACCOUNT_ID, Repository, registry_host, repository_arn},
    cloud::call::{Call, Refused, seconds},
};

impl From<upstream::Error> for Refused {
    fn from(error: upstream::Error) -> Self {
        Self::broken(error.to_string())
    }
}

/// Actions on one repository.
const ON_A_REPOSITORY: [&str; 8] = [
    "BatchCheckLayerAvailability",
    "BatchDeleteImage",
    "BatchGetImage",
    "DescribeImages",
    "GetDownloadUrlForLayer",
    "ListImageReferrers",
    "ListImages",
    "PutImage",
];

/// Handles a call if IAM allows it.
pub(super) async fn act(state: Arc<State>, call: Arc<Call>) -> Result<Value, Refused> {
    let state = &*state;
    let call = &*call;
    if call.action == "GetAuthorizationToken" {
        state
            .iam
            .check(&call.caller, "ecr:GetAuthorizationToken", "*")
            .await?;
        return Ok(token(state, call));
    }
    if call.action == "DescribeRepositories" {
        return repositories(state, call).await;
    }
    if !ON_A_REPOSITORY.contains(&call.action.as_str()) {
        return Err(Refused::unplayed(&call.action));
    }
    let name = call.text("repositoryName");
    let permission = match call.action.as_str() {
        // As its documentation says.
        "ListImageReferrers" => "ecr:BatchGetImage".to_owned(),
        action => format!("ecr:{action}"),
    };
    let arn = repository_arn(name);
    state.iam.check(&call.caller, &permission, &arn).await?;
    let repository = known(state, name).await?;
    match call.action.as_str() {
        "BatchCheckLayerAvailability" => images::layers(state, call).await,
        "BatchDeleteImage" => super::deletion::delete(state, call),
        "BatchGetImage" => images::get(state, call).await,
        "DescribeImages" => images::describe(state, call),
        "GetDownloadUrlForLayer" => images::address(state, call).await,
        "ListImageReferrers" => images::referrers(state, call),
        "ListImages" => images::list(state, call),
        "PutImage" => images::put(state, call, &repository).await,
        other => Err(Refused::unplayed(other)),
    }
}

async fn known(state: &State, name: &str) -> Result<Repository, Refused> {
    state.repository(name).await.ok_or_else(|| {
        Refused::new(
            "RepositoryNotFoundException",
            format!(
                "The repository with name '{name}' does not exist in the registry with id '{ACCOUNT_ID}'"
            ),
        )
    })
}

fn token(state: &State, call: &Call) -> Value {
    let token = state.tokens.issue(call.caller.clone());
    let until = SystemTime::now() + state.tokens.lifetime();
    json!({"authorizationData": [{
        "authorizationToken": BASE64_STANDARD.encode(format!("AWS:{token}")),
        "expiresAt": seconds(until),
        "proxyEndpoint": format!("https://{}", registry_host()),
    }]})
}

async fn repositories(state: &State, call: &Call) -> Result<Value, Refused> {
    let mut names = call.texts("repositoryNames");
    // Without names the right to all of them is needed.
    let all = vec!["*".to_owned()];
    for name in if names.is_empty() { &all } else { &names } {
        let arn = repository_arn(name);
        let action = "ecr:DescribeRepositories";
        state.iam.check(&call.caller, action, &arn).await?;
    }
    let mut next = None;
    if names.is_empty() {
        let all = state.account.repositories().await;
        let (some, token) = page::page(state, call, &all)?;
        (names, next) = (some.to_vec(), token);
    }
    let mut found = Vec::new();
    for name in names {
        let repository = known(state, &name).await?;
        found.push(json!({
            "repositoryArn": repository_arn(&name),
            "registryId": ACCOUNT_ID,
            "repositoryName": name,
            "repositoryUri": format!("{}/{name}", registry_host()),
            "createdAt": 0,
            "imageTagMutability": if repository.immutable_tags { "IMMUTABLE" } else { "MUTABLE" },
            "imageScanningConfiguration": {"scanOnPush": false},
            "encryptionConfiguration": {"encryptionType": "AES256"},
        }));
    }
    Ok(json!({"repositories": found, "nextToken": next}))
}
