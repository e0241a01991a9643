//! The records of a running cloud, as JSON on loopback, for other commands.

use std::{future, io, sync::Arc};

use hyper::StatusCode;
use local_cloud::{account::Account, control_plane::LocalCloud};
use serde_json::{Value, json};
use soci_testing::http::{Reply, Server};
use tokio::sync::Notify;

use super::Failure;

/// Where it is, inside of a running cloud.
pub(super) const VARIABLE: &str = "LOCAL_CLOUD";

/// The served records.
pub(super) struct Records {
    server: Server,
    stop: Arc<Notify>,
}

impl Records {
    pub(super) async fn serve(cloud: &Arc<LocalCloud>) -> io::Result<Self> {
        // Weak, or the cloud would outlive its owner.
        let cloud = Arc::downgrade(cloud);
        let stop = Arc::new(Notify::new());
        let asked = Arc::clone(&stop);
        let server = Server::start(move |request| {
            let (cloud, asked) = (cloud.upgrade(), Arc::clone(&asked));
            async move {
                if request.uri().path() == "/stop" {
                    asked.notify_one();
                    // Whoever asks waits for the end of the connection, which is the end of the cloud.
                    drop(cloud);
                    return future::pending().await;
                }
                let Some(cloud) = cloud else {
                    return Reply::Cut;
                };
                let found = match request.uri().path() {
                    "/responses" => Some(responses(&cloud)),
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
        Ok(Self { server, stop })
    }

    /// Waits for a request to stop the cloud.
    pub(super) async fn asked_to_stop(&self) {
        self.stop.notified().await;
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }
}

/// Asks the running cloud that we are inside of.
pub(super) async fn get(what: &str) -> Result<Value, Failure> {
    let answer = request(what)?.send().await?.error_for_status()?;
    Ok(serde_json::from_slice(&answer.bytes().await?)?)
}

/// Asks the running cloud that we are inside of to stop, and waits until it has.
pub(super) async fn stop() -> Result<(), Failure> {
    match request("stop")?.send().await {
        Err(error) if error.is_connect() => Err(error.into()),
        _ => Ok(()),
    }
}

fn request(what: &str) -> Result<reqwest::RequestBuilder, Failure> {
    let url = std::env::var(VARIABLE)
        .map_err(|_| "this is not inside of a running cloud; see: local-cloud run --help")?;
    let client = reqwest::Client::builder().no_proxy().build()?;
    Ok(client.get(format!("{url}/{what}")))
}

fn responses(cloud: &LocalCloud) -> Value {
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
    let repositories = cloud.account().repositories().await;
    let tags = |name: String| {
        let tags: Vec<_> = cloud.cloud().ecr().tags(&name).into_keys().collect();
        (name, json!(tags.join(", ")))
    };
    Value::Object(repositories.into_iter().map(tags).collect())
}
