//! Receives CloudFormation's CodeBuild projects from the emulator. In: each project's resolved properties, before it is created
//! or updated, and deletions. Out: CodeBuild's error; and the projects, of which the emulator drops most properties.

use std::{io, sync::Arc};

use bytes::Bytes;
use hyper::{Method, Request, StatusCode};
use soci_testing::http::{Reply, Server};

use super::Emulated;
use crate::{account::Project, codebuild::project::check, iam::Iam};

/// Listens until it is dropped.
///
/// # Errors
/// If no port is available.
pub(super) async fn open(account: Arc<Emulated>, iam: Arc<Iam>) -> io::Result<Server> {
    Server::start(move |request| {
        let (account, iam) = (Arc::clone(&account), Arc::clone(&iam));
        async move {
            match take(&account, &iam, &request).await {
                Ok(()) => Reply::new(StatusCode::OK, Bytes::new()),
                Err(words) => Reply::new(StatusCode::BAD_REQUEST, words),
            }
        }
    })
    .await
}

/// `PUT /NAME` with the properties, or `DELETE /NAME`.
async fn take(account: &Emulated, iam: &Iam, request: &Request<Bytes>) -> Result<(), String> {
    let name = request.uri().path().trim_start_matches('/');
    if request.method() == Method::DELETE {
        account.forget_project(name);
        return Ok(());
    }
    let properties = serde_json::from_slice(request.body()).map_err(|error| error.to_string())?;
    let project = Project::from_properties(name, &properties)
        .ok_or_else(|| "this cloud plays no such project".to_owned())?;
    let checked = check(iam, &project).await;
    checked.map_err(|refused| {
        format!(
            "{refused} (Service: AWSCodeBuild; Status Code: 400; Error Code: InvalidInputException)"
        )
    })?;
    account.keep_project(project);
    Ok(())
}
