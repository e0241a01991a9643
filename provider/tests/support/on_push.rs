//! The on-push function as Lambda runs it, and what it writes.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use serde_json::{Value, json};
use soci_provider::{
    builder_function::Invocation,
    metrics::Metrics,
    on_push::{self, Error, OnPush, Settings},
};
use soci_store::registry::Mirror;

use super::{
    Cloud, INVOCATION,
    functions::HOST,
    images::{Image, REPOSITORY},
};

const MEMORY: u64 = 2 << 30;

/// Settings that index every layer of every image.
pub const SETTINGS: &str = r#"{"Filters": ["team/*"], "MinLayerSize": "0"}"#;

/// What a function wrote on stdout.
#[derive(Clone, Default)]
pub struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    /// The records so far.
    pub fn records(&self) -> Vec<Value> {
        let bytes = self.0.lock().unwrap();
        let text = std::str::from_utf8(&bytes).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

/// A function, and what it wrote.
pub struct Function {
    function: Arc<OnPush>,
    lines: Lines,
}

impl Function {
    /// Runs an invocation of so long.
    pub async fn run(&self, payload: &Value, time: Duration) -> Result<Value, Error> {
        let invocation = Invocation {
            request_id: "invocation".to_owned(),
            deadline: SystemTime::now() + time,
        };
        on_push::handle(&self.function, payload.clone(), invocation).await
    }

    /// The records so far.
    pub fn records(&self) -> Vec<Value> {
        self.lines.records()
    }
}

impl Cloud {
    /// The on-push function at a pace.
    pub fn on_push_at(&self, settings: &str, pace: &str, lines: &Lines) -> Function {
        let app = self.app_named("index-on-push", pace);
        let mirror = Mirror {
            host: HOST.to_owned(),
            url: format!("http://{}", self.server.address()).parse().unwrap(),
        };
        let settings = Settings::parse(Some(settings)).unwrap();
        let metrics = Metrics::to(lines.clone());
        let function = OnPush::new(app, MEMORY, vec![mirror], settings, metrics);
        Function {
            function: Arc::new(function),
            lines: lines.clone(),
        }
    }

    /// The on-push function.
    pub fn on_push(&self, settings: &str) -> Function {
        self.on_push_at(settings, "0.01", &Lines::default())
    }

    /// Runs an event that succeeds, and gives its only record.
    pub async fn record_of(&self, settings: &str, event: &Value) -> Value {
        let function = self.on_push(settings);
        function.run(event, INVOCATION).await.unwrap();
        let mut records = function.records();
        assert_eq!(records.len(), 1, "{records:#?}");
        records.remove(0)
    }
}

/// The event of a push.
pub fn push(tag: &str, digest: &str) -> Value {
    let mut event: Value =
        serde_json::from_str(include_str!("../on_push_events/push.json")).unwrap();
    event["detail"]["repository-name"] = json!(REPOSITORY);
    event["detail"]["image-tag"] = json!(tag);
    event["detail"]["image-digest"] = json!(digest);
    event
}

/// Lambda's record of an event that failed, as the queue's message.
pub fn queued(event: &Value) -> Value {
    json!({
        "version": "1.0", "timestamp": "2026-11-22T18:16:05.568Z", "requestPayload": event,
        "requestContext": {
            "requestId": "e4b46cbf", "condition": "RetriesExhausted", "approximateInvokeCount": 3,
            "functionArn": "arn:aws:lambda:us-east-1:123456789012:function:index-on-push:$LATEST",
        },
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "responsePayload": {"errorType": "SociIndexBuild.Failed", "errorMessage": "so it was"},
    })
}

/// The batch that a queue's event source mapping sends.
pub fn batch(bodies: &[Value]) -> Value {
    let message = |body: &Value| {
        json!({
            "messageId": "059f36b4", "receiptHandle": "AQEB", "body": body.to_string(), "attributes": {}, "messageAttributes": {},
            "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:failed", "awsRegion": "us-east-1",
        })
    };
    json!({"Records": bodies.iter().map(message).collect::<Vec<_>>()})
}

/// Puts an image under a tag, and gives the event of it.
pub fn pushed(cloud: &Cloud, image: &Image, tag: &str) -> Value {
    image.add_to(&mut cloud.state(), tag);
    push(tag, &image.digest())
}
