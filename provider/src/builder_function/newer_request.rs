//! Detects that a newer request or a Delete of the same resource has followed, or that the request was cancelled. An older run is useless
//! then, and could move a tag that the newer one has pushed.
//! In: the resource's status in CloudFormation. Out: why to stop. If the status is unknown, the run continues.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use tokio::time::sleep;

use super::{
    index::Task,
    stack_resource::{StackResource, StackResources},
};
use crate::{log::Log, pace::Pace, properties};

/// How often the status is checked.
const LOOK_PERIOD: Duration = Duration::from_secs(10);
/// The status is set when the request is created, by another clock. A cancelled update is rolled back later than this.
const SAME_REQUEST: Duration = Duration::from_secs(10);
/// The provider responds within this time after a background invocation, which sets the status again.
const ANSWERED: Duration = Duration::from_secs(60);
/// Some of these times have a resolution of one second.
const SECONDS: Duration = Duration::from_secs(2);

/// Checks for newer requests.
#[derive(Clone)]
pub(super) struct NewerRequest {
    resources: StackResources,
    stack_id: String,
    logical_id: String,
    wanted: Wanted,
    pace: Pace,
    log: Log,
    has_failed: Arc<AtomicBool>,
}

/// The status while this is the newest request.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    /// Whether CloudFormation waits for the response.
    is_waited_for: bool,
    /// It is set no later than this.
    until: SystemTime,
}

impl NewerRequest {
    pub(super) fn new(resources: StackResources, task: &Task, pace: Pace) -> Self {
        let context = &task.event.context;
        let is_waited_for = properties::is_waited_for(task.event.properties());
        let until = match is_waited_for {
            true => task.resumed.made + pace.of(SAME_REQUEST).max(SECONDS),
            false => task.resumed.made.max(task.begun) + pace.of(ANSWERED).max(SECONDS),
        };
        Self {
            resources,
            stack_id: context.stack_id.clone(),
            logical_id: context.logical_id.clone(),
            wanted: Wanted {
                is_waited_for,
                until,
            },
            pace,
            log: task.log.clone(),
            has_failed: Arc::default(),
        }
    }

    /// Checks periodically; returns why to stop.
    pub(super) async fn watch(&self) -> String {
        loop {
            sleep(self.pace.of(LOOK_PERIOD)).await;
            if let Some(why) = self.look().await {
                return why;
            }
        }
    }

    /// Checks once; returns why to stop, if so.
    pub(super) async fn look(&self) -> Option<String> {
        match self
            .resources
            .describe(&self.stack_id, &self.logical_id)
            .await
        {
            Ok(resource) => self.wanted.why_not(&resource),
            Err(error) => {
                if !self.has_failed.swap(true, Ordering::Relaxed) {
                    self.log
                        .info(format_args!("cannot check for newer requests: {error}"));
                }
                None
            }
        }
    }
}

impl Wanted {
    fn why_not(&self, resource: &StackResource) -> Option<String> {
        let status = &resource.status;
        let is_in_progress = status.ends_with("_IN_PROGRESS");
        // In a replacement, CloudFormation deletes the old id while a background run for the new one continues.
        let is_newer =
            resource.updated > self.until && (self.is_waited_for || !status.starts_with("DELETE"));
        (is_newer || (self.is_waited_for && !is_in_progress))
            .then(|| format!("its status is {status}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_newer_stops_a_run() {
        let until = SystemTime::now();
        let (before, after) = (until - SECONDS, until + SECONDS);
        for (is_waited_for, status, updated, is_stopped) in [
            (true, "CREATE_IN_PROGRESS", before, false),
            (true, "UPDATE_IN_PROGRESS", before, false),
            (true, "UPDATE_IN_PROGRESS", after, true),
            (true, "DELETE_IN_PROGRESS", after, true),
            (true, "CREATE_FAILED", before, true),
            (true, "UPDATE_COMPLETE", after, true),
            // After the provider's response.
            (false, "CREATE_COMPLETE", before, false),
            (false, "UPDATE_IN_PROGRESS", before, false),
            (false, "DELETE_IN_PROGRESS", after, false),
            (false, "UPDATE_IN_PROGRESS", after, true),
            (false, "UPDATE_COMPLETE", after, true),
        ] {
            let wanted = Wanted {
                is_waited_for,
                until,
            };
            let resource = StackResource {
                status: status.to_owned(),
                updated,
            };
            let why = wanted.why_not(&resource);
            assert_eq!(why.is_some(), is_stopped, "{is_waited_for} {resource:?}");
        }
    }
}
