//! What goes wrong, and when: by count or until released, never by the clock.
//! In: rules of a test. Out: for each call that comes in, what is to go wrong with it; and a record of all calls.
//! Knows the calls' names only.

pub mod gate;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

pub use gate::Gate;

/// Whose call it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Service {
    /// CodeBuild's API; actions as AWS calls them.
    CodeBuild,
    /// ECR's API; actions as AWS calls them.
    Ecr,
    /// ECR's registry host: `Ping`, `GetManifest`, `HeadManifest`, `PutManifest`, `GetBlob`, `HeadBlob`, `StartUpload`, `PatchUpload`, `PutUpload`,
    /// `CancelUpload`, `UploadStatus`, `ListReferrers`, `ListTags`.
    Registry,
    /// The storage that blobs are redirected to: `GetLayer`.
    Storage,
}

/// A kind of call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    service: Service,
    /// None: every one.
    action: Option<String>,
}

impl Point {
    /// Calls of this action.
    pub fn new(service: Service, action: &str) -> Self {
        Self {
            service,
            action: Some(action.to_owned()),
        }
    }

    /// All calls of this service.
    pub fn all(service: Service) -> Self {
        Self {
            service,
            action: None,
        }
    }

    /// `codebuild:…`
    pub fn codebuild(action: &str) -> Self {
        Self::new(Service::CodeBuild, action)
    }

    /// `ecr:…`
    pub fn ecr(action: &str) -> Self {
        Self::new(Service::Ecr, action)
    }

    /// The registry host.
    pub fn registry(action: &str) -> Self {
        Self::new(Service::Registry, action)
    }

    /// Reads of signed addresses.
    pub fn storage() -> Self {
        Self::all(Service::Storage)
    }

    fn meets(&self, call: &Received) -> bool {
        self.service == call.service && self.action.as_ref().is_none_or(|name| *name == call.action)
    }
}

/// What goes wrong with a call.
#[derive(Clone, Debug)]
pub enum Fault {
    /// It is refused so; nothing is done.
    Refused {
        /// HTTP status.
        status: u16,
        /// The service's error code.
        code: String,
        /// The service's words.
        message: String,
    },
    /// It came too often; nothing is done.
    Throttled,
    /// The connection ends without an answer; nothing is done.
    Cut,
    /// It is done, and the connection ends without an answer.
    AnswerLost,
    /// It waits at the gate, then goes on.
    Held(Gate),
    /// Its token (registry host) or address (storage) has just expired.
    Expired,
    /// Its body ends after so many bytes (storage).
    CutAfter(usize),
}

impl Fault {
    /// CodeBuild's account limit.
    pub fn account_limit() -> Self {
        Self::Refused {
            status: 400,
            code: "AccountLimitExceededException".to_owned(),
            message: "Cannot have more than 0 builds in queue for the account".to_owned(),
        }
    }
}

/// A call that came in.
#[derive(Clone, Debug)]
pub struct Received {
    /// 1 for the first call of this cloud.
    pub number: usize,
    /// Whose.
    pub service: Service,
    /// Which.
    pub action: String,
    /// Who: an ARN, or `deployer`.
    pub caller: String,
    /// With what: the JSON, or the path.
    pub body: Value,
}

/// When a hook is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Nothing has been done.
    Received,
    /// All has been done; the answer has not been sent.
    Done,
}

type Hook = Arc<dyn Fn(&Received, Moment) + Send + Sync>;

/// The rules and the record.
#[derive(Default)]
pub struct Faults(Mutex<State>);

#[derive(Default)]
struct State {
    rules: Vec<Rule>,
    calls: Vec<Received>,
    mismatches: Vec<String>,
    hook: Option<Hook>,
}

struct Rule {
    point: Point,
    fault: Fault,
    /// None: always.
    left: Option<usize>,
}

impl Faults {
    /// The next such call goes wrong so.
    pub fn next(&self, point: Point, fault: Fault) {
        self.times(1, point, fault);
    }

    /// The next `times` such calls go wrong so. Rules are used up in the order in which they were made.
    pub fn times(&self, times: usize, point: Point, fault: Fault) {
        self.state().rules.push(Rule {
            point,
            fault,
            left: Some(times),
        });
    }

    /// All such calls go wrong so, until [`Self::clear`].
    pub fn always(&self, point: Point, fault: Fault) {
        self.state().rules.push(Rule {
            point,
            fault,
            left: None,
        });
    }

    /// No more rules for such calls.
    pub fn clear(&self, point: &Point) {
        self.state().rules.retain(|rule| rule.point != *point);
    }

    /// Called twice for every call: when it came in, and before it is answered. May end the caller's process.
    pub fn on_call(&self, hook: impl Fn(&Received, Moment) + Send + Sync + 'static) {
        self.state().hook = Some(Arc::new(hook));
    }

    /// All calls so far.
    pub fn calls(&self) -> Vec<Received> {
        self.state().calls.clone()
    }

    /// How many such calls there were.
    pub fn count(&self, point: &Point) -> usize {
        let state = self.state();
        state.calls.iter().filter(|call| point.meets(call)).count()
    }

    /// What did not match AWS's models: requests of programs, and responses of this cloud.
    pub fn mismatches(&self) -> Vec<String> {
        self.state().mismatches.clone()
    }

    /// Notes one.
    pub(crate) fn note_mismatch(&self, mismatch: String) {
        self.state().mismatches.push(mismatch);
    }

    /// Notes a call, lets it wait where it is to, and says what else is to go wrong with it.
    pub(crate) async fn meet(
        &self,
        service: Service,
        action: &str,
        caller: &str,
        body: Value,
    ) -> (Received, Option<Fault>) {
        let (received, fault, hook) = {
            let mut state = self.state();
            let received = Received {
                number: state.calls.len() + 1,
                service,
                action: action.to_owned(),
                caller: caller.to_owned(),
                body,
            };
            state.calls.push(received.clone());
            let fault = state.take(&received);
            (received, fault, state.hook.clone())
        };
        if let Some(hook) = hook {
            hook(&received, Moment::Received);
        }
        match fault {
            Some(Fault::Held(gate)) => {
                gate.pass().await;
                (received, None)
            }
            fault => (received, fault),
        }
    }

    /// Tells the hook that a call is done.
    pub(crate) fn done(&self, received: &Received) {
        let hook = self.state().hook.clone();
        if let Some(hook) = hook {
            hook(received, Moment::Done);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(&mut self, call: &Received) -> Option<Fault> {
        let at = self.rules.iter().position(|rule| rule.point.meets(call))?;
        let fault = self.rules[at].fault.clone();
        if let Some(left) = &mut self.rules[at].left {
            *left -= 1;
            if *left == 0 {
                self.rules.remove(at);
            }
        }
        Some(fault)
    }
}
