//! Asynchronous invocations: of this function, when it is about to time out, and of other functions. A continuation has the event and
//! what is known of it.

use aws_sdk_lambda::{operation::RequestId, primitives::Blob, types::InvocationType};
use serde_json::Value;

use crate::{
    app::App,
    call::{CallError, Named, with_retries},
    event::{Event, Resumed},
    log::Log,
    pace::RetryWindow,
};

/// Invokes `function` to continue the event, and returns the invocation's request id.
///
/// # Errors
/// If Lambda does not accept it.
pub async fn hand_over(
    app: &App,
    function: &str,
    event: &Event,
    resumed: &Resumed,
    retry_window: &RetryWindow,
    log: &Log,
) -> Result<String, CallError> {
    invoke(
        app,
        function,
        &event.continuation(resumed),
        retry_window,
        log,
    )
    .await
}

/// Invokes `function` asynchronously, and returns the invocation's request id.
///
/// # Errors
/// If Lambda does not accept it.
pub async fn invoke(
    app: &App,
    function: &str,
    payload: &Value,
    retry_window: &RetryWindow,
    log: &Log,
) -> Result<String, CallError> {
    let payload = payload.to_string();
    with_retries(retry_window, log, || async {
        let invoked = app
            .lambda
            .invoke()
            .function_name(function)
            .invocation_type(InvocationType::Event)
            .payload(Blob::new(payload.as_bytes()))
            .send();
        let invoked = invoked.await.named("Lambda Invoke")?;
        Ok(invoked.request_id().unwrap_or_default().to_owned())
    })
    .await
}
