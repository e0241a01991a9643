//! Retries: how often and after which pauses a request is repeated.
//! In: the error of a try. Out: a pause, or the error. Repeating is safe: every request here can be made twice.

use std::time::Duration;

use super::{
    error::{Error, RetryClass},
    log::{Log, chain},
};

/// A server may ask for more than our longest pause, within reason.
const RETRY_AFTER_FACTOR: u32 = 3;

/// Attempts with the same kind of redirect: one that expired is renewed once, one that is denied stays denied.
const REDIRECT_ATTEMPTS: u32 = 2;

/// Timeouts and retries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts in all.
    pub attempts: u32,
    /// Pause after the first attempt; each later one is twice as long as the one before.
    pub initial_backoff: Duration,
    /// No pause of our own is longer.
    pub max_backoff: Duration,
    /// How long a registry may send nothing before the request times out.
    pub idle_timeout: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 6,
            initial_backoff: Duration::from_millis(500),
            max_backoff: Duration::from_secs(20),
            idle_timeout: Duration::from_secs(60),
        }
    }
}

impl RetryPolicy {
    /// Counts the attempts of one request.
    pub(super) fn attempts<'a>(&'a self, log: &'a Log) -> Attempts<'a> {
        Attempts {
            policy: self,
            log,
            done: 0,
            redirects: 0,
        }
    }

    /// The pause after the `done`th try: half of it fixed, half by chance, so that clients which failed
    /// together do not come back together.
    pub(super) fn pause(&self, done: u32, retry_after: Option<Duration>) -> Duration {
        let doubled = 1_u32
            .checked_shl(done.saturating_sub(1))
            .unwrap_or(u32::MAX);
        let full = self
            .initial_backoff
            .saturating_mul(doubled)
            .min(self.max_backoff);
        let ours = full.mul_f64(0.5 + fastrand::f64() / 2.0);
        let theirs = retry_after
            .unwrap_or_default()
            .min(self.max_backoff.saturating_mul(RETRY_AFTER_FACTOR));
        ours.max(theirs)
    }
}

/// The attempts of one request.
pub(super) struct Attempts<'a> {
    policy: &'a RetryPolicy,
    log: &'a Log,
    done: u32,
    redirects: u32,
}

impl Attempts<'_> {
    /// Returns after a pause where another try can help; gives the error back where not.
    pub(super) async fn again(&mut self, error: Error) -> Result<(), Error> {
        let can_help = match error.retry_class() {
            RetryClass::Permanent => false,
            RetryClass::Transient => true,
            RetryClass::ExpiredRedirect => {
                self.redirects += 1;
                self.redirects < REDIRECT_ATTEMPTS
            }
        };
        self.again_if(can_help, error).await
    }

    /// The same where the caller knows whether another try can help.
    pub(super) async fn again_if(&mut self, can_help: bool, error: Error) -> Result<(), Error> {
        self.done += 1;
        if can_help && self.done < self.policy.attempts {
            let pause = self.policy.pause(self.done, error.retry_after());
            self.log.line(|| {
                let (next, of, seconds) =
                    (self.done + 1, self.policy.attempts, pause.as_secs_f64());
                format!("retry {next} of {of} in {seconds:.3} s: {}", chain(&error))
            });
            tokio::time::sleep(pause).await;
            return Ok(());
        }
        Err(match self.done {
            1 => error,
            attempts => Error::RetriesExhausted {
                attempts,
                source: Box::new(error),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let policy = RetryPolicy::default();
        for (done, full_ms) in [
            (1, 500),
            (2, 1_000),
            (3, 2_000),
            (6, 16_000),
            (7, 20_000),
            (99, 20_000),
        ] {
            let pause = policy.pause(done, None);
            let full = Duration::from_millis(full_ms);
            assert!(pause >= full / 2 && pause <= full, "{done}: {pause:?}");
        }
    }

    #[test]
    fn a_server_is_given_the_time_it_asks_for_within_reason() {
        let policy = RetryPolicy::default();
        let asked = |seconds| policy.pause(1, Some(Duration::from_secs(seconds)));
        assert_eq!(asked(7), Duration::from_secs(7));
        assert_eq!(asked(86_400), Duration::from_secs(60));
    }
}
