//! Delivery: the PUT that CloudFormation waits for, retried until it succeeds.
//! In: the response URL and the body. Out: delivered, or out of time. Logs neither input.

use std::time::Duration;

use reqwest::{StatusCode, header::CONTENT_TYPE};
use soci_index::run::chain;
use tokio::time::{Instant, sleep};

use crate::{
    app::App,
    error::Error,
    event::{InvalidEvent, RequestContext},
    log::Log,
    pace::{Pace, Pauses},
    response::Response,
    response_url::ResponseUrl,
};

/// S3 normally responds within milliseconds.
const PUT_TIMEOUT: Duration = Duration::from_secs(10);

/// The response could not be delivered.
#[derive(Debug, thiserror::Error)]
#[error("cannot deliver the response to {to} after {tries} attempts: {why}")]
pub struct Undelivered {
    to: ResponseUrl,
    tries: u32,
    why: String,
}

/// Responds to an event that cannot be parsed, if it says where to.
///
/// # Errors
/// As [`deliver`].
pub async fn reject(
    app: &App,
    invalid: InvalidEvent,
    log_link: Option<&str>,
    until: Instant,
) -> Result<(), Undelivered> {
    let Some(context) = invalid.context else {
        Log::of("-").info(format_args!(
            "{}; cannot respond without a response URL",
            invalid.why
        ));
        return Ok(());
    };
    let log = Log::of(&context.request_id);
    let why = chain(&Error::Event(invalid.why));
    let response = Response::failed(&context, &why, log_link);
    send(app, &context, &response, until, &log).await
}

/// Logs a response and delivers it.
///
/// # Errors
/// As [`deliver`].
pub async fn send(
    app: &App,
    context: &RequestContext,
    response: &Response,
    until: Instant,
    log: &Log,
) -> Result<(), Undelivered> {
    log.info(response.log_line());
    let to = &context.response_url;
    deliver(&app.http, to, response.body(), app.pace, until, log).await
}

/// Delivers `body`, with retries until the time is over.
///
/// # Errors
/// If it could not be delivered in time. An expired URL is not an error: a retry in another
/// invocation would not help.
pub async fn deliver(
    http: &reqwest::Client,
    to: &ResponseUrl,
    body: String,
    pace: Pace,
    until: Instant,
    log: &Log,
) -> Result<(), Undelivered> {
    let mut pauses = Pauses::new(pace, Duration::from_millis(250), Duration::from_secs(10));
    let mut tries = 0;
    loop {
        tries += 1;
        let left = until.saturating_duration_since(Instant::now());
        // The URL is signed for an empty content type.
        let put = http
            .put(to.secret().clone())
            .header(CONTENT_TYPE, "")
            .timeout(PUT_TIMEOUT.min(left).max(Duration::from_millis(1)))
            .body(body.clone())
            .send()
            .await;
        let why = match put {
            Ok(response) if response.status().is_success() => {
                log.info(format_args!("response delivered on attempt {tries}"));
                return Ok(());
            }
            Ok(response) if is_final(response.status()) => {
                log.info(format_args!(
                    "{to} rejected the response and a retry will not help: {}",
                    response.status()
                ));
                return Ok(());
            }
            Ok(response) => format!("HTTP status {}", response.status()),
            Err(error) => chain(&error.without_url()),
        };
        let pause = pauses.take();
        if Instant::now() + pause >= until {
            return Err(Undelivered {
                to: to.clone(),
                tries,
                why,
            });
        }
        if tries == 1 {
            log.info(format_args!(
                "cannot deliver the response to {to} yet: {why}; retrying"
            ));
        }
        sleep(pause).await;
    }
}

fn is_final(status: StatusCode) -> bool {
    let is_passing = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS].contains(&status);
    status.is_client_error() && !is_passing
}
