//! Stopping builds that nobody needs any more, beside the work: whether and when that is possible never delays an answer.
//! In: builds. Out: log lines. Decides nothing.

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
    call::{CallError, patiently},
    log::Log,
    pace::{Pace, Patience},
};

/// For how long a build's stop is tried. It ends by itself, if later.
pub const STOP_PATIENCE: Duration = Duration::from_secs(10);
/// Where calls hang, whatever the pace.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// The stops of a request that have begun.
#[derive(Debug, Default)]
pub struct Stops(Mutex<Begun>);

#[derive(Debug, Default)]
struct Begun {
    builds: BTreeSet<String>,
    tasks: JoinSet<()>,
}

impl Stops {
    /// Begins to stop these builds of older requests; each once.
    pub fn begin(&self, pace: Pace, builds: &Builds, outdated: Vec<String>, log: &Log) {
        let mut begun = self.begun();
        for build in outdated {
            if begun.builds.insert(build.clone()) {
                let (builds, log) = (builds.clone(), log.clone());
                begun.tasks.spawn(async move {
                    let what = match stop(pace, &builds, &build, &log).await {
                        Ok(state) => said(&state),
                        Err(error) => format!("could not be stopped: {error}"),
                    };
                    log.say(format_args!("the build {build} of an older request {what}"));
                });
            }
        }
    }

    /// Waits until all of them are over.
    pub async fn finish(&self) {
        let tasks = std::mem::take(&mut self.begun().tasks);
        tasks.join_all().await;
    }

    fn begun(&self) -> MutexGuard<'_, Begun> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Stops a build, and looks until it has ended. Gives its state then, which is a running one where there was no time for that.
///
/// # Errors
/// Where CodeBuild does not stop it.
pub async fn stop(pace: Pace, builds: &Builds, build: &str, log: &Log) -> Result<State, CallError> {
    let patience = Patience::new(pace, Instant::now() + pace.of(STOP_PATIENCE));
    let stopped = timeout(
        STOP_TIMEOUT,
        patiently(&patience, log, || builds.stop(build)),
    );
    let slow = |_| Err(CallError::new("CodeBuild StopBuild", "no answer in time"));
    let stopped = stopped.await.unwrap_or_else(slow)?;
    let ended = timeout(STOP_TIMEOUT, async {
        let mut state = stopped.clone();
        let mut tries = patience.tries();
        while matches!(state, State::Running { .. }) && tries.again().await {
            // The stop was taken; a look that fails changes nothing about that.
            state = builds.look(build).await.unwrap_or(state);
        }
        state
    });
    Ok(ended.await.unwrap_or(stopped))
}

/// What became of a build that was to be stopped, to follow "the build … ".
#[must_use]
pub fn said(state: &State) -> String {
    match state {
        State::Running { .. } => "is being stopped".to_owned(),
        State::Ended(ending) => ending.how(),
        State::Unknown => "is not known to CodeBuild any more".to_owned(),
    }
}
