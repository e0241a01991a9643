//! Pace: how long to wait between retries, and how long to retry.
//! In: the factor by which tests shorten all times, and an end. Out: growing pauses until that end.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// The environment variable with the factor.
pub const VARIABLE: &str = "PROVIDER_PACE";

/// A factor applied to every pause and time limit; 1 except in tests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace(f64);

/// Not a valid factor.
#[derive(Debug, thiserror::Error)]
#[error("{VARIABLE} must be a number greater than 0 and at most 1, got {0:?}")]
pub struct InvalidPace(String);

impl Default for Pace {
    fn default() -> Self {
        Self(1.0)
    }
}

impl Pace {
    /// Parses the variable's value; 1 if it is not set.
    ///
    /// # Errors
    /// If it is not a valid factor.
    pub fn parse(text: Option<&str>) -> Result<Self, InvalidPace> {
        let Some(text) = text else {
            return Ok(Self::default());
        };
        match text.parse() {
            Ok(factor) if factor > 0.0 && factor <= 1.0 => Ok(Self(factor)),
            _ => Err(InvalidPace(text.to_owned())),
        }
    }

    /// `duration` times the factor.
    #[must_use]
    pub fn of(self, duration: Duration) -> Duration {
        duration.mul_f64(self.0)
    }
}

/// Pauses that grow by half each time, up to a longest one.
#[derive(Clone, Debug)]
pub struct Pauses {
    next: Duration,
    longest: Duration,
}

impl Pauses {
    /// From `first` to `longest`, at `pace`.
    #[must_use]
    pub fn new(pace: Pace, first: Duration, longest: Duration) -> Self {
        Self {
            next: pace.of(first),
            longest: pace.of(longest),
        }
    }

    /// The next pause.
    pub fn take(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 3 / 2).min(self.longest);
        pause
    }
}

/// The time window for retries.
#[derive(Clone, Copy, Debug)]
pub struct RetryWindow {
    pace: Pace,
    until: Instant,
}

impl RetryWindow {
    /// Ends at `until`.
    #[must_use]
    pub fn new(pace: Pace, until: Instant) -> Self {
        Self { pace, until }
    }

    /// The attempts of one step.
    #[must_use]
    pub fn attempts(&self) -> Attempts {
        Attempts {
            pauses: Pauses::new(
                self.pace,
                Duration::from_millis(500),
                Duration::from_secs(5),
            ),
            until: self.until,
        }
    }
}

/// The attempts of one step.
#[derive(Debug)]
pub struct Attempts {
    pauses: Pauses,
    until: Instant,
}

impl Attempts {
    /// Waits for the next try; no without a wait where there is no time for it.
    pub async fn again(&mut self) -> bool {
        let pause = self.pauses.take();
        let is_time = Instant::now() + pause <= self.until;
        if is_time {
            sleep(pause).await;
        }
        is_time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_factor_shortens() {
        let pace = Pace::parse(Some("0.01")).unwrap();
        assert_eq!(
            pace.of(Duration::from_secs(120)),
            Duration::from_millis(1_200)
        );
        assert_eq!(Pace::parse(None).unwrap(), Pace::default());
    }

    #[test]
    fn an_invalid_factor_is_rejected() {
        for text in ["", "0", "-1", "2", "NaN", "inf", "fast"] {
            assert!(Pace::parse(Some(text)).is_err(), "{text:?}");
        }
    }

    #[test]
    fn pauses_grow_to_the_longest() {
        let mut pauses = Pauses::new(
            Pace::default(),
            Duration::from_secs(1),
            Duration::from_secs(2),
        );
        let taken: Vec<f64> = (0..4).map(|_| pauses.take().as_secs_f64()).collect();
        assert_eq!(taken, [1.0, 1.5, 2.0, 2.0]);
    }
}
