//! CodeBuild: runs the projects' real buildspecs on this machine, as CodeBuild does.
//! In: API calls, and a test's scripts for builds. Out: builds, each with phases, log and exported variables.
//! Gets projects, sources and roles from the account.

mod api;
pub mod build;
pub mod buildspec;
mod credentials;
mod lengths;
mod machine;
pub mod project;
mod queue;
mod rights;
mod run;
pub mod script;
mod shell;
mod source;

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde_json::Value;
use soci_testing::http::Server;
use tokio::task::AbortHandle;

pub use build::Build;
pub use credentials::Source as CredentialsSource;
pub use script::{Exports, Phase, Script, Status};

use crate::{
    account::Account,
    cloud::{call, listener},
    faults::{Faults, Service},
    iam::Iam,
};
use credentials::Desk;
use queue::Queue;

/// Options.
#[derive(Clone, Debug)]
pub struct Options {
    /// A factor on the projects' timeouts.
    pub pace: f64,
    /// How many builds may run at once, and five times as many wait; none: any number.
    pub concurrent_builds: Option<usize>,
    /// How long an idempotency token holds.
    pub idempotency_window: Duration,
    /// Ids in a page of `ListBuildsForProject`.
    pub page: usize,
    /// How builds get their credentials.
    pub credentials: CredentialsSource,
    /// How long a build is in the phase PROVISIONING.
    pub provisioning: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            pace: 1.0,
            concurrent_builds: None,
            idempotency_window: Duration::from_secs(300),
            page: 100,
            credentials: CredentialsSource::default(),
            provisioning: Duration::ZERO,
        }
    }
}

/// CodeBuild, running.
pub struct CodeBuild {
    state: Arc<State>,
    listener: Server,
}

struct State {
    account: Arc<dyn Account>,
    iam: Arc<Iam>,
    options: Options,
    credentials: Desk,
    /// What every build has in its environment: how it reaches this cloud.
    environment: BTreeMap<String, String>,
    builds: Mutex<Vec<Started>>,
    queue: Queue,
    wishes: Mutex<Wishes>,
}

struct Wishes {
    next: VecDeque<Script>,
    always: Script,
}

/// A build, and the call that started it.
struct Started {
    build: Arc<Build>,
    token: Option<String>,
    input: Value,
    at: Instant,
    /// The token was expired by a test.
    forgotten: bool,
    run: AbortHandle,
}

impl State {
    fn builds(&self) -> MutexGuard<'_, Vec<Started>> {
        self.builds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wishes(&self) -> MutexGuard<'_, Wishes> {
        self.wishes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, id: &str) -> Option<Arc<Build>> {
        let id = id.rsplit(":build/").next().unwrap_or(id);
        let builds = self.builds();
        let found = builds.iter().find(|one| one.build.id() == id);
        found.map(|one| one.build.clone())
    }

    fn script(&self) -> Script {
        let mut wishes = self.wishes();
        let next = wishes.next.pop_front();
        next.unwrap_or_else(|| wishes.always.clone())
    }
}

impl CodeBuild {
    /// Starts it. `environment` is what every build has.
    pub(crate) async fn start(
        account: Arc<dyn Account>,
        iam: Arc<Iam>,
        faults: Arc<Faults>,
        environment: BTreeMap<String, String>,
        options: Options,
    ) -> io::Result<Self> {
        let state = Arc::new(State {
            account,
            iam,
            credentials: Desk::open(options.credentials).await?,
            environment,
            builds: Mutex::default(),
            queue: Queue::new(options.concurrent_builds),
            wishes: Mutex::new(Wishes {
                next: VecDeque::new(),
                always: Script::new(),
            }),
            options,
        });
        let answering = state.clone();
        let listener = listener::http(None, move |request| {
            let (state, faults) = (answering.clone(), faults.clone());
            async move {
                let act = |call| api::act(state.clone(), call);
                call::handle(Service::CodeBuild, &state.iam, &faults, request, act).await
            }
        })
        .await?;
        Ok(Self { state, listener })
    }

    /// For `AWS_ENDPOINT_URL_CODEBUILD`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.listener.address())
    }

    /// All builds so far, oldest first.
    pub fn builds(&self) -> Vec<Arc<Build>> {
        let builds = self.state.builds();
        builds.iter().map(|one| one.build.clone()).collect()
    }

    /// A build, by its id or ARN.
    pub fn build(&self, id: &str) -> Option<Arc<Build>> {
        self.state.find(id)
    }

    /// Scripts the next build; called again, the one after it, and so on.
    pub fn next_build(&self, script: Script) {
        self.state.wishes().next.push_back(script);
    }

    /// Scripts all builds without a script from [`Self::next_build`].
    pub fn every_build(&self, script: Script) {
        self.state.wishes().always = script;
    }

    /// How many builds may run at once, and five times as many wait; none: any number.
    pub fn limit(&self, limit: Option<usize>) {
        self.state.queue.limit(limit);
    }

    /// Expires all idempotency tokens.
    pub fn forget_tokens(&self) {
        for one in self.state.builds().iter_mut() {
            one.forgotten = true;
        }
    }
}

impl Drop for CodeBuild {
    fn drop(&mut self) {
        // Each run ends the processes that it started.
        for one in self.state.builds().iter() {
            one.run.abort();
        }
    }
}
