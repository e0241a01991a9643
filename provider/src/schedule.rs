//! Deadlines of an invocation (work, hand-over, delivery) and of a request.
//! In: the invocation's time limit and the event's creation time. Out: deadlines. Does not wait.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::{
    event::{Event, Resumed},
    pace::Pace,
    response_url::LIFETIME,
};

/// How long failed calls are retried. IAM permissions propagate within a minute.
pub const RETRY_PERIOD: Duration = Duration::from_secs(120);
/// How long a rejected StartBuild is retried while no build of the project runs: the quota may be 0.
pub const START_RETRY_PERIOD: Duration = Duration::from_secs(180);
/// CloudFormation waits for 3,600 s. The difference covers queueing, a cold start and retries of the delivery.
const RESPONSE_DEADLINE: Duration = Duration::from_secs(3_300);
/// The minimum time for a late event, enough to find its build or index again. CloudFormation waits
/// that much longer than our deadline.
const LATE_GRACE: Duration = Duration::from_secs(240);
/// The minimum retry time of a continuation.
pub const RESUMED_RETRY_PERIOD: Duration = Duration::from_secs(5);
/// Reserved at the end of an invocation for the hand-over and, if that fails, for stopping the build and responding.
const HAND_OVER_MARGIN: Duration = Duration::from_secs(60);
/// Reserved for returning from the invocation.
const RETURN_MARGIN: Duration = Duration::from_secs(1);
/// The deadlines of an invocation.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// The work is cancelled and handed over.
    pub hand_over: Instant,
    /// The hand-over is given up.
    pub hand_over_end: Instant,
    /// The delivery is given up.
    pub delivery_end: Instant,
}

impl Schedule {
    /// For an invocation that may take `budget` from now.
    #[must_use]
    pub fn of(budget: Duration) -> Self {
        let end = Instant::now() + budget;
        let margin = HAND_OVER_MARGIN.min(budget / 3);
        Self {
            hand_over: end - margin,
            hand_over_end: end - margin / 2,
            delivery_end: end - RETURN_MARGIN.min(budget / 20),
        }
    }
}

/// The initial state of a new event.
#[must_use]
pub fn first(pace: Pace, event: &Event, now: SystemTime) -> Resumed {
    let made = event.context.response_url.made();
    // An expired URL belongs to an abandoned event, or the clocks differ.
    let is_sound = |made: &SystemTime| {
        let age = now.duration_since(*made).unwrap_or_default();
        *made <= now && age <= LIFETIME
    };
    let made = made.filter(is_sound).unwrap_or(now);
    Resumed {
        build_id: None,
        made,
        respond_by: (made + pace.of(RESPONSE_DEADLINE)).max(now + pace.of(LATE_GRACE)),
        retry_until: now + pace.of(RETRY_PERIOD),
        start_by: now + pace.of(START_RETRY_PERIOD),
        failed: None,
    }
}

/// Converts wall-clock time to an `Instant`; a time in the past becomes now.
#[must_use]
pub fn instant(time: SystemTime) -> Instant {
    let now = Instant::now();
    match time.duration_since(SystemTime::now()) {
        Ok(ahead) => now + ahead,
        Err(_) => now,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::event::Incoming;

    fn event(query: &str) -> Event {
        let mut event: Value =
            serde_json::from_str(include_str!("../tests/events/create.json")).unwrap();
        event["ResponseURL"] = json!(format!("https://cfn.example/x?{query}"));
        Incoming::parse(event).unwrap().event
    }

    /// 2026-11-22T18:15:23Z.
    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_371_323)
    }

    fn known(query: &str) -> Resumed {
        first(Pace::default(), &event(query), now())
    }

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn time_counts_from_the_creation_of_the_event() {
        let known = known("X-Amz-Date=20261122T180523Z");
        assert_eq!(known.made, now() - 10 * MINUTE);
        assert_eq!(known.respond_by, now() + 45 * MINUTE);
        assert_eq!(known.retry_until, now() + 2 * MINUTE);
        assert_eq!(known.start_by, now() + 3 * MINUTE);
    }

    #[test]
    fn a_late_event_has_a_minimum_time() {
        let known = known("X-Amz-Date=20261122T171523Z");
        assert_eq!(known.made, now() - 60 * MINUTE);
        assert_eq!(known.respond_by, now() + 4 * MINUTE);
    }

    #[test]
    fn an_impossible_time_is_ignored() {
        for query in [
            "",
            "X-Amz-Date=20261122T160000Z",
            "X-Amz-Date=20261122T190000Z",
        ] {
            assert_eq!(known(query).made, now(), "{query}");
        }
    }

    #[test]
    fn each_end_comes_before_the_next() {
        for seconds in [0, 1, 3, 60, 900] {
            let budget = Duration::from_secs(seconds);
            let before = Instant::now();
            let schedule = Schedule::of(budget);
            assert!(schedule.hand_over <= schedule.hand_over_end);
            assert!(schedule.hand_over_end <= schedule.delivery_end);
            assert!(schedule.delivery_end <= Instant::now() + budget);
            assert!(schedule.hand_over >= before + budget / 2);
        }
    }
}
