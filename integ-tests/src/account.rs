//! The contents of an AWS account that CodeBuild, ECR and IAM need: repositories, projects, objects, roles and their policies.
//! Two implementations: the emulator's account (`control_plane`), and fixed contents for tests of a single service (`template`).

mod project;

use std::{future::Future, pin::Pin};

use bytes::Bytes;
use serde_json::Value;

pub use project::{Machine, Network, Project};

/// The account of every local run.
pub const ACCOUNT_ID: &str = "000000000000";
/// The region of every local run.
pub const REGION: &str = "us-east-1";

/// The host name of the account's ECR registry.
pub fn registry_host() -> String {
    format!("{ACCOUNT_ID}.dkr.ecr.{REGION}.amazonaws.com")
}

/// The ARN of an ECR repository.
pub fn repository_arn(name: &str) -> String {
    format!("arn:aws:ecr:{REGION}:{ACCOUNT_ID}:repository/{name}")
}

/// An asynchronous result.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// An ECR repository's settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repository {
    /// Whether tags are immutable.
    pub immutable_tags: bool,
}

/// An event that an AWS service sends to EventBridge's default bus, which adds the rest of the envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The service: `aws.ecr`.
    pub source: String,
    /// What kind of event: `ECR Image Action`.
    pub detail_type: String,
    /// ARNs.
    pub resources: Vec<String>,
    /// What happened.
    pub detail: Value,
}

/// The contents of an account. `None` means not found.
pub trait Account: Send + Sync {
    /// Takes an event of a service. Without an EventBridge, it is gone.
    ///
    /// # Errors
    /// EventBridge rejects it.
    fn take_event<'a>(&'a self, event: &'a Event) -> Later<'a, Result<(), String>> {
        let _ = event;
        Box::pin(async { Ok(()) })
    }
    /// Names of all ECR repositories, in order.
    fn repositories(&self) -> Later<'_, Vec<String>>;
    /// The ECR repository of that name.
    fn repository<'a>(&'a self, name: &'a str) -> Later<'a, Option<Repository>>;
    /// The CodeBuild project of that name.
    fn project<'a>(&'a self, name: &'a str) -> Later<'a, Option<Project>>;
    /// An S3 object's bytes.
    fn object<'a>(&'a self, bucket: &'a str, key: &'a str) -> Later<'a, Option<Bytes>>;
    /// ARN of the role of the Lambda function of that name.
    fn function_role<'a>(&'a self, name: &'a str) -> Later<'a, Option<String>>;
    /// The policy documents of a role, inline and managed, by its ARN.
    fn policies<'a>(&'a self, role_arn: &'a str) -> Later<'a, Vec<Value>>;
    /// The same as it was a moment ago, where that costs less.
    fn recent_policies<'a>(&'a self, role_arn: &'a str) -> Later<'a, Vec<Value>> {
        self.policies(role_arn)
    }
}
