//! Stops outdated builds in the background, without delaying the response.
//! In: builds. Out: log lines. Makes no decisions.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    task::JoinSet,
    time::{Instant, timeout},
};

use crate::{
    build::{Builds, State},
    call::{CallError, with_retries},
    log::Log,
    pace::{Pace, RetryWindow},
    plan::{RequestKey, outdated},
};

/// How long StopBuild is retried. Otherwise the build ends by itself later.
pub const STOP_RETRY_PERIOD: Duration = Duration::from_secs(10);
/// The limit for calls that hang; not scaled by the pace.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// The pending stops of a request.
#[derive(Debug, Default)]
pub struct Stops(Mutex<Pending>);

#[derive(Debug, Default)]
struct Pending {
    builds: BTreeSet<String>,
    tasks: JoinSet<()>,
}

impl Stops {
    /// Starts stopping these builds, each of them once.
    pub fn begin(&self, pace: Pace, builds: &Builds, outdated: Vec<String>, log: &Log) {
        let mut pending = self.pending();
        for build in outdated {
            if pending.builds.insert(build.clone()) {
                let (builds, log) = (builds.clone(), log.clone());
                let stopping = async move { stop_outdated(pace, &builds, &build, &log).await };
                pending.tasks.spawn(stopping);
            }
        }
    }

    /// Starts stopping older builds in a project that the resource no longer uses. Best effort: permissions may have been removed.
    pub fn begin_in_former(&self, pace: Pace, builds: Builds, request_key: RequestKey, log: Log) {
        self.pending().tasks.spawn(async move {
            let outdated = match builds.latest().await {
                Ok(known) => outdated(&request_key, &known),
                Err(error) if error.is_not_found() => Vec::new(),
                Err(error) => {
                    let project = &builds.project;
                    log.info(format_args!(
                        "cannot list builds to stop in the former project {project}: {error}"
                    ));
                    Vec::new()
                }
            };
            for build in outdated {
                stop_outdated(pace, &builds, &build, &log).await;
            }
        });
    }

    /// Waits until all of them are complete.
    pub async fn finish(&self) {
        let tasks = std::mem::take(&mut self.pending().tasks);
        tasks.join_all().await;
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn stop_outdated(pace: Pace, builds: &Builds, build: &str, log: &Log) {
    let what = match stop(pace, builds, build, log).await {
        Ok(state) => said(&state),
        Err(error) => format!("could not be stopped: {error}"),
    };
    log.info(format_args!("build {build} of an older request {what}"));
}

/// Stops a build and waits until it has ended. Returns its last known state, which may still be running.
///
/// # Errors
/// If CodeBuild does not stop it.
pub async fn stop(pace: Pace, builds: &Builds, build: &str, log: &Log) -> Result<State, CallError> {
    let retry_window = RetryWindow::new(pace, Instant::now() + pace.of(STOP_RETRY_PERIOD));
    let stopped = timeout(
        STOP_TIMEOUT,
        with_retries(&retry_window, log, || builds.stop(build)),
    );
    let slow = |_| Err(CallError::new("CodeBuild StopBuild", "timed out"));
    let stopped = stopped.await.unwrap_or_else(slow)?;
    let ended = timeout(STOP_TIMEOUT, async {
        let mut state = stopped.clone();
        let mut attempts = retry_window.attempts();
        while matches!(state, State::Running { .. }) && attempts.again().await {
            // The stop was accepted, so a failed status call does not matter.
            state = builds.look(build).await.unwrap_or(state);
        }
        state
    });
    Ok(ended.await.unwrap_or(stopped))
}

/// The state of a stopped build as text, to follow "build ID ".
#[must_use]
pub fn said(state: &State) -> String {
    match state {
        State::Running { .. } => "is being stopped".to_owned(),
        State::Ended(ended) => ended.describe(),
        State::Unknown => "no longer exists in CodeBuild".to_owned(),
    }
}
