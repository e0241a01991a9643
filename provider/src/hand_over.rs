//! The hand-over: an invocation that is about to time out starts the next one and passes its state.

use aws_sdk_lambda::{primitives::Blob, types::InvocationType};
use tokio::time::Instant;

use crate::{
    app::App,
    call::{CallError, Named, with_retries},
    event::{Event, Resumed},
    log::Log,
    pace::RetryWindow,
};

/// Starts the next invocation, with retries until `until`.
///
/// # Errors
/// If Lambda does not accept it.
pub async fn hand_over(
    app: &App,
    event: &Event,
    resumed: &Resumed,
    until: Instant,
    log: &Log,
) -> Result<(), CallError> {
    let payload = event.continuation(resumed).to_string();
    let retry_window = RetryWindow::new(app.pace, until);
    with_retries(&retry_window, log, || async {
        let invoked = app
            .lambda
            .invoke()
            .function_name(&app.function)
            .invocation_type(InvocationType::Event)
            .payload(Blob::new(payload.as_bytes()))
            .send();
        invoked.await.named("Lambda Invoke").map(|_| ())
    })
    .await
}
