//! What an AWS account knows, as far as CodeBuild, ECR and IAM ask: repositories, projects, objects, roles and their policies.
//! Two kinds: the emulator's (`control_plane`), and one with given contents for tests of a single part (`template`).

use std::{collections::BTreeMap, future::Future, pin::Pin, time::Duration};

use bytes::Bytes;
use serde_json::Value;

/// The account of every local run.
pub const ACCOUNT_ID: &str = "000000000000";
/// The region of every local run.
pub const REGION: &str = "us-east-1";

/// An answer that may take a while.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// An ECR repository's settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repository {
    /// Whether a tag that is there may not be put again.
    pub immutable_tags: bool,
}

/// A CodeBuild project, all references resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// Its name.
    pub name: String,
    /// Bucket and key of its source, a zip.
    pub source: (String, String),
    /// Its buildspec, as the template has it (YAML, or JSON, which is YAML).
    pub buildspec: String,
    /// ARN of the role that its builds have.
    pub service_role: String,
    /// Its environment variables.
    pub environment: BTreeMap<String, String>,
    /// How long a build may run.
    pub timeout: Duration,
    /// How long a build may wait for its start.
    pub queued_timeout: Duration,
    /// Its CloudWatch log group.
    pub log_group: Option<String>,
}

/// What an account holds. Nothing is `None` but what is not there.
pub trait Account: Send + Sync {
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
}
