//! Lambda's record of a failed invocation, as an on-failure destination receives it.
//! In: the record. Out: the invocation's payload, and a message with the cause and what to do. Pure.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A failed invocation of the builder function.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FailedInvocation {
    /// The function's name.
    pub function: String,
    /// The invocation's request id.
    pub request_id: String,
    /// Why Lambda gave up: `RetriesExhausted` or `EventAgeExceeded`.
    condition: String,
    /// For example `Runtime.ExitError`; empty if the function was not started.
    error_type: String,
    /// From the function, or from Lambda.
    error_message: String,
}

impl FailedInvocation {
    /// Parses a record and removes the payload from it; `None` if the fields are not a record.
    #[must_use]
    pub fn parse(fields: &mut Map<String, Value>) -> Option<(Value, Self)> {
        let text = |of: &Value, name: &str| of[name].as_str().unwrap_or_default().to_owned();
        let context = fields.get("requestContext").filter(|it| it.is_object())?;
        let arn = text(context, "functionArn");
        let payload = fields.get("responsePayload").unwrap_or(&Value::Null);
        let failed = Self {
            function: arn.split(':').nth(6).unwrap_or_default().to_owned(),
            request_id: text(context, "requestId"),
            condition: text(context, "condition"),
            error_type: text(payload, "errorType"),
            error_message: text(payload, "errorMessage"),
        };
        Some((fields.remove("requestPayload")?, failed))
    }

    /// The invocation, as [`build_id`] names it.
    #[must_use]
    pub fn build_id(&self) -> String {
        build_id(&self.function, &self.request_id)
    }

    fn says(&self, words: &[&str]) -> bool {
        let mut words = words.iter();
        words.any(|word| self.error_type.contains(word) || self.error_message.contains(word))
    }
}

/// The id of an invocation, where CodeBuild has a build id.
#[must_use]
pub fn build_id(function: &str, request_id: &str) -> String {
    format!("{function}/{request_id}")
}

impl fmt::Display for FailedInvocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, remedy) = if self.condition == "EventAgeExceeded" {
            (
                "was not started in time: all concurrent executions of the account or the function were in use",
                "deploy again later, request a higher quota of concurrent executions",
            )
        } else if self.says(&["signal: killed", "OutOfMemory"]) {
            ("was killed, most likely out of memory", "raise memorySize")
        } else if self.says(&["Timedout", "Task timed out"]) {
            (
                "timed out",
                "raise timeout (at most 14 minutes) or memorySize, which raises the CPU share as well",
            )
        } else {
            ("failed", "see its log")
        };
        write!(
            f,
            "the builder function's invocation {} {what}",
            self.build_id()
        )?;
        let said = [&self.error_type, &self.error_message].map(String::as_str);
        let said: Vec<_> = said.into_iter().filter(|text| !text.is_empty()).collect();
        if !said.is_empty() {
            write!(f, " ({})", said.join(": "))?;
        }
        write!(
            f,
            "; {remedy}, or build the index in CodeBuild (builder: SociBuilder.CODE_BUILD)"
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(condition: &str, payload: &Value) -> String {
        let record = json!({
            "version": "1.0", "timestamp": "2026-11-22T18:16:05.568Z",
            "requestContext": {
                "requestId": "e4b46cbf", "condition": condition, "approximateInvokeCount": 1,
                "functionArn": "arn:aws:lambda:us-east-1:123456789012:function:builder:$LATEST",
            },
            "requestPayload": {"SociIndexBuildContinuation": 7},
            "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
            "responsePayload": payload,
        });
        let Value::Object(mut fields) = record else {
            panic!()
        };
        let (payload, failed) = FailedInvocation::parse(&mut fields).unwrap();
        assert_eq!(payload, json!({"SociIndexBuildContinuation": 7}));
        assert_eq!(failed.build_id(), "builder/e4b46cbf");
        let text = failed.to_string();
        assert!(
            text.ends_with("(builder: SociBuilder.CODE_BUILD)"),
            "{text}"
        );
        text
    }

    #[test]
    fn each_failure_says_what_to_do() {
        let ended = |kind, message| json!({"errorType": kind, "errorMessage": message});
        for (condition, payload, words) in [
            (
                "RetriesExhausted",
                ended(
                    "Runtime.ExitError",
                    "RequestId: e4 Error: Runtime exited with error: signal: killed",
                ),
                ["out of memory (Runtime.ExitError", "raise memorySize"],
            ),
            (
                "RetriesExhausted",
                ended("Runtime.OutOfMemory", ""),
                ["out of memory (Runtime.OutOfMemory)", "raise memorySize"],
            ),
            (
                "RetriesExhausted",
                ended(
                    "Sandbox.Timedout",
                    "RequestId: e4 Error: Task timed out after 900.00 seconds",
                ),
                ["timed out (Sandbox.Timedout: ", "raise timeout"],
            ),
            (
                "RetriesExhausted",
                json!({"errorMessage": "2026-11-22T18:16:05.568Z e4 Task timed out after 3.00 seconds"}),
                ["timed out (2026", "raise timeout"],
            ),
            (
                "EventAgeExceeded",
                Value::Null,
                ["was not started in time", "deploy again later"],
            ),
            (
                "RetriesExhausted",
                ended("Runtime.ExitError", "exit status 1"),
                ["failed (Runtime.ExitError: exit status 1)", "see its log"],
            ),
        ] {
            let text = record(condition, &payload);
            assert!(words.iter().all(|word| text.contains(word)), "{text}");
        }
    }

    #[test]
    fn other_events_are_no_records() {
        let Value::Object(mut create) =
            serde_json::from_str(include_str!("../tests/events/create.json")).unwrap()
        else {
            panic!()
        };
        assert_eq!(FailedInvocation::parse(&mut create), None);
    }
}
