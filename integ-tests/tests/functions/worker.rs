//! A stack with a function that does what its event says, and all that brings events to it: a rule, a queue of what failed, and its redrive.

use std::{fs, path::Path, time::Duration};

use local_cloud::{
    cloud::given::zip,
    control_plane::{Emulated, LocalCloud, Options},
    image::{Image, Layer, Types},
};
use serde_json::{Value, json};

use crate::waiting::found;

const LIMIT: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(50);
const CODE: (&str, &str) = ("code", "function.zip");
/// Of the function, and what the queue must hide a message for.
const TIMEOUT: u32 = 10;

/// What may do what in the stack.
pub(crate) struct Plan {
    pub(crate) pattern: Value,
    /// The actions at the queue that the function's role has.
    pub(crate) at_queue: Vec<&'static str>,
    /// Whether the function's policy lets the rule invoke it.
    pub(crate) rule_may_invoke: bool,
    /// Whether the queue's policy lets EventBridge send what it cannot deliver.
    pub(crate) rule_may_send: bool,
    pub(crate) hidden_seconds: u32,
    /// The function's reserved concurrency; then its events wait at most a minute.
    pub(crate) reserved: Option<u32>,
}

pub(crate) const AT_QUEUE: [&str; 4] = [
    "sqs:SendMessage",
    "sqs:ReceiveMessage",
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
];

impl Plan {
    /// All is right, for events of ECR that match this.
    pub(crate) fn of(detail: Value) -> Self {
        Self {
            pattern: json!({ "source": ["aws.ecr"], "detail": detail }),
            at_queue: AT_QUEUE.into(),
            rule_may_invoke: true,
            rule_may_send: false,
            hidden_seconds: TIMEOUT,
            reserved: None,
        }
    }

    fn template(&self, stack: &str) -> Value {
        let function = format!("{stack}-Worker");
        let queue = Emulated::queue_arn(&format!("{stack}-Failures"));
        let trust = json!({"Statement": [{
            "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"},
        }]});
        let rights = json!({"PolicyName": "Queue", "PolicyDocument": {"Statement": [
            {"Effect": "Allow", "Action": self.at_queue, "Resource": queue},
        ]}});
        let policies = if self.at_queue.is_empty() {
            json!([])
        } else {
            json!([rights])
        };
        let mut resources = json!({
            "Role": {"Type": "AWS::IAM::Role", "Properties": {
                "AssumeRolePolicyDocument": trust, "Policies": policies,
            }},
            "Worker": {"Type": "AWS::Lambda::Function", "Properties": {
                "FunctionName": function,
                "Runtime": "provided.al2023",
                "Handler": "bootstrap",
                "Code": {"S3Bucket": CODE.0, "S3Key": CODE.1},
                "Role": {"Fn::GetAtt": ["Role", "Arn"]},
                "Timeout": TIMEOUT,
            }},
            "Failures": {"Type": "AWS::SQS::Queue", "Properties": {
                "QueueName": format!("{stack}-Failures"), "VisibilityTimeout": self.hidden_seconds,
            }},
            "Config": {"Type": "AWS::Lambda::EventInvokeConfig", "Properties": {
                "FunctionName": {"Ref": "Worker"},
                "Qualifier": "$LATEST",
                "MaximumRetryAttempts": 1,
                "DestinationConfig": {"OnFailure": {"Destination": {"Fn::GetAtt": ["Failures", "Arn"]}}},
            }},
            "Redrive": {"Type": "AWS::Lambda::EventSourceMapping", "Properties": {
                "FunctionName": {"Ref": "Worker"},
                "EventSourceArn": {"Fn::GetAtt": ["Failures", "Arn"]},
                "BatchSize": 1,
                "Enabled": false,
            }},
            "Rule": {"Type": "AWS::Events::Rule", "Properties": {
                "EventPattern": self.pattern,
                "Targets": [{
                    "Id": "Worker",
                    "Arn": {"Fn::GetAtt": ["Worker", "Arn"]},
                    "DeadLetterConfig": {"Arn": {"Fn::GetAtt": ["Failures", "Arn"]}},
                }],
            }},
        });
        if let Some(reserved) = self.reserved {
            resources["Worker"]["Properties"]["ReservedConcurrentExecutions"] = reserved.into();
            resources["Config"]["Properties"]["MaximumEventAgeInSeconds"] = 60.into();
        }
        if self.rule_may_send {
            resources["Letters"] = json!({"Type": "AWS::SQS::QueuePolicy", "Properties": {
                "Queues": [{"Ref": "Failures"}],
                "PolicyDocument": {"Statement": [{
                    "Effect": "Allow",
                    "Principal": {"Service": "events.amazonaws.com"},
                    "Action": "sqs:SendMessage",
                    "Resource": queue,
                    "Condition": {"ArnEquals": {"aws:SourceArn": {"Fn::GetAtt": ["Rule", "Arn"]}}},
                }]},
            }});
        }
        if self.rule_may_invoke {
            resources["Permission"] = json!({"Type": "AWS::Lambda::Permission", "Properties": {
                "FunctionName": {"Ref": "Worker"},
                "Action": "lambda:InvokeFunction",
                "Principal": "events.amazonaws.com",
                "SourceArn": {"Fn::GetAtt": ["Rule", "Arn"]},
            }});
        }
        json!({ "Resources": resources })
    }
}

/// A cloud without a bootstrap stack.
pub(crate) struct Workers {
    pub(crate) cloud: LocalCloud,
}

impl Workers {
    pub(crate) async fn start() -> Self {
        let options = Options {
            provider_pace: Some(0.02),
            ..Options::default()
        };
        let cloud = LocalCloud::start(options).await.unwrap();
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("apps/functions/bootstrap");
        let program = fs::read(program).unwrap();
        let code = zip(&[("bootstrap", 0o755, &program)]).unwrap();
        let account = cloud.account();
        account.put_object(CODE.0, CODE.1, code).await.unwrap();
        Self { cloud }
    }

    /// Makes a stack.
    pub(crate) async fn deploy(&self, stack: &str, plan: &Plan) {
        let words = self.fail_to_deploy(stack, plan).await;
        assert_eq!(words, [""; 0]);
    }

    /// The reasons why a stack is not made.
    pub(crate) async fn fail_to_deploy(&self, stack: &str, plan: &Plan) -> Vec<String> {
        let template = plan.template(stack).to_string();
        let stacks = self.cloud.stacks();
        stacks.create(stack, &template, &[]).await.unwrap();
        let events = stacks.events(stack).await.unwrap().into_iter();
        let failed = events.filter(|event| event.status == "CREATE_FAILED");
        failed.filter_map(|event| event.reason).collect()
    }

    pub(crate) async fn repository(&self, name: &str) {
        let account = self.cloud.account();
        account.create_repository(name, false).await.unwrap();
    }

    /// Pushes a small image; its digest.
    pub(crate) async fn push(&self, repository: &str, tag: &str) -> String {
        let image = Image::of(Types::Oci, &[Layer::noise(1, 1_000)]);
        self.push_image(repository, tag, &image).await;
        image.digest()
    }

    pub(crate) async fn push_image(&self, repository: &str, tag: &str, image: &Image) {
        let cloud = self.cloud.cloud();
        image.push(cloud, repository, tag).await.unwrap();
    }

    /// The events that a stack's function has got so far that `is_wanted`, with their request ids, once there are so many.
    pub(crate) async fn got(
        &self,
        stack: &str,
        count: usize,
        is_wanted: impl Fn(&Value) -> bool,
    ) -> Vec<(String, Value)> {
        let group = format!("/aws/lambda/{stack}-Worker: ");
        let look = async || {
            let logs = self.cloud.account().logs().await.unwrap();
            let own = logs.lines().filter_map(|line| line.strip_prefix(&group));
            let printed = own.filter_map(|line| line.split_once(' '));
            let events = printed.filter_map(|(id, event)| {
                Some((id.to_owned(), serde_json::from_str::<Value>(event).ok()?))
            });
            let wanted: Vec<_> = events.filter(|(_, event)| is_wanted(event)).collect();
            (wanted.len() >= count).then_some(wanted)
        };
        self.once(&format!("{count} events of {stack}"), look).await
    }

    /// What `look` finds, once it finds something.
    pub(crate) async fn once<T>(&self, what: &str, look: impl AsyncFn() -> Option<T>) -> T {
        if let Some(found) = found(LIMIT, PAUSE, look).await {
            return found;
        }
        let logs = self.cloud.account().logs().await.unwrap();
        panic!("no {what}\n{logs}\n{}", self.cloud.emulator_log());
    }
}
