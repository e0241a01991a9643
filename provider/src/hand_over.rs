//! The hand-over: an invocation whose time is nearly over starts the next one with what it knows.

use aws_sdk_lambda::{primitives::Blob, types::InvocationType};
use tokio::time::Instant;

use crate::{
    app::App,
    call::{CallError, Named, patiently},
    event::{Event, Resumed},
    log::Log,
    pace::Patience,
};

/// Starts the next invocation, trying again until `until`.
///
/// # Errors
/// Where Lambda does not take it.
pub async fn hand_over(
    app: &App,
    event: &Event,
    resumed: &Resumed,
    until: Instant,
    log: &Log,
) -> Result<(), CallError> {
    let payload = event.continuation(resumed).to_string();
    let patience = Patience::new(app.pace, until);
    patiently(&patience, log, || async {
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
