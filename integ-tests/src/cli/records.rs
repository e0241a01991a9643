//! What a running cloud remembers, for commands that run beside it. In: a running cloud. Out: JSON at an address of loopback.

use std::{io, sync::Arc};

use hyper::StatusCode;
use local_cloud::{
    control_plane::LocalCloud,
    loopback::{Reply, Server},
};
use serde_json::{Value, json};

use super::Failure;

/// Where it is, inside of a running cloud.
pub(super) const VARIABLE: &str = "LOCAL_CLOUD";

/// The served records.
pub(super) struct Records {
    server: Server,
}

impl Records {
    pub(super) async fn serve(cloud: &Arc<LocalCloud>) -> io::Result<Self> {
        // Weak, or the cloud would outlive its owner.
        let cloud = Arc::downgrade(cloud);
        let server = Server::start(move |request| {
            let cloud = cloud.upgrade();
            async move {
                let Some(cloud) = cloud else {
                    return Reply::Cut;
                };
                let found = match request.uri().path() {
                    "/answers" => Some(answers(&cloud)),
                    "/builds" => Some(builds(&cloud)),
                    "/images" => Some(images(&cloud).await),
                    _ => None,
                };
                match found {
                    Some(value) => Reply::new(StatusCode::OK, value.to_string()),
                    None => Reply::new(StatusCode::NOT_FOUND, ""),
                }
            }
        })
        .await?;
        Ok(Self { server })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }
}

/// Asks the running cloud that we are inside of.
pub(super) async fn get(what: &str) -> Result<Value, Failure> {
    let url = std::env::var(VARIABLE)
        .map_err(|_| "this is not inside of a running cloud; see: local-cloud run --help")?;
    let client = reqwest::Client::builder().no_proxy().build()?;
    let answer = client
        .get(format!("{url}/{what}"))
        .send()
        .await?
        .error_for_status()?;
    Ok(serde_json::from_slice(&answer.bytes().await?)?)
}

fn answers(cloud: &LocalCloud) -> Value {
    cloud
        .answers()
        .into_iter()
        .map(|answer| answer.body)
        .collect()
}

fn builds(cloud: &LocalCloud) -> Value {
    let builds = cloud.cloud().codebuild().builds();
    let build = |build: &Arc<local_cloud::codebuild::build::Build>| {
        let status = build
            .status()
            .map_or("IN_PROGRESS".to_owned(), |status| status.name().to_owned());
        json!({ "id": build.id(), "status": status, "log": build.log() })
    };
    builds.iter().map(build).collect()
}

/// Each repository's tags.
async fn images(cloud: &LocalCloud) -> Value {
    let repositories = cloud.account().repositories().await.unwrap_or_default();
    let tags = |name: String| {
        let tags: Vec<_> = cloud.cloud().ecr().tags(&name).into_keys().collect();
        (name, json!(tags.join(", ")))
    };
    Value::Object(repositories.into_iter().map(tags).collect())
}
