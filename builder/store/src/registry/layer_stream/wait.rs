//! How much of its time a reader waits for the network, and how many connections that asks for. Pure.

use std::time::Duration;

use tokio::time::Instant;

use super::PARTS_MAX;

/// Bytes between two decisions.
const DECISION_BYTES: usize = 8 << 20;
/// A reader that waits less than this share of its time, as a divisor, is served well by one connection: it would gain little,
/// and each further one costs requests.
const FIRST_SHARE: u32 = 2;
/// The same where there are several already.
const LATER_SHARE: u32 = 8;

/// What was seen since the last decision.
pub(super) struct Wait {
    connections: usize,
    /// More connections than parts would have nothing to read.
    max: usize,
    /// Since the first bytes: until then the reader waits for the connection, not for its speed.
    since: Option<Instant>,
    waited: Duration,
    bytes: usize,
}

impl Default for Wait {
    fn default() -> Self {
        Self {
            connections: 1,
            max: PARTS_MAX,
            since: None,
            waited: Duration::ZERO,
            bytes: 0,
        }
    }
}

impl Wait {
    /// Stays at one connection.
    pub(super) fn never() -> Self {
        Self {
            max: 1,
            ..Self::default()
        }
    }

    /// How many connections are worth their cost.
    pub(super) fn connections(&self) -> usize {
        self.connections
    }

    /// Counts bytes that the reader asked for at one time and got at another.
    pub(super) fn count(&mut self, asked: Instant, got: Instant, bytes: usize) {
        let Some(since) = self.since else {
            self.since = Some(got);
            return;
        };
        self.waited += got - asked;
        self.bytes += bytes;
        if self.bytes < DECISION_BYTES {
            return;
        }
        let share = match self.connections {
            1 => FIRST_SHARE,
            _ => LATER_SHARE,
        };
        if self.waited * share > got - since {
            self.connections = (self.connections * 2).min(self.max);
        }
        self.since = Some(got);
        self.waited = Duration::ZERO;
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads 32 MiB in pieces of 1 MiB, each of which takes so long to come and to be used.
    fn connections(wait: &mut Wait, comes: u64, used: u64) -> usize {
        let mut now = Instant::now();
        for _ in 0..33 {
            let asked = now;
            let got = asked + Duration::from_millis(comes);
            wait.count(asked, got, 1 << 20);
            now = got + Duration::from_millis(used);
        }
        wait.connections()
    }

    #[test]
    fn a_reader_that_waits_gets_more_connections() {
        assert_eq!(connections(&mut Wait::default(), 25, 4), PARTS_MAX);
        assert_eq!(connections(&mut Wait::default(), 5, 4), PARTS_MAX);
    }

    #[test]
    fn a_reader_that_is_slower_than_one_connection_keeps_it() {
        assert_eq!(connections(&mut Wait::default(), 4, 5), 1);
        assert_eq!(connections(&mut Wait::default(), 0, 4), 1);
    }

    #[test]
    fn no_more_than_needed_are_added() {
        let mut wait = Wait {
            connections: 2,
            ..Wait::default()
        };
        assert_eq!(connections(&mut wait, 1, 8), 2);
        assert_eq!(connections(&mut wait, 2, 8), PARTS_MAX);
    }

    #[test]
    fn the_time_until_the_first_byte_does_not_count() {
        let mut wait = Wait::default();
        let now = Instant::now();
        wait.count(now, now + Duration::from_secs(60), 1 << 20);
        assert_eq!(connections(&mut wait, 0, 4), 1);
    }

    #[test]
    fn a_registry_without_ranges_gets_one_connection() {
        assert_eq!(connections(&mut Wait::never(), 25, 4), 1);
    }
}
