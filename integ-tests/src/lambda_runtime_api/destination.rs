//! The on-failure destination of asynchronous invocations. In: an event that failed for good. Out: Lambda's record of it, delivered to
//! another function, where the role of the one that failed may invoke that.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Function, Outcome, Shared, service::Service};

/// Why Lambda gives an event up.
pub(super) enum Failure {
    /// The last of its invocations ended so.
    Ended(Outcome),
    /// It waited for too long.
    TooOld,
}

/// As the developer guide has it, "Retaining records of asynchronous invocations".
pub(super) fn record(
    function: &Function,
    request_id: &str,
    payload: &Bytes,
    invocations: u32,
    failure: &Failure,
) -> Value {
    let condition = match failure {
        Failure::Ended(_) => "RetriesExhausted",
        Failure::TooOld => "EventAgeExceeded",
    };
    let mut record = json!({
        "version": "1.0",
        "timestamp": "2026-11-22T18:16:05.568Z",
        "requestContext": {
            "requestId": request_id,
            "functionArn": format!("{}:$LATEST", function.arn()),
            "condition": condition,
            "approximateInvokeCount": invocations,
        },
        "requestPayload": json_of(payload),
    });
    if let Failure::Ended(outcome) = failure {
        record["responseContext"] =
            json!({"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"});
        record["responsePayload"] = response(function, request_id, outcome);
    }
    record
}

fn response(function: &Function, request_id: &str, outcome: &Outcome) -> Value {
    let error = |kind: &str, message: String| {
        let message = format!("RequestId: {request_id} Error: {message}");
        json!({"errorType": kind, "errorMessage": message})
    };
    match outcome {
        Outcome::Returned(body) | Outcome::Failed(body) => json_of(body),
        // Lambda writes a signal as Go does.
        Outcome::Died(status) => {
            let status = match status.starts_with("signal: 9") {
                true => "signal: killed",
                false => status,
            };
            let message = format!("Runtime exited with error: {status}");
            error("Runtime.ExitError", message)
        }
        Outcome::TimedOut => {
            let seconds = function.timeout.as_secs_f64();
            error(
                "Sandbox.Timedout",
                format!("Task timed out after {seconds:.2} seconds"),
            )
        }
    }
}

/// Sends it, where there is a destination, that may be invoked.
pub(super) async fn send(service: &Service, function: &Function, record: Value) {
    let Some(arn) = &function.on_failure else {
        return;
    };
    let may_invoke = (function.role_may)("lambda:InvokeFunction", Some(arn.clone())).await;
    if let Some(destination) = service.find(arn).filter(|_| may_invoke) {
        Shared::deliver(&destination, record.to_string().into());
    }
}

fn json_of(bytes: &Bytes) -> Value {
    serde_json::from_slice(bytes).unwrap_or_default()
}
