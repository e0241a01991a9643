//! The emulator's account, for our CodeBuild, ECR and IAM. In: its address. Out: plain data.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
};

use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use serde_json::{Value, json};

use super::{
    Error, policies,
    query::{Query, members, text as xml_text},
    recent::Recent,
    stacks::Stacks,
};
use crate::{
    account::{Account, Event, Later, Project, REGION, Repository},
    lock::lock,
};

const CODEBUILD: &str = "CodeBuild_20161006";
const ECR: &str = "AmazonEC2ContainerRegistry_V20150921";
const EVENTS: &str = "AWSEvents";
const LOGS: &str = "Logs_20140328";

/// The emulator, asked as the account.
#[derive(Debug)]
pub struct Emulated {
    client: reqwest::Client,
    address: String,
    iam: Query,
    stacks: Stacks,
    /// Its CodeBuild projects, by name, as it was asked to make them.
    kept: Mutex<BTreeMap<String, Project>>,
    known_repositories: Recent<Repository>,
    known_policies: Recent<Vec<Value>>,
}

impl Emulated {
    /// The account of the emulator at this port; it need not run yet.
    ///
    /// # Errors
    /// No HTTP client can be made.
    pub fn at(port: u16) -> Result<Self, Error> {
        let address = format!("http://127.0.0.1:{port}");
        let client = reqwest::Client::builder().no_proxy().build();
        let client = client.map_err(Error::refused("an HTTP client"))?;
        let stacks = Query::new(&client, &address, "cloudformation", "2010-05-15");
        Ok(Self {
            iam: Query::new(&client, &address, "iam", "2010-05-08"),
            stacks: Stacks::new(stacks),
            client,
            address,
            kept: Mutex::default(),
            known_repositories: Recent::default(),
            known_policies: Recent::default(),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Its CloudFormation stacks.
    pub fn stacks(&self) -> &Stacks {
        &self.stacks
    }

    /// Makes an ECR repository, as somebody would outside of any stack.
    ///
    /// # Errors
    /// It is there already.
    pub async fn create_repository(&self, name: &str, immutable_tags: bool) -> Result<(), Error> {
        let mutability = if immutable_tags {
            "IMMUTABLE"
        } else {
            "MUTABLE"
        };
        let body = json!({ "repositoryName": name, "imageTagMutability": mutability });
        self.call("ecr", ECR, "CreateRepository", &body).await?;
        Ok(())
    }

    /// Every line in every CloudWatch log group, with the group's name before it.
    ///
    /// # Errors
    /// The emulator does not answer.
    pub async fn logs(&self) -> Result<String, Error> {
        let mut all = String::new();
        for name in self.log_groups().await? {
            for line in self.logs_of(&name, "").await? {
                all += &format!("{name}: {line}\n");
            }
        }
        Ok(all)
    }

    /// The lines of a CloudWatch log group that have all terms of `filter` in them.
    ///
    /// # Errors
    /// There is no such log group.
    pub async fn logs_of(&self, group: &str, filter: &str) -> Result<Vec<String>, Error> {
        let body = json!({ "logGroupName": group, "filterPattern": filter });
        let found = self.call("logs", LOGS, "FilterLogEvents", &body).await?;
        let events = found["events"].as_array().into_iter().flatten();
        let line = |event: &Value| {
            event["message"]
                .as_str()
                .unwrap_or_default()
                .trim_end()
                .to_owned()
        };
        Ok(events.map(line).collect())
    }

    /// Names of all CloudWatch log groups that are there.
    ///
    /// # Errors
    /// The emulator does not answer.
    pub async fn log_groups(&self) -> Result<Vec<String>, Error> {
        let found = self
            .call("logs", LOGS, "DescribeLogGroups", &json!({}))
            .await?;
        Ok(names(&found["logGroups"], "logGroupName"))
    }

    /// Names of all functions that are there.
    ///
    /// # Errors
    /// The emulator does not answer.
    pub async fn functions(&self) -> Result<Vec<String>, Error> {
        let found = self.get("lambda", "2015-03-31/functions/").await?;
        let list = found.and_then(|body| serde_json::from_slice::<Value>(&body).ok());
        Ok(names(
            &list.unwrap_or_default()["Functions"],
            "FunctionName",
        ))
    }

    /// Names of all CodeBuild projects that are there.
    ///
    /// # Errors
    /// The emulator does not answer.
    pub async fn projects(&self) -> Result<Vec<String>, Error> {
        let found = self
            .call("codebuild", CODEBUILD, "ListProjects", &json!({}))
            .await?;
        Ok(names(&found["projects"], ""))
    }

    /// Names of all roles that are there.
    ///
    /// # Errors
    /// The emulator does not answer.
    pub async fn roles(&self) -> Result<Vec<String>, Error> {
        let names = self.iam.call("ListRoles", [], |found| {
            let roles = members(found, "Roles");
            roles
                .filter_map(|role| xml_text(role, "RoleName"))
                .collect()
        });
        names.await
    }

    /// Lets a function's invocations take only so long, as no template of the construct would.
    ///
    /// # Errors
    /// There is no such function.
    pub async fn set_function_timeout(&self, name: &str, seconds: u16) -> Result<(), Error> {
        let path = format!("2015-03-31/functions/{name}/configuration");
        let body = json!({ "Timeout": seconds }).to_string();
        self.put("lambda", &path, body).await
    }

    /// Makes a bucket with one object in it.
    ///
    /// # Errors
    /// The emulator does not answer.
    pub async fn put_object(&self, bucket: &str, key: &str, bytes: Bytes) -> Result<(), Error> {
        self.put("s3", bucket, Bytes::new()).await?;
        self.put("s3", &format!("{bucket}/{key}"), bytes).await
    }

    /// Sends an event of a service to the default event bus.
    ///
    /// # Errors
    /// EventBridge rejects it. That the emulator has ended is no error: then nothing has rules any more.
    pub async fn put_event(&self, event: &Event) -> Result<(), String> {
        let service = event.source.trim_start_matches("aws.");
        let entry = json!({
            "Source": event.source,
            "DetailType": event.detail_type,
            "Resources": event.resources,
            "Detail": event.detail.to_string(),
        });
        let sender = credential_of(&format!("{service}.amazonaws.com"), "events");
        let body = json!({ "Entries": [entry] });
        let answer = self.call_as(sender, EVENTS, "PutEvents", &body).await;
        match answer {
            Ok(answer) if answer["FailedEntryCount"] != 0 => Err(answer.to_string()),
            _ => Ok(()),
        }
    }

    pub(super) async fn call(
        &self,
        service: &str,
        target: &str,
        operation: &str,
        body: &Value,
    ) -> Result<Value, Error> {
        self.call_as(credential(service), target, operation, body)
            .await
    }

    async fn call_as(
        &self,
        credential: String,
        target: &str,
        operation: &str,
        body: &Value,
    ) -> Result<Value, Error> {
        let request = self
            .client
            .post(&self.address)
            .header("X-Amz-Target", format!("{target}.{operation}"))
            .header(AUTHORIZATION, credential)
            .header(CONTENT_TYPE, "application/x-amz-json-1.1")
            .body(body.to_string());
        let answer = request
            .send()
            .await
            .and_then(reqwest::Response::error_for_status);
        let answer = answer.map_err(Error::refused(operation))?;
        let bytes = answer.bytes().await.map_err(Error::refused(operation))?;
        serde_json::from_slice(&bytes).map_err(Error::refused(operation))
    }

    /// The body at a path; nothing where there is nothing.
    pub(super) async fn get(&self, service: &str, path: &str) -> Result<Option<Bytes>, Error> {
        let request = self
            .client
            .get(format!("{}/{path}", self.address))
            .header(AUTHORIZATION, credential(service));
        let answer = request.send().await.map_err(Error::refused(path))?;
        if !answer.status().is_success() {
            return Ok(None);
        }
        answer.bytes().await.map(Some).map_err(Error::refused(path))
    }

    /// Puts something at a path.
    pub(super) async fn put(
        &self,
        service: &str,
        path: &str,
        body: impl Into<reqwest::Body>,
    ) -> Result<(), Error> {
        let request = self
            .client
            .put(format!("{}/{path}", self.address))
            .header(AUTHORIZATION, credential(service))
            .body(body);
        let answer = request
            .send()
            .await
            .and_then(reqwest::Response::error_for_status);
        answer.map(drop).map_err(Error::refused(path))
    }

    /// Remembers a project that the emulator makes or changes.
    pub(super) fn keep_project(&self, project: Project) {
        self.kept().insert(project.name.clone(), project);
    }

    /// Forgets a project that the emulator deletes.
    pub(super) fn forget_project(&self, name: &str) {
        self.kept().remove(name);
    }

    fn kept(&self) -> MutexGuard<'_, BTreeMap<String, Project>> {
        lock(&self.kept)
    }
}

impl Account for Emulated {
    fn take_event<'a>(&'a self, event: &'a Event) -> Later<'a, Result<(), String>> {
        Box::pin(self.put_event(event))
    }

    fn repositories(&self) -> Later<'_, Vec<String>> {
        Box::pin(async {
            let all = json!({});
            let found = self.call("ecr", ECR, "DescribeRepositories", &all).await;
            let found = found.unwrap_or_default();
            let mut names = names(&found["repositories"], "repositoryName");
            names.sort();
            names
        })
    }

    fn repository<'a>(&'a self, name: &'a str) -> Later<'a, Option<Repository>> {
        Box::pin(async move {
            if let Some(recent) = self.known_repositories.recent(name) {
                return Some(recent);
            }
            let body = json!({ "repositoryNames": [name] });
            let found = self.call("ecr", ECR, "DescribeRepositories", &body).await;
            let found = found.ok()?;
            let mutability = &found["repositories"].get(0)?["imageTagMutability"];
            let repository = Repository {
                immutable_tags: mutability == "IMMUTABLE",
            };
            self.known_repositories.keep(name, &repository);
            Some(repository)
        })
    }

    fn project<'a>(&'a self, name: &'a str) -> Later<'a, Option<Project>> {
        let project = self.kept().get(name).cloned();
        Box::pin(async { project })
    }

    fn object<'a>(&'a self, bucket: &'a str, key: &'a str) -> Later<'a, Option<Bytes>> {
        Box::pin(async move {
            self.get("s3", &format!("{bucket}/{key}"))
                .await
                .ok()
                .flatten()
        })
    }

    fn function_role<'a>(&'a self, name: &'a str) -> Later<'a, Option<String>> {
        Box::pin(async move {
            let path = format!("2015-03-31/functions/{name}/configuration");
            let found = self.get("lambda", &path).await.ok().flatten()?;
            let function: Value = serde_json::from_slice(&found).ok()?;
            text(&function["Role"])
        })
    }

    fn policies<'a>(&'a self, role_arn: &'a str) -> Later<'a, Vec<Value>> {
        Box::pin(async move {
            let documents = policies::of(&self.iam, role_arn).await.unwrap_or_default();
            self.known_policies.keep(role_arn, &documents);
            documents
        })
    }

    fn recent_policies<'a>(&'a self, role_arn: &'a str) -> Later<'a, Vec<Value>> {
        match self.known_policies.recent(role_arn) {
            Some(documents) => Box::pin(async { documents }),
            None => self.policies(role_arn),
        }
    }
}

/// The emulator reads of a signature only which service is meant.
pub(super) fn credential(service: &str) -> String {
    credential_of(super::DEPLOYER, service)
}

fn credential_of(key: &str, service: &str) -> String {
    let scope = format!("Credential={key}/20260101/{REGION}/{service}/aws4_request");
    format!("AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0")
}

fn names(list: &Value, key: &str) -> Vec<String> {
    let name = |each: &Value| {
        if key.is_empty() {
            text(each)
        } else {
            text(&each[key])
        }
    };
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(name)
        .collect()
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}
