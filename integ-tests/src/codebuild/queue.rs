//! The account's quota of concurrent builds: the limit runs, five times as many are queued, and more are rejected.
//! In: builds that start, wait and end. Out: queue positions.
//!
//! CodeBuild's user guide, "Builds in AWS CodeBuild": "builds are queued if the number of running builds reaches the concurrent
//! build limit […] The maximum number of builds in a queue is five times the concurrent build limit."

use std::sync::Arc;

use tokio::sync::watch;

/// How many builds may wait for each that may run.
const WAITING_PER_RUNNING: usize = 5;

/// The queue; its clones are the same queue.
#[derive(Clone, Debug)]
pub(super) struct Queue(Arc<watch::Sender<Numbers>>);

#[derive(Clone, Copy, Debug)]
struct Numbers {
    /// None: any number.
    limit: Option<usize>,
    running: usize,
    waiting: usize,
}

/// The queue is full.
#[derive(Debug)]
pub(super) struct Full {
    pub(super) limit: usize,
}

/// A build's position: queued, then running. Released on drop.
#[derive(Debug)]
pub(super) struct Place {
    queue: Queue,
    is_running: bool,
}

impl Queue {
    pub(super) fn new(limit: Option<usize>) -> Self {
        Self(Arc::new(watch::Sender::new(Numbers {
            limit,
            running: 0,
            waiting: 0,
        })))
    }

    /// Changes the quota. Builds that run already go on.
    pub(super) fn limit(&self, limit: Option<usize>) {
        self.0.send_modify(|numbers| numbers.limit = limit);
    }

    /// Takes a place at the end of the queue.
    pub(super) fn join(&self) -> Result<Place, Full> {
        let mut joined = Ok(());
        self.0.send_modify(|numbers| {
            let taken = numbers.running + numbers.waiting;
            match numbers.limit {
                Some(limit) if taken >= limit * (1 + WAITING_PER_RUNNING) => {
                    joined = Err(Full { limit });
                }
                _ => numbers.waiting += 1,
            }
        });
        joined.map(|()| Place {
            queue: self.clone(),
            is_running: false,
        })
    }
}

impl Place {
    /// Waits until there is room to run.
    pub(super) async fn turn(&mut self) {
        let mut numbers = self.queue.0.subscribe();
        while !self.try_run() {
            // The sender lives in `self`, so there is a next change as long as this waits.
            let _ = numbers.changed().await;
        }
    }

    fn try_run(&mut self) -> bool {
        self.is_running = self.queue.0.send_if_modified(|numbers| {
            let has_room = numbers.limit.is_none_or(|limit| numbers.running < limit);
            if has_room {
                numbers.waiting -= 1;
                numbers.running += 1;
            }
            has_room
        });
        self.is_running
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let is_running = self.is_running;
        self.queue.0.send_modify(|numbers| match is_running {
            true => numbers.running -= 1,
            false => numbers.waiting -= 1,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_runs_five_wait_and_the_next_is_refused() {
        let queue = Queue::new(Some(1));
        let mut places: Vec<_> = (0..6).map(|_| queue.join().unwrap()).collect();
        assert_eq!(queue.join().unwrap_err().limit, 1);
        places[0].turn().await;
        assert!(!places[1].try_run());
        let mut second = places.remove(1);
        let turn = tokio::spawn(async move {
            second.turn().await;
            second
        });
        drop(places.remove(0));
        let second = turn.await.unwrap();
        assert!(second.is_running);
        queue.join().unwrap();
    }

    #[tokio::test]
    async fn a_quota_of_none_takes_nothing_and_no_quota_takes_all() {
        let queue = Queue::new(Some(0));
        assert_eq!(queue.join().unwrap_err().limit, 0);
        queue.limit(None);
        for _ in 0..100 {
            queue.join().unwrap().turn().await;
        }
    }
}
