//! Lambda, as far as asynchronous functions need it. In: events, and the programs that are the functions. Out: the programs'
//! processes, fed through the runtime API, ended at the timeout or where their memory is used up, and fed again where they failed; what
//! failed for good goes to the function's destination; a record of everything. Knows nothing of what the functions do.

mod destination;
mod environment;
mod invoke;
mod service;

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, Weak},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use soci_testing::http::Server;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use self::{destination::Failure, environment::Environment, service::Service};
pub use self::{
    environment::Outcome,
    invoke::{Allowed, InvokeRefusal},
    service::Busy,
};
use crate::{
    account::{ACCOUNT_ID, Later, REGION},
    lock::lock,
};

/// A function's settings.
#[derive(Clone)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// The program that is its `bootstrap`.
    pub program: PathBuf,
    /// Environment variables beside those that Lambda sets itself.
    pub environment: BTreeMap<String, String>,
    /// Its memory in MiB; a process that takes more is killed.
    pub memory_mib: u64,
    /// How long an invocation may take.
    pub timeout: Duration,
    /// How often an event is delivered again whose invocation failed.
    pub retries: u32,
    /// How long Lambda waits before that.
    pub retry_pause: Duration,
    /// How long an event waits at most while the function is throttled.
    pub event_age_max: Duration,
    /// ARN of the function that gets the records of events that failed for good.
    pub on_failure: Option<String>,
    /// Says of a call to the Invoke API whether its caller may make it.
    pub allowed: Allowed,
    /// Says whether the function's role may do what Lambda does in its name: write its log, invoke its destination.
    pub role_may: RoleMay,
}

/// Whether a role may do that action, to that resource or to its function's log.
pub type RoleMay = Arc<dyn Fn(&'static str, Option<String>) -> Later<'static, bool> + Send + Sync>;

impl Function {
    /// Its ARN.
    pub fn arn(&self) -> String {
        format!(
            "arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:{}",
            self.name
        )
    }
}

/// One invocation, and what became of it.
#[derive(Clone, Debug)]
pub struct Run {
    /// Lambda's request id; all deliveries of an event have the same.
    pub request_id: String,
    /// The event.
    pub payload: Bytes,
    /// 0 for the first delivery.
    pub attempt: u32,
    /// Which process had it, from 0 on.
    pub environment: usize,
    /// When it was handed out.
    pub at: Instant,
    /// How it ended; none while it goes on.
    pub outcome: Option<Outcome>,
}

/// One function, running.
pub struct Lambda {
    shared: Arc<Shared>,
    api: Server,
}

pub(crate) struct Shared {
    function: Mutex<Function>,
    state: Mutex<State>,
    tasks: Mutex<JoinSet<()>>,
    service: Arc<Service>,
}

#[derive(Default)]
struct State {
    idle: Vec<Arc<Environment>>,
    all: Vec<Arc<Environment>>,
    runs: Vec<Run>,
    refusals: Vec<InvokeRefusal>,
    is_throttled: bool,
}

impl Lambda {
    /// Starts the service; no process yet.
    ///
    /// # Errors
    /// If no port is available.
    pub async fn start(function: Function) -> io::Result<Self> {
        Self::start_in(Arc::default(), function).await
    }

    /// Starts another function of the same account: each can invoke the other.
    ///
    /// # Errors
    /// If no port is available.
    pub async fn start_beside(&self, function: Function) -> io::Result<Self> {
        Self::start_in(Arc::clone(&self.shared.service), function).await
    }

    async fn start_in(service: Arc<Service>, function: Function) -> io::Result<Self> {
        let name = function.name.clone();
        let shared = Arc::new(Shared {
            function: Mutex::new(function),
            state: Mutex::default(),
            tasks: Mutex::default(),
            service,
        });
        shared.service.add(name, &shared);
        let api = invoke::serve(Arc::downgrade(&shared)).await?;
        Ok(Self { shared, api })
    }

    /// Where the Invoke API listens.
    pub fn address(&self) -> SocketAddr {
        self.api.address()
    }

    /// Sets one of the environment variables of processes that are not started yet.
    pub fn set(&self, name: &str, value: impl Into<String>) {
        let mut function = lock(&self.shared.function);
        function.environment.insert(name.to_owned(), value.into());
    }

    /// The variables that a process gets, but for the runtime API's address: for another Lambda in this one's place.
    pub fn variables(&self) -> BTreeMap<String, String> {
        environment::variables(&self.shared.function())
    }

    /// Sets the timeout of invocations that are not begun yet.
    pub fn set_timeout(&self, timeout: Duration) {
        lock(&self.shared.function).timeout = timeout;
    }

    /// Takes an event, as an asynchronous invocation does, and returns its request id at once.
    pub fn deliver(&self, payload: impl Into<Bytes>) -> String {
        Shared::deliver(&self.shared, payload.into())
    }

    /// Kills every process as it is, and comes back when they are gone.
    pub async fn kill(&self) {
        let all = self.shared.state().all.clone();
        for environment in all {
            environment.kill().await;
        }
    }

    /// Has events wait from now on, as where all concurrent executions are in use; or ends that.
    pub fn throttle(&self, is_throttled: bool) {
        self.shared.state().is_throttled = is_throttled;
    }

    /// Sets the memory of processes that are not started yet.
    pub fn set_memory(&self, mib: u64) {
        lock(&self.shared.function).memory_mib = mib;
    }

    /// Sets how long events wait while the function is throttled.
    pub fn set_event_age_max(&self, age: Duration) {
        lock(&self.shared.function).event_age_max = age;
    }

    /// Comes back when no event waits or is worked on, of this function and of those beside it.
    ///
    /// # Errors
    /// Where that is not so within the limit; the text says what still goes on.
    pub async fn quiet(&self, limit: Duration) -> Result<(), Busy> {
        let quiet = self.shared.service.quiet(limit).await;
        quiet.map_err(|busy| busy.printed(self.printed()))
    }

    /// All invocations so far.
    pub fn runs(&self) -> Vec<Run> {
        self.shared.state().runs.clone()
    }

    /// All that the processes printed so far.
    pub fn printed(&self) -> String {
        let all = self.shared.state().all.clone();
        all.iter()
            .map(|environment| environment.printed())
            .collect()
    }

    /// What of it reached the function's log: nothing, where its role may not write one.
    pub fn logged(&self) -> String {
        let all = self.shared.state().all.clone();
        let logging = all.iter().filter(|environment| environment.logs());
        logging.map(|environment| environment.printed()).collect()
    }

    /// When each process was started.
    pub fn started(&self) -> Vec<Instant> {
        self.shared
            .state()
            .all
            .iter()
            .map(|environment| environment.started())
            .collect()
    }

    /// Peak resident memory of the live processes, in KiB.
    pub fn peak_memory_kib(&self) -> Option<u64> {
        let all = self.shared.state().all.clone();
        all.iter()
            .filter_map(|environment| environment.peak_memory_kib())
            .max()
    }

    /// Refuses the next calls of the Invoke API, first in, first out.
    pub fn refuse_invokes(&self, refusals: impl IntoIterator<Item = InvokeRefusal>) {
        self.shared.state().refusals.extend(refusals);
    }
}

impl Drop for Lambda {
    fn drop(&mut self) {
        // Tasks and processes hold what holds them; this is where that ends.
        lock(&self.shared.tasks).abort_all();
        let mut state = self.shared.state();
        state.idle.clear();
        state.all.clear();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn function(&self) -> Function {
        lock(&self.function).clone()
    }

    fn deliver(shared: &Arc<Self>, payload: Bytes) -> String {
        let request_id = uuid();
        let pending = shared.service.pending();
        let (weak, id) = (Arc::downgrade(shared), request_id.clone());
        lock(&shared.tasks).spawn(async move {
            deliver_until_done(&weak, id, payload).await;
            drop(pending);
        });
        request_id
    }

    /// An idle process, or a new one: as many run side by side as there are events at once.
    async fn environment(self: &Arc<Self>) -> io::Result<Arc<Environment>> {
        while let Some(idle) = self.state().idle.pop() {
            if idle.alive() {
                return Ok(idle);
            }
        }
        let environment = Arc::new(Environment::start(&self.function()).await?);
        self.state().all.push(Arc::clone(&environment));
        Ok(environment)
    }

    async fn run(self: &Arc<Self>, request_id: &str, payload: &Bytes, attempt: u32) -> Outcome {
        let environment = match self.environment().await {
            Ok(environment) => environment,
            Err(error) => return Outcome::Died(error.to_string()),
        };
        let index = {
            let mut state = self.state();
            let number = state
                .all
                .iter()
                .position(|one| Arc::ptr_eq(one, &environment));
            state.runs.push(Run {
                request_id: request_id.to_owned(),
                payload: payload.clone(),
                attempt,
                environment: number.unwrap_or_default(),
                at: Instant::now(),
                outcome: None,
            });
            state.runs.len() - 1
        };
        let function = self.function();
        let outcome = environment
            .run(
                request_id,
                payload.clone(),
                function.arn(),
                function.timeout,
            )
            .await;
        let mut state = self.state();
        if let Some(run) = state.runs.get_mut(index) {
            run.outcome = Some(outcome.clone());
        }
        if environment.alive() {
            state.idle.push(environment);
        }
        outcome
    }
}

async fn deliver_until_done(shared: &Weak<Shared>, request_id: String, payload: Bytes) {
    let since = Instant::now();
    let mut attempt = 0;
    loop {
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let function = shared.function();
        let is_throttled = shared.state().is_throttled;
        let failure = if is_throttled {
            (since.elapsed() >= function.event_age_max).then_some(Failure::TooOld)
        } else {
            let outcome = shared.run(&request_id, &payload, attempt).await;
            attempt += 1;
            match outcome {
                Outcome::Returned(_) => return,
                outcome => (attempt > function.retries).then_some(Failure::Ended(outcome)),
            }
        };
        if let Some(failure) = failure {
            let record = destination::record(&function, &request_id, &payload, attempt, &failure);
            destination::send(&shared.service, &function, record).await;
            return;
        }
        sleep(function.retry_pause).await;
    }
}

/// A random id in the usual form.
pub fn uuid() -> String {
    let digits = format!("{:032x}", fastrand::u128(..));
    let (a, rest) = digits.split_at(8);
    let (b, rest) = rest.split_at(4);
    let (c, rest) = rest.split_at(4);
    let (d, e) = rest.split_at(4);
    format!("{a}-{b}-{c}-{d}-{e}")
}

fn unix_millis(at: SystemTime) -> u128 {
    at.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_millis()
}
