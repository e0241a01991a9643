//! A stack that indexes what is pushed. In: the construct's properties. Out: the records of images, the queue, the function.

use std::time::Duration;

use aws_sdk_lambda::{
    Client, config::Credentials, operation::invoke::InvokeOutput, primitives::Blob,
    types::InvocationType,
};
use local_cloud::{
    account::{Account, REGION, repository_arn},
    control_plane::Emulated,
};
use serde_json::{Value, json};

use crate::{
    deployment::{Stack, Succeeds},
    shared::Shared,
    waiting::found,
};

const LIMIT: Duration = Duration::from_secs(600);
const PAUSE: Duration = Duration::from_millis(200);

/// The record of one image.
#[derive(Clone, Debug)]
pub(crate) struct Record(pub(crate) Value);

impl Record {
    pub(crate) fn text(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap_or_default()
    }

    pub(crate) fn outcome(&self) -> &str {
        self.text("Outcome")
    }

    /// When it began and ended, in milliseconds since 1970.
    pub(crate) fn span(&self) -> (f64, f64) {
        let ended = self.0["_aws"]["Timestamp"].as_f64().unwrap();
        (ended - 1_000.0 * self.0["Seconds"].as_f64().unwrap(), ended)
    }

    /// CloudWatch extracts a line's metrics only where all of this holds.
    fn is_valid(&self) {
        let directives = &self.0["_aws"]["CloudWatchMetrics"];
        for directive in directives.as_array().unwrap() {
            assert_eq!(directive["Namespace"], "SociIndexBuild");
            for metric in directive["Metrics"].as_array().unwrap() {
                let name = metric["Name"].as_str().unwrap();
                assert!(self.0[name].is_number(), "{name} of {}", self.0);
            }
            let sets = directive["Dimensions"].as_array().unwrap().iter();
            for name in sets.flat_map(|set| set.as_array().unwrap()) {
                let value = self.text(name.as_str().unwrap());
                assert!((1..=1_024).contains(&value.len()), "{name} of {}", self.0);
            }
        }
    }
}

/// The stack.
pub(crate) struct Indexes<'a> {
    shared: &'a Shared,
    pub(crate) function: String,
    pub(crate) queue: String,
    log_group: String,
    stack: Stack<'a>,
}

impl<'a> Indexes<'a> {
    /// Deploys a stack with these properties.
    pub(crate) async fn deploy(shared: &'a Shared, name: &str, properties: Value) -> Self {
        let stack = Stack::of(shared, name, "on-push.js").with("onPush", &properties.to_string());
        stack.deploy_app().await.succeeds();
        Self::of_stack(shared, stack).await
    }

    /// The function, log group and queue of a stack that has one of each; the queue may be missing.
    pub(crate) async fn of_stack(shared: &'a Shared, stack: Stack<'a>) -> Self {
        let stacks = shared.cloud.stacks();
        let only = async |kind: &str| stacks.physical_ids(&stack.name, kind).await.pop();
        let queue = only("AWS::SQS::Queue").await.unwrap_or_default();
        Self {
            shared,
            function: only("AWS::Lambda::Function").await.unwrap(),
            // Its physical id is its URL.
            queue: queue.rsplit('/').next().unwrap_or_default().to_owned(),
            log_group: only("AWS::Logs::LogGroup").await.unwrap(),
            stack,
        }
    }

    pub(crate) fn account(&self) -> &Emulated {
        self.shared.cloud.account()
    }

    /// The records so far, oldest first.
    pub(crate) async fn records(&self) -> Vec<Record> {
        let lines = self
            .account()
            .logs_of(&self.log_group, "_aws")
            .await
            .unwrap();
        let json = lines.iter().flat_map(|lines| lines.lines());
        let json = json.filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let records: Vec<_> = json
            .filter(|line| line.get("_aws").is_some())
            .map(Record)
            .collect();
        records.iter().for_each(Record::is_valid);
        records
    }

    /// Those of one image, by repository and tag, once there are so many.
    pub(crate) async fn records_of(
        &self,
        repository: &str,
        tag: &str,
        count: usize,
    ) -> Vec<Record> {
        let of =
            |record: &Record| record.text("Repository") == repository && record.text("Tag") == tag;
        let look = async || {
            let mut records = self.records().await;
            records.retain(of);
            (records.len() >= count).then_some(records)
        };
        self.once(&format!("{count} records of {repository}:{tag}"), look)
            .await
    }

    /// The only record of an image.
    pub(crate) async fn record_of(&self, repository: &str, tag: &str) -> Record {
        let mut records = self.records_of(repository, tag, 1).await;
        assert_eq!(records.len(), 1, "{records:#?}");
        records.remove(0)
    }

    /// The records in the queue, once there are so many: Lambda's, of failed invocations.
    pub(crate) async fn failed(&self, count: usize) -> Vec<Value> {
        let look = async || {
            let (waiting, _) = self.account().queue_counts(&self.queue).await.unwrap();
            (waiting >= count as u64).then_some(())
        };
        self.once(&format!("{count} messages in the queue"), look)
            .await;
        self.account().queued(&self.queue).await.unwrap()
    }

    /// Turns the redrive on, waits until nothing is in the queue, and turns it off.
    pub(crate) async fn redrive(&self) {
        let (mapping, state) = self
            .account()
            .mappings(&self.function)
            .await
            .unwrap()
            .remove(0);
        assert_eq!(state, "Disabled");
        self.account().enable_mapping(&mapping, true).await.unwrap();
        let is_empty = async || {
            let counts = self.account().queue_counts(&self.queue).await.unwrap();
            (counts == (0, 0)).then_some(())
        };
        self.once("empty queue", is_empty).await;
        self.account()
            .enable_mapping(&mapping, false)
            .await
            .unwrap();
    }

    /// Invokes the function and waits for its response; an error is the function's.
    pub(crate) async fn invoke(&self, event: &Value) -> Result<Value, Value> {
        let invoked = self.invoke_as(InvocationType::RequestResponse, event).await;
        let response = serde_json::from_slice(invoked.payload().unwrap().as_ref()).unwrap();
        match invoked.function_error() {
            None => Ok(response),
            Some(_) => Err(response),
        }
    }

    /// Invokes the function and does not wait.
    pub(crate) async fn send(&self, event: &Value) {
        self.invoke_as(InvocationType::Event, event).await;
    }

    async fn invoke_as(&self, kind: InvocationType, event: &Value) -> InvokeOutput {
        let config = aws_config::defaults(aws_config::BehaviorVersion::latest())
            .region(REGION)
            .endpoint_url(self.account().address())
            .credentials_provider(Credentials::new("000000000000", "-", None, None, "test"));
        let invoke = Client::new(&config.load().await)
            .invoke()
            .function_name(&self.function)
            .invocation_type(kind)
            .payload(Blob::new(event.to_string()));
        invoke.send().await.unwrap()
    }

    /// ARN of the function's role.
    pub(crate) async fn role(&self) -> String {
        self.account().function_role(&self.function).await.unwrap()
    }

    /// What `look` finds, once it finds something.
    pub(crate) async fn once<T>(&self, what: &str, look: impl AsyncFn() -> Option<T>) -> T {
        if let Some(found) = found(LIMIT, PAUSE, look).await {
            return found;
        }
        let lines = self.account().logs_of(&self.log_group, "").await.unwrap();
        let emulator = self.shared.cloud.emulator_log();
        panic!("no {what}\n{}\n{emulator}", lines.join("\n"));
    }

    /// Asserts that IAM was asked for the function's role, and refused nothing.
    pub(crate) fn assert_rights_were_checked(&self) {
        self.stack.assert_rights_were_checked();
    }

    pub(crate) async fn destroy(&self) {
        self.stack.destroy().await;
    }
}

/// Properties for filters, with which small layers are indexed and one failure is the end.
pub(crate) fn properties(filters: &[&str]) -> Value {
    json!({ "filters": filters, "minLayerSize": 0, "retryAttempts": 0 })
}

/// Asserts that the role was only asked about these repositories, as far as a repository is asked about.
pub(crate) fn assert_only(shared: &Shared, role: &str, repositories: &[&str]) {
    let allowed: Vec<_> = repositories
        .iter()
        .map(|name| repository_arn(name))
        .collect();
    let record = shared.cloud.cloud().iam().record();
    let own = record
        .iter()
        .filter(|one| one.who == role && one.resource.contains(":repository/"));
    let others: Vec<_> = own.filter(|one| !allowed.contains(&one.resource)).collect();
    assert!(others.is_empty(), "{others:#?}");
}
