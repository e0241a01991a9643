//! Running tasks of an ECS cluster. In: the cluster. Out: its tasks, as ECS describes them.
//!
//! The client crate of ECS takes minutes to compile, for two calls. The requests are signed with the crate that the SDK itself uses.

use std::{
    env,
    time::{Duration, SystemTime},
};

use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use reqwest::Url;
use serde_json::{Value, json};
use soci_index::run::chain;
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
    #[error("cannot get AWS credentials: {0}")]
    Credentials(String),
    /// No response.
    #[error("ecs:{operation} failed")]
    Call {
        operation: &'static str,
        source: reqwest::Error,
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
        let region = match region_of(cluster) {
            Some(region) => region.to_owned(),
            None => config.region().ok_or(Error::NoRegion)?.to_string(),
        };
        let given = env::var("AWS_ENDPOINT_URL_ECS").ok();
        let given = given.or_else(|| config.endpoint_url().map(str::to_owned));
        let endpoint = given.unwrap_or_else(|| endpoint(&region));
        Ok(Self {
            endpoint: endpoint
                .parse()
                .map_err(|_| Error::Region(region.clone()))?,
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
        let body = request.to_string();
        let target = format!("{TARGET}.{operation}");
        let mut request = self.http.post(self.endpoint.clone()).timeout(TIMEOUT);
        for (name, value) in self.signature(&target, &body).await? {
            request = request.header(name, value);
        }
        let failed = |source: reqwest::Error| Error::Call {
            operation,
            source: source.without_url(),
        };
        let response = request
            .header("content-type", CONTENT_TYPE)
            .header("x-amz-target", target)
            .body(body)
            .send()
            .await
            .map_err(failed)?;
        let status = response.status();
        let text = response.text().await.map_err(failed)?;
        let value = serde_json::from_str::<Value>(&text);
        match value {
            Ok(value) if status.is_success() => Ok(value),
            value => Err(Error::Refused {
                operation,
                why: refusal(status, &value.unwrap_or_default()),
            }),
        }
    }

    /// The headers of the signature.
    async fn signature(&self, target: &str, body: &str) -> Result<Vec<(String, String)>, Error> {
        let unsigned = |why: &dyn std::error::Error| Error::Credentials(words(why));
        let provider = self.config.credentials_provider();
        let provider = provider.ok_or_else(|| Error::Credentials("none are set".to_owned()))?;
        let credentials = provider.provide_credentials().await;
        let identity = credentials.map_err(|error| unsigned(&error))?.into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("ecs")
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| unsigned(&error))?
            .into();
        let headers = [("content-type", CONTENT_TYPE), ("x-amz-target", target)];
        let body = SignableBody::Bytes(body.as_bytes());
        let url = self.endpoint.as_str();
        let request = SignableRequest::new("POST", url, headers.into_iter(), body);
        let signed = request.and_then(|request| sign(request, &parameters));
        let (instructions, _) = signed.map_err(|error| unsigned(&error))?.into_parts();
        let headers = instructions.headers();
        Ok(headers
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect())
    }
}

/// The SDK lists where it looked for credentials on lines of their own.
fn words(why: &dyn std::error::Error) -> String {
    let why = chain(why);
    why.split_whitespace().collect::<Vec<_>>().join(" ")
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

/// The region of an ARN.
fn region_of(cluster: &str) -> Option<&str> {
    let mut parts = cluster.split(':');
    let is_ecs = parts.next() == Some("arn") && parts.nth(1) == Some("ecs");
    parts.next().filter(|region| is_ecs && !region.is_empty())
}

/// AWS's endpoint. A region has only letters, digits and hyphens, so that credentials go nowhere else.
fn endpoint(region: &str) -> String {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let domain = match region {
        _ if !region.chars().all(is_word) => return String::new(),
        cn if cn.starts_with("cn-") => "amazonaws.com.cn",
        eu if eu.starts_with("eusc-") => "amazonaws.eu",
        _ => "amazonaws.com",
    };
    format!("https://ecs.{region}.{domain}/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_region_is_that_of_the_arn() {
        for (cluster, region) in [
            (
                "arn:aws:ecs:eu-west-1:123456789012:cluster/prod",
                Some("eu-west-1"),
            ),
            ("arn:aws:eks:eu-west-1:123456789012:cluster/prod", None),
            ("arn:aws:ecs::1:cluster/prod", None),
            ("prod", None),
            ("", None),
        ] {
            assert_eq!(region_of(cluster), region, "{cluster}");
        }
    }

    #[test]
    fn credentials_go_to_aws_only() {
        for (region, url) in [
            ("eu-west-1", "https://ecs.eu-west-1.amazonaws.com/"),
            ("cn-north-1", "https://ecs.cn-north-1.amazonaws.com.cn/"),
            ("eusc-de-east-1", "https://ecs.eusc-de-east-1.amazonaws.eu/"),
            ("evil.example/", ""),
        ] {
            assert_eq!(endpoint(region), url);
        }
    }
}
