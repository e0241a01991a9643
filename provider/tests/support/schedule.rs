//! Schedules: the life of a resource by a seed. Requests as CloudFormation sends them, events as Lambda delivers them (again, side by
//! side), invocations that are killed or short of time, calls that are refused.
//! In: what a kind of schedule does differently. Out: the requests, and the answers to each. Knows nothing of the order of a life.

use std::{
    collections::BTreeSet,
    future::Future,
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use fastrand::Rng;
use serde_json::{Map, Value, json};
use soci_provider::{
    builder_function::{self, Invocation},
    handler::handle,
};
use soci_testing::side_by_side;
use tokio::runtime::{Builder, Runtime};

use super::{Cloud, SIGNATURE, State, functions::Waiting};

const SCHEDULES: u64 = 1_000;
/// Most of a schedule is waiting.
const SIDE_BY_SIDE: usize = 16;
/// Lambda runs the provider's events twice more where they failed, and the builder function's never.
pub const TRIES: usize = 3;
/// Longer than any invocation of a schedule takes.
pub const ENDLESS: Duration = Duration::from_secs(120);

/// What a kind of schedule does differently.
#[derive(Clone, Copy)]
pub struct Kind {
    /// The factor on the provider's pauses.
    pub pace: &'static str,
    /// How long after a request the next one is made, on the clock of the events.
    pub step: Duration,
    /// How many of them before now the first request is made.
    pub steps_back: u32,
    /// A Create.
    pub create: fn(&Cloud) -> Value,
    /// The calls that may be refused.
    pub refused: &'static [&'static str],
    /// The status of a call that is denied.
    pub denied: u16,
    /// Whether an invocation of the provider that is short of time may leave more than one answer.
    pub is_short_time_disturbing: bool,
}

/// Kind, physical id, properties, old properties.
pub type Asked<'a> = (
    &'a str,
    Option<&'a str>,
    &'a Map<String, Value>,
    Option<&'a Map<String, Value>>,
);

/// What Lambda has to run.
pub enum Next {
    Provider(Value),
    Builder(Waiting),
}

/// What became of an event.
#[derive(Default)]
struct Ended {
    /// Its request, where it may have more answers than one.
    disturbed: Option<String>,
    /// What Lambda tells the provider.
    record: Option<Value>,
}

/// Lives a thousand times, each by its seed.
pub fn run_all(live: impl Fn(&Runtime, u64) + Sync) {
    let servers = Builder::new_multi_thread().enable_all().build().unwrap();
    side_by_side(0..SCHEDULES, SIDE_BY_SIDE, |seed| live(&servers, seed));
}

/// A resource and its cloud.
pub struct Schedule {
    pub kind: Kind,
    pub seed: u64,
    pub rng: Rng,
    pub cloud: Cloud,
    /// When the next request is made.
    clock: SystemTime,
    /// All requests that were sent.
    pub sent: Vec<Value>,
    /// Requests whose event ran more than once, or not to its end.
    pub disturbed: BTreeSet<String>,
}

impl Schedule {
    /// Begins, with a cloud that `prepare` has filled.
    pub fn begin(
        kind: Kind,
        servers: &Runtime,
        seed: u64,
        prepare: impl FnOnce(&mut State, &mut Rng),
    ) -> Self {
        let mut rng = Rng::with_seed(seed);
        let cloud = servers.block_on(Cloud::start());
        prepare(&mut cloud.state(), &mut rng);
        for _ in 0..rng.usize(0..4) {
            let (operation, status, code) = refusal(kind.refused, kind.denied, &mut rng);
            cloud.refuse(operation, rng.usize(1..12), status, code);
        }
        Self {
            kind,
            seed,
            rng,
            cloud,
            clock: SystemTime::now() - kind.steps_back * kind.step,
            sent: Vec::new(),
            disturbed: BTreeSet::new(),
        }
    }

    /// The properties of the image with this number; a few do not wait for its index.
    pub fn properties(&mut self, number: usize) -> Map<String, Value> {
        let event = (self.kind.create)(&self.cloud);
        let mut properties = event["ResourceProperties"].as_object().unwrap().clone();
        properties.insert("InputImageTag".to_owned(), json!(format!("v{number}")));
        properties.insert(
            "OutputImageTag".to_owned(),
            json!(format!("v{number}-soci")),
        );
        if self.rng.u8(..) < 60 {
            properties.insert("WaitForIndex".to_owned(), json!("false"));
        }
        properties
    }

    /// Sends requests, the next before the answer to the one before, and gives the first answer to each.
    pub fn ask(&mut self, requests: &[Asked<'_>]) -> Vec<Value> {
        let mut events = Vec::new();
        for request in requests {
            let event = self.event(request);
            self.sent.push(event.clone());
            events.push(event);
        }
        let ids: Vec<String> = events.iter().map(request_of).collect();
        if self.rng.u8(..) < 40 {
            self.disturbed.insert(ids[0].clone());
            events.push(events[0].clone());
        }
        self.deliver(events.into_iter().map(Next::Provider).collect());
        let answers = self.cloud.state().answers.clone();
        let first = |id: &String| {
            let found = answers.iter().find(|answer| answer["RequestId"] == **id);
            found
                .cloned()
                .unwrap_or_else(|| panic!("seed {}: no answer to {id}", self.seed))
        };
        ids.iter().map(first).collect()
    }

    fn event(&mut self, (kind, id, properties, old): &Asked<'_>) -> Value {
        self.clock += self.kind.step;
        let status = match *kind {
            "Create" => "CREATE_IN_PROGRESS",
            "Update" => "UPDATE_IN_PROGRESS",
            _ => "DELETE_IN_PROGRESS",
        };
        {
            let mut state = self.cloud.state();
            state.clock = Some(self.clock + self.kind.step / 2);
            state.resource = Some((status, self.clock));
        }
        let mut event = self.cloud.event(include_str!("../events/create.json"));
        let made = self.clock.duration_since(UNIX_EPOCH).unwrap().as_secs();
        event["ResponseURL"] = json!(format!(
            "{}&Expires={}",
            text(&event, "ResponseURL"),
            made + 7_200
        ));
        event["RequestType"] = json!(kind);
        event["RequestId"] = json!(format!("request-{}", self.sent.len()));
        event["ResourceProperties"] = json!(properties);
        if let Some(id) = id {
            event["PhysicalResourceId"] = json!(id);
        }
        if let Some(old) = old {
            event["OldResourceProperties"] = json!(old);
        }
        event
    }

    /// Runs invocations side by side, and then those that they have made, until nothing is left.
    pub fn deliver(&mut self, mut next: Vec<Next>) {
        while !next.is_empty() {
            let ended: Vec<Ended> = thread::scope(|scope| {
                let runs: Vec<_> = next
                    .drain(..)
                    .map(|one| {
                        let (kind, rng, cloud) = (self.kind, self.rng.fork(), &self.cloud);
                        scope.spawn(move || match one {
                            Next::Provider(payload) => provide(kind, cloud, &payload, rng),
                            Next::Builder(waiting) => build(kind, cloud, &waiting, rng),
                        })
                    })
                    .collect();
                runs.into_iter().map(|run| run.join().unwrap()).collect()
            });
            for one in ended {
                self.disturbed.extend(one.disturbed);
                next.extend(one.record.map(Next::Provider));
            }
            let mut state = self.cloud.state();
            next.extend(state.invoked.drain(..).map(Next::Provider));
            next.extend(state.builder_invoked.drain(..).map(Next::Builder));
        }
    }

    /// Checks the answers to each request: one, unless it was disturbed, and good ones that agree where `is_comparable` says so of
    /// them. `check` has the rest to say of each.
    pub fn check(
        &self,
        state: &State,
        is_comparable: impl Fn(&Value, &Value) -> bool,
        check: impl Fn(&Value, &Value, &str),
    ) {
        for event in &self.sent {
            let id = request_of(event);
            let answers = state.answers.iter();
            let answers: Vec<&Value> = answers
                .filter(|answer| answer["RequestId"] == *id)
                .collect();
            let context = format!("seed {}: {event:#}\n{answers:#?}", self.seed);
            assert!(!answers.is_empty(), "{context}");
            if !self.disturbed.contains(&id) {
                assert_eq!(answers.len(), 1, "{context}");
            }
            for answer in &answers {
                assert!(!answer.to_string().contains(SIGNATURE), "{context}");
                let reason = text(answer, "Reason");
                assert!(!reason.contains("bug"), "{context}");
                if answer["Status"] == "FAILED" {
                    assert!(!reason.is_empty(), "{context}");
                } else {
                    assert_eq!(answer["Status"], "SUCCESS", "{context}");
                }
                check(event, answer, &context);
            }
            let mut good = answers
                .iter()
                .filter(|answer| answer["Status"] == "SUCCESS" && is_comparable(event, answer));
            if let Some(first) = good.next() {
                let said = |answer: &Value| {
                    let id = answer["PhysicalResourceId"].clone();
                    (id, answer["Data"]["OutputImageDigest"].clone())
                };
                for other in good {
                    assert_eq!(said(other), said(first), "{context}");
                }
            }
        }
    }
}

/// Runs the provider as Lambda does: again where it fails, in a process that can die.
fn provide(kind: Kind, cloud: &Cloud, payload: &Value, mut rng: Rng) -> Ended {
    let mut was_disturbed = false;
    for left in (0..TRIES).rev() {
        // The last of three has all the time that it needs: no other invocation answers.
        let time = match rng.u8(..) {
            ..=80 if left > 0 => Duration::from_millis(rng.u64(60..400)),
            _ => ENDLESS,
        };
        // What ends while its call is on the way cannot know whether it was heard.
        was_disturbed |= kind.is_short_time_disturbing && time < ENDLESS;
        let is_killed = left > 0 && rng.u8(..) < 40;
        let life = match is_killed {
            true => Duration::from_micros(rng.u64(..40_000)),
            false => ENDLESS,
        };
        let ended = process(async {
            let app = cloud.app_at(kind.pace);
            let deadline = SystemTime::now() + time;
            tokio::time::timeout(life, handle(&app, payload.clone(), deadline)).await
        });
        match ended {
            Ok(Ok(())) => break,
            Ok(Err(_)) => was_disturbed = true,
            Err(_) => {
                assert!(is_killed, "an invocation does not end: {payload:#}");
                was_disturbed = true;
            }
        }
    }
    Ended {
        disturbed: was_disturbed.then(|| request_of(payload)),
        record: None,
    }
}

/// Runs the builder function, or not at all; once.
fn build(kind: Kind, cloud: &Cloud, waiting: &Waiting, mut rng: Rng) -> Ended {
    if rng.u8(..) < 15 {
        return Ended {
            disturbed: None,
            record: Some(waiting.record("EventAgeExceeded", "", "")),
        };
    }
    let is_short = rng.u8(..) < 40;
    let time = match is_short {
        true => Duration::from_millis(rng.u64(100..600)),
        false => ENDLESS,
    };
    let is_killed = rng.u8(..) < 80;
    let life = match is_killed {
        true => Duration::from_micros(rng.u64(..300_000)),
        false => ENDLESS,
    };
    let ended = process(async {
        let invocation = Invocation {
            request_id: waiting.request_id.clone(),
            deadline: SystemTime::now() + time,
        };
        let function = cloud.builder_at(kind.pace);
        let handled = builder_function::handle(&function, waiting.payload.clone(), invocation);
        tokio::time::timeout(life, handled).await
    });
    let record = match ended {
        Ok(Ok(())) => return Ended::default(),
        Ok(Err(error)) => waiting.record("RetriesExhausted", "Undelivered", &error.to_string()),
        Err(_) => {
            assert!(
                is_killed,
                "an invocation does not end: {:#}",
                waiting.payload
            );
            waiting.killed()
        }
    };
    // Its answer may have been on the way.
    Ended {
        disturbed: Some(request_of(&waiting.payload)),
        record: Some(record),
    }
}

/// A process of its own: what it has begun ends with it.
pub fn process<T>(work: impl Future<Output = T>) -> T {
    let process = Builder::new_current_thread().enable_all().build().unwrap();
    process.block_on(work)
}

/// A call that is refused, and how.
pub fn refusal(
    refused: &[&'static str],
    denied: u16,
    rng: &mut Rng,
) -> (&'static str, u16, &'static str) {
    let codes = [
        (400, "ThrottlingException"),
        (denied, "AccessDeniedException"),
        (500, "InternalFailure"),
        (503, "SlowDown"),
    ];
    let operation = refused[rng.usize(..refused.len())];
    match operation {
        // Anything else of S3 means that nobody takes the answer any more.
        "answer" => (operation, 503, "SlowDown"),
        _ => {
            let (status, code) = codes[rng.usize(..codes.len())];
            (operation, status, code)
        }
    }
}

/// The request that a payload is about.
pub fn request_of(payload: &Value) -> String {
    let payload = payload.get("requestPayload").unwrap_or(payload);
    let event = payload
        .get("SociIndexBuildContinuation")
        .map_or(payload, |continuation| &continuation["event"]);
    text(event, "RequestId")
}

pub fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_default().to_owned()
}
