//! Both functions as Lambda runs them: payloads from one to the other, and the record of a failure back.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde_json::{Value, json};
use soci_provider::{
    builder_function::{self, BuilderFunction, Invocation, StackResources},
    delivery::Undelivered,
};
use soci_store::registry::Mirror;

use super::{Cloud, INVOCATION};

/// The builder function, as the properties name it.
pub const BUILDER: &str = "arn:aws:lambda:us-east-1:123456789012:function:index-builder";
const NAME: &str = "index-builder";
/// The registry.
pub const HOST: &str = "123456789012.dkr.ecr.us-east-1.amazonaws.com";
const MEMORY: u64 = 2 << 30;

/// An invocation of the builder function that waits.
#[derive(Clone, Debug)]
pub struct Waiting {
    pub request_id: String,
    pub payload: Value,
}

impl Cloud {
    /// The builder function at a pace.
    pub fn builder_at(&self, pace: &str) -> Arc<BuilderFunction> {
        let app = self.app_named(NAME, pace);
        let url: url::Url = format!("http://{}", self.server.address()).parse().unwrap();
        let mirror = Mirror {
            host: HOST.to_owned(),
            url: url.clone(),
        };
        let resources = StackResources::new(app.config.clone(), app.http.clone(), Some(url));
        let log = Some("/aws/lambda/index-builder 0".to_owned());
        let function = BuilderFunction::new(app, MEMORY, vec![mirror], resources, log);
        Arc::new(function)
    }

    /// An event whose index is built in the function.
    pub fn function_event(&self, text: &str) -> Value {
        let mut event = self.event(text);
        for name in ["ResourceProperties", "OldResourceProperties"] {
            if let Some(properties) = event.get_mut(name).and_then(Value::as_object_mut) {
                properties.remove("ProjectName");
                properties.insert("BuilderFunction".to_owned(), json!(BUILDER));
                properties.insert("MinLayerSize".to_owned(), json!("0"));
            }
        }
        event
    }

    /// Runs the provider with a payload, and with what it hands over to itself.
    pub async fn provide(&self, payload: &Value) {
        self.follow(payload, INVOCATION).await.unwrap();
    }

    /// The invocation of the builder function that the provider made.
    pub fn waiting(&self) -> Option<Waiting> {
        self.state().builder_invoked.pop()
    }

    /// Runs it with so much time.
    pub async fn build(&self, waiting: &Waiting, time: Duration) -> Result<(), Undelivered> {
        let invocation = Invocation {
            request_id: waiting.request_id.clone(),
            deadline: SystemTime::now() + time,
        };
        let builder = self.builder_at("0.01");
        builder_function::handle(&builder, waiting.payload.clone(), invocation).await
    }

    /// Runs an event to its answers: the provider, then the builder function where it was invoked.
    pub async fn settle(&self, event: &Value) -> Vec<Value> {
        self.provide(event).await;
        while let Some(waiting) = self.waiting() {
            self.build(&waiting, INVOCATION).await.unwrap();
        }
        std::mem::take(&mut self.state().answers)
    }
}

impl Waiting {
    /// What Lambda tells the provider where this invocation failed.
    pub fn record(&self, condition: &str, error_type: &str, message: &str) -> Value {
        let mut record = json!({
            "version": "1.0", "timestamp": "2026-11-22T18:16:05.568Z", "requestPayload": self.payload,
            "requestContext": {
                "requestId": self.request_id, "functionArn": format!("{BUILDER}:$LATEST"),
                "condition": condition, "approximateInvokeCount": 1,
            },
        });
        if condition != "EventAgeExceeded" {
            record["responseContext"] = json!({"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"});
            record["responsePayload"] = json!({"errorType": error_type, "errorMessage": message});
        }
        record
    }

    /// Killed for its memory.
    pub fn killed(&self) -> Value {
        self.record(
            "RetriesExhausted",
            "Runtime.ExitError",
            "Error: Runtime exited with error: signal: killed",
        )
    }
}
