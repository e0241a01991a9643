//! Moments: until when an invocation works, hands over and delivers, and until when there must be an answer at all.
//! In: when the invocation and the event are over. Out: moments. Waits for none of them.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::{
    event::{Event, Resumed},
    pace::Pace,
    response_url::LIFETIME,
};

/// For how long a step may fail that must become possible: rights are known everywhere within a minute.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// How long a build may be refused while none of the project runs or waits: nothing of ours uses the quota up then, and it may be 0.
pub const START_PATIENCE: Duration = Duration::from_secs(180);
/// CloudFormation waits for 3,600 s; a queue, a cold start and some tries to deliver fit in between.
const ANSWER_DEADLINE: Duration = Duration::from_secs(3_300);
/// What an event gets in any case that comes late, which is enough to find its build or its index again. CloudFormation waits
/// that much longer than until our deadline.
const LATE_GRACE: Duration = Duration::from_secs(240);
/// What a resumed event gets in any case to find its build again.
pub const RESUMED_PATIENCE: Duration = Duration::from_secs(5);
/// Kept free at an invocation's end for the hand-over and, where that fails, for stopping the build and answering.
const HAND_OVER_MARGIN: Duration = Duration::from_secs(60);
/// Kept free at an invocation's very end, to return from it.
const ANSWER_MARGIN: Duration = Duration::from_secs(1);
/// The moments of an invocation.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// The work ends, and is handed over.
    pub hand_over: Instant,
    /// The hand-over is given up.
    pub hand_over_end: Instant,
    /// The delivery is given up.
    pub delivery_end: Instant,
}

impl Schedule {
    /// Of an invocation that may take `budget` from now.
    #[must_use]
    pub fn of(budget: Duration) -> Self {
        let end = Instant::now() + budget;
        let margin = HAND_OVER_MARGIN.min(budget / 3);
        Self {
            hand_over: end - margin,
            hand_over_end: end - margin / 2,
            delivery_end: end - ANSWER_MARGIN.min(budget / 20),
        }
    }
}

/// What is known of an event that comes for the first time.
#[must_use]
pub fn first(pace: Pace, event: &Event, now: SystemTime) -> Resumed {
    let made = event.sender.response_url.made();
    // An address that has expired belongs to an event that nobody waits for, or to another clock.
    let is_sound = |made: &SystemTime| {
        let age = now.duration_since(*made).unwrap_or_default();
        *made <= now && age <= LIFETIME
    };
    let made = made.filter(is_sound).unwrap_or(now);
    Resumed {
        build_id: None,
        made,
        answer_by: (made + pace.of(ANSWER_DEADLINE)).max(now + pace.of(LATE_GRACE)),
        patient_until: now + pace.of(PATIENCE),
        start_by: now + pace.of(START_PATIENCE),
    }
}

/// A moment of the wall clock on the clock that we wait by; one that is over is now.
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
    fn the_event_s_own_time_is_the_beginning() {
        let known = known("X-Amz-Date=20261122T180523Z");
        assert_eq!(known.made, now() - 10 * MINUTE);
        assert_eq!(known.answer_by, now() + 45 * MINUTE);
        assert_eq!(known.patient_until, now() + 2 * MINUTE);
        assert_eq!(known.start_by, now() + 3 * MINUTE);
    }

    #[test]
    fn a_late_event_has_a_while_in_any_case() {
        let known = known("X-Amz-Date=20261122T171523Z");
        assert_eq!(known.made, now() - 60 * MINUTE);
        assert_eq!(known.answer_by, now() + 4 * MINUTE);
    }

    #[test]
    fn a_time_that_cannot_be_is_not_believed() {
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
