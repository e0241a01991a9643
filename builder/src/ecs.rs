//! Running tasks of an ECS cluster. In: the cluster. Out: its tasks, as ECS describes them.

use std::{env, time::Duration};

use aws_config::{BehaviorVersion, SdkConfig};
use reqwest::Url;
use serde_json::{Value, json};
use soci_store::aws;
use soci_tasks::{InvalidTask, Task};

const CONTENT_TYPE: &str = "application/x-amz-json-1.1";
/// Of the API, before the operation's name.
const TARGET: &str = "AmazonEC2ContainerServiceV20141113";
/// ECS returns and describes at most this many tasks at once.
const PAGE: usize = 100;
const TIMEOUT: Duration = Duration::from_secs(30);

/// Why tasks are not known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Nothing says which region.
    #[error("no AWS region is set; set AWS_REGION, or pass the cluster's ARN")]
    NoRegion,
    #[error("{0:?} is not an AWS region")]
    Region(String),
    /// No response.
    #[error("ecs:{operation} failed")]
    Call {
        operation: &'static str,
        source: aws::Error,
    },
    /// An error response.
    #[error("ecs:{operation} failed: {why}")]
    Refused {
        operation: &'static str,
        why: String,
    },
    #[error("cannot read the response of ecs:DescribeTasks")]
    Task(#[from] InvalidTask),
}

/// ECS in a region.
pub(crate) struct Ecs {
    config: SdkConfig,
    http: reqwest::Client,
    region: String,
    endpoint: Url,
}

impl Ecs {
    /// In the region of `cluster`, if it is an ARN, otherwise in the region that the environment or the AWS profile names.
    pub(crate) async fn of(cluster: &str) -> Result<Self, Error> {
        let config = aws_config::defaults(BehaviorVersion::latest()).load().await;
        let region = match aws::region_of(cluster, "ecs") {
            Some(region) => region.to_owned(),
            None => config.region().ok_or(Error::NoRegion)?.to_string(),
        };
        let given = env::var("AWS_ENDPOINT_URL_ECS").ok();
        let given = given.or_else(|| config.endpoint_url().map(str::to_owned));
        let endpoint = match given {
            Some(given) => given.parse().ok(),
            None => aws::endpoint("ecs", &region),
        };
        Ok(Self {
            endpoint: endpoint.ok_or_else(|| Error::Region(region.clone()))?,
            http: reqwest::Client::new(),
            config,
            region,
        })
    }

    /// The running tasks of a cluster, or of one of its services.
    pub(crate) async fn running(
        &self,
        cluster: &str,
        service: Option<&str>,
    ) -> Result<Vec<Task>, Error> {
        let mut tasks = Vec::new();
        let mut next = Value::Null;
        loop {
            let mut request =
                json!({"cluster": cluster, "desiredStatus": "RUNNING", "maxResults": PAGE});
            if let Some(service) = service {
                request["serviceName"] = service.into();
            }
            if !next.is_null() {
                request["nextToken"] = next;
            }
            let page = self.call("ListTasks", &request).await?;
            let arns = page["taskArns"].as_array().cloned().unwrap_or_default();
            if !arns.is_empty() {
                let request = json!({"cluster": cluster, "tasks": arns});
                let described = self.call("DescribeTasks", &request).await?;
                for task in described["tasks"].as_array().into_iter().flatten() {
                    tasks.push(Task::parse(task)?);
                }
            }
            next = page["nextToken"].clone();
            if next.is_null() {
                return Ok(tasks);
            }
        }
    }

    async fn call(&self, operation: &'static str, request: &Value) -> Result<Value, Error> {
        let target = format!("{TARGET}.{operation}");
        let call = aws::Call {
            service: "ecs",
            region: &self.region,
            url: &self.endpoint,
            headers: &[("content-type", CONTENT_TYPE), ("x-amz-target", &target)],
            body: &request.to_string(),
            timeout: TIMEOUT,
        };
        let (status, text) = call
            .send(&self.config, &self.http)
            .await
            .map_err(|source| Error::Call { operation, source })?;
        let value = serde_json::from_str::<Value>(&text);
        match value {
            Ok(value) if status.is_success() => Ok(value),
            value => Err(Error::Refused {
                operation,
                why: refusal(status, &value.unwrap_or_default()),
            }),
        }
    }
}

/// The error code and message of a response.
fn refusal(status: reqwest::StatusCode, response: &Value) -> String {
    let code = response["__type"].as_str().unwrap_or_default();
    let code = code.rsplit('#').next().unwrap_or_default();
    let message = response["message"]
        .as_str()
        .or(response["Message"].as_str());
    match (code, message) {
        ("", _) => format!("status {status}"),
        (code, None) => code.to_owned(),
        (code, Some(message)) => format!("{code}: {message}"),
    }
}
