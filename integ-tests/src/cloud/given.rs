//! An account with fixed contents, for tests of a single service.
//! In: its contents. Out: an account. Validates nothing.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    time::Duration,
};

use bytes::Bytes;
use serde_json::{Value, json};
use zip::{ZipWriter, write::SimpleFileOptions};

use crate::account::{ACCOUNT_ID, Account, Later, Machine, Project, REGION, Repository};

/// The contents.
#[derive(Clone, Debug, Default)]
pub struct Given {
    repositories: BTreeMap<String, Repository>,
    projects: BTreeMap<String, Project>,
    objects: BTreeMap<(String, String), Bytes>,
    functions: BTreeMap<String, String>,
    policies: BTreeMap<String, Vec<Value>>,
}

impl Given {
    /// An empty account.
    pub fn new() -> Self {
        Self::default()
    }

    /// With a repository.
    #[must_use]
    pub fn repository(mut self, name: &str, immutable_tags: bool) -> Self {
        let repository = Repository { immutable_tags };
        self.repositories.insert(name.to_owned(), repository);
        self
    }

    /// With a project.
    #[must_use]
    pub fn project(mut self, project: Project) -> Self {
        self.projects.insert(project.name.clone(), project);
        self
    }

    /// With an object.
    #[must_use]
    pub fn object(mut self, bucket: &str, key: &str, bytes: impl Into<Bytes>) -> Self {
        let name = (bucket.to_owned(), key.to_owned());
        self.objects.insert(name, bytes.into());
        self
    }

    /// With a function.
    #[must_use]
    pub fn function(mut self, name: &str, role: &str) -> Self {
        self.functions.insert(name.to_owned(), role.to_owned());
        self
    }

    /// With a role of one policy.
    #[must_use]
    pub fn role(mut self, arn: &str, statements: Value) -> Self {
        let policy = json!({"Version": "2012-10-17", "Statement": statements});
        let policies = self.policies.entry(arn.to_owned()).or_default();
        policies.push(policy);
        self
    }
}

/// The ARN of a role of this account.
pub fn role_arn(name: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT_ID}:role/{name}")
}

/// A project with a source at `assets/<name>.zip`, the role `<name>-role` and the log group `/builds/<name>`.
pub fn project(name: &str, buildspec: &str) -> Project {
    Project {
        name: name.to_owned(),
        source: ("assets".to_owned(), format!("{name}.zip")),
        buildspec: buildspec.to_owned(),
        service_role: role_arn(&format!("{name}-role")),
        environment: BTreeMap::new(),
        machine: Machine {
            kind: "LINUX_CONTAINER".to_owned(),
            image: "aws/codebuild/amazonlinux-x86_64-standard:5.0".to_owned(),
            compute_type: "BUILD_GENERAL1_SMALL".to_owned(),
            privileged: false,
        },
        timeout: Some(Duration::from_secs(20 * 60)),
        queued_timeout: Some(Duration::from_secs(30 * 60)),
        log_group: Some(format!("/builds/{name}")),
        network: None,
        encryption_key: None,
    }
}

/// The statements that [`project`]'s role needs to run at all.
pub fn build_rights(name: &str) -> Vec<Value> {
    vec![
        allow(
            &["logs:CreateLogStream", "logs:PutLogEvents"],
            &format!("arn:aws:logs:{REGION}:{ACCOUNT_ID}:log-group:/builds/{name}:*"),
        ),
        allow(
            &["s3:GetObject", "s3:GetObjectVersion"],
            &format!("arn:aws:s3:::assets/{name}.zip"),
        ),
        allow(
            &["s3:GetBucketAcl", "s3:GetBucketLocation"],
            "arn:aws:s3:::assets",
        ),
    ]
}

/// A statement that allows something.
pub fn allow(actions: &[&str], resource: &str) -> Value {
    json!({"Effect": "Allow", "Action": actions, "Resource": resource})
}

/// A zip of files with their modes.
///
/// # Errors
/// Where a name or a size cannot stand in a zip.
pub fn zip(files: &[(&str, u32, &[u8])]) -> io::Result<Bytes> {
    let mut zip = ZipWriter::new(io::Cursor::new(Vec::new()));
    for (name, mode, bytes) in files {
        // Stored: a program of 40 MB is not worth the time.
        let options = SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Stored)
            .unix_permissions(*mode);
        zip.start_file(*name, options)?;
        zip.write_all(bytes)?;
    }
    Ok(zip.finish()?.into_inner().into())
}

impl Account for Given {
    fn repositories(&self) -> Later<'_, Vec<String>> {
        Box::pin(async { self.repositories.keys().cloned().collect() })
    }

    fn repository<'a>(&'a self, name: &'a str) -> Later<'a, Option<Repository>> {
        Box::pin(async { self.repositories.get(name).cloned() })
    }

    fn project<'a>(&'a self, name: &'a str) -> Later<'a, Option<Project>> {
        Box::pin(async { self.projects.get(name).cloned() })
    }

    fn object<'a>(&'a self, bucket: &'a str, key: &'a str) -> Later<'a, Option<Bytes>> {
        let name = (bucket.to_owned(), key.to_owned());
        Box::pin(async move { self.objects.get(&name).cloned() })
    }

    fn function_role<'a>(&'a self, name: &'a str) -> Later<'a, Option<String>> {
        Box::pin(async { self.functions.get(name).cloned() })
    }

    fn policies<'a>(&'a self, role_arn: &'a str) -> Later<'a, Vec<Value>> {
        Box::pin(async { self.policies.get(role_arn).cloned().unwrap_or_default() })
    }
}
