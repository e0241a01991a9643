//! The time of an invocation of the on-push function.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    pace::{Pace, RetryWindow},
    schedule::{RETRY_PERIOD, Schedule},
};

/// Reserved for cancelling the work and writing the record.
const END_MARGIN: Duration = Duration::from_secs(5);

/// The time of an invocation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Time {
    /// All of it.
    pub(super) budget: Duration,
    /// When a backfill is continued by another invocation.
    pub(super) hand_over: Instant,
    /// When the work is cancelled.
    pub(super) stop_at: Instant,
    /// How long failed calls are retried.
    pub(super) retry_window: RetryWindow,
}

impl Time {
    /// For an invocation that may take `budget` from now.
    pub(super) fn of(pace: Pace, budget: Duration) -> Self {
        let now = Instant::now();
        let stop_at = now + budget - END_MARGIN.min(budget / 10);
        Self {
            budget,
            hand_over: Schedule::of(budget).hand_over,
            stop_at,
            retry_window: RetryWindow::new(pace, stop_at.min(now + pace.of(RETRY_PERIOD))),
        }
    }
}
