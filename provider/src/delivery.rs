//! Delivery: the one PUT that CloudFormation waits for, tried until it is taken.
//! In: the address and the body. Out: delivered, or out of time. Tells neither.

use std::time::Duration;

use reqwest::{StatusCode, header::CONTENT_TYPE};
use soci_index::run::chain;
use tokio::time::{Instant, sleep};

use crate::{
    log::Log,
    pace::{Pace, Pauses},
    response_url::ResponseUrl,
};

/// The storage behind the address answers in milliseconds.
const PUT_TIMEOUT: Duration = Duration::from_secs(10);

/// Nobody has taken the answer.
#[derive(Debug, thiserror::Error)]
#[error("the answer could not be delivered to {to} in {tries} tries: {why}")]
pub struct Undelivered {
    to: ResponseUrl,
    tries: u32,
    why: String,
}

/// Delivers `body`, trying again until there is no time for it.
///
/// # Errors
/// Where nobody took it until then. An address that will never take it (it has expired) is no error: trying once more, in
/// another invocation, would not help.
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
        // The address is signed for an empty type.
        let put = http
            .put(to.secret().clone())
            .header(CONTENT_TYPE, "")
            .timeout(PUT_TIMEOUT.min(left).max(Duration::from_millis(1)))
            .body(body.clone())
            .send()
            .await;
        let why = match put {
            Ok(answer) if answer.status().is_success() => {
                log.say(format_args!("the answer is delivered, with try {tries}"));
                return Ok(());
            }
            Ok(answer) if is_final(answer.status()) => {
                log.say(format_args!(
                    "{to} refuses the answer for good: {}",
                    answer.status()
                ));
                return Ok(());
            }
            Ok(answer) => format!("it answered {}", answer.status()),
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
            log.say(format_args!(
                "{to} does not take the answer: {why}; trying again"
            ));
        }
        sleep(pause).await;
    }
}

fn is_final(status: StatusCode) -> bool {
    let is_passing = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS].contains(&status);
    status.is_client_error() && !is_passing
}
