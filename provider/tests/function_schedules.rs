//! A thousand lives of a resource whose index the builder function builds, each by its seed: requests as CloudFormation sends them, events as
//! Lambda delivers them, both functions killed at any moment or short of time, events that are never run, calls that are refused, requests
//! that a newer one follows before their answer. Whatever happens, each request is answered, and none is good without an index.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use fastrand::Rng;
use serde_json::{Map, Value, json};
use soci_provider::{
    builder_function::{self, Invocation},
    handler::handle,
};
use support::{Cloud, SIGNATURE, functions::Waiting, images::real};
use tokio::runtime::{Builder, Runtime};

const SCHEDULES: u64 = 1_000;
/// Most of a schedule is waiting.
const SIDE_BY_SIDE: usize = 16;
/// A hundred times as fast as for CloudFormation: an event of this minute has its 33 s.
const PACE: &str = "0.01";
/// How long after a request the next one is made, on the clock of the events: more than what counts as the same moment.
const STEP: Duration = Duration::from_secs(4);
/// Lambda runs the provider's events twice more where they failed, and the builder function's never.
const TRIES: usize = 3;
/// Longer than any invocation of a schedule takes.
const ENDLESS: Duration = Duration::from_secs(120);

#[test]
fn every_schedule_ends_in_one_answer_for_each_request() {
    let servers = Builder::new_multi_thread().enable_all().build().unwrap();
    let next = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= SCHEDULES {
                        return;
                    }
                    let mut life = Life::begin(&servers, seed);
                    life.live();
                    life.check();
                }
            });
        }
    });
}

/// A resource, from its Create to its Delete.
struct Life {
    seed: u64,
    rng: Rng,
    cloud: Cloud,
    /// When the next request is made.
    clock: SystemTime,
    /// All requests that were sent.
    sent: Vec<Value>,
    /// Requests whose event ran more than once, or not to its end.
    disturbed: BTreeSet<String>,
}

/// What Lambda has to run.
enum Next {
    Provider(Value),
    Builder(Waiting),
}

impl Life {
    fn begin(servers: &Runtime, seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let cloud = servers.block_on(Cloud::start());
        for number in 1..=3_u8 {
            let layers: Vec<u8> = (1..=number).collect();
            real(&layers).add_to(&mut cloud.state(), &format!("v{number}"));
        }
        for _ in 0..rng.usize(0..4) {
            let (operation, status, code) = refusal(&mut rng);
            cloud.refuse(operation, rng.usize(1..12), status, code);
        }
        Self {
            seed,
            rng,
            cloud,
            clock: SystemTime::now() - 6 * STEP,
            sent: Vec::new(),
            disturbed: BTreeSet::new(),
        }
    }

    fn live(&mut self) {
        let mut properties = self.properties(1);
        let created = self.ask(&[("Create", None, &properties, None)]).remove(0);
        let mut id = text(&created, "PhysicalResourceId");
        let mut is_there = created["Status"] == "SUCCESS";
        for number in 2..2 + self.rng.usize(0..3) {
            if !is_there {
                break;
            }
            let new = self.properties(number);
            let update = ("Update", Some(&*id), &new, Some(&properties));
            let back = ("Update", Some(&*id), &properties, Some(&new));
            // Somebody cancels, and CloudFormation does not wait for the answer.
            if self.rng.u8(..) < 60 {
                let answer = self.ask(&[update, back]).remove(1);
                is_there = answer["Status"] == "SUCCESS";
                id = text(&answer, "PhysicalResourceId");
                continue;
            }
            let answer = self.ask(&[update]).remove(0);
            let old = std::mem::replace(&mut id, text(&answer, "PhysicalResourceId"));
            let old_properties = properties.clone();
            is_there = answer["Status"] == "SUCCESS";
            if is_there {
                properties = new;
                if id != old {
                    self.ask(&[("Delete", Some(&old), &old_properties, None)]);
                }
            }
        }
        self.ask(&[("Delete", Some(&id), &properties, None)]);
    }

    fn properties(&mut self, number: usize) -> Map<String, Value> {
        let event = self
            .cloud
            .function_event(include_str!("events/create.json"));
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
    fn ask(&mut self, requests: &[Asked<'_>]) -> Vec<Value> {
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
        self.clock += STEP;
        let status = match *kind {
            "Create" => "CREATE_IN_PROGRESS",
            "Update" => "UPDATE_IN_PROGRESS",
            _ => "DELETE_IN_PROGRESS",
        };
        self.cloud.state().resource = Some((status, self.clock));
        let mut event = self.cloud.event(include_str!("events/create.json"));
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
    fn deliver(&mut self, mut next: Vec<Next>) {
        while !next.is_empty() {
            let ended: Vec<Ended> = thread::scope(|scope| {
                let runs: Vec<_> = next
                    .drain(..)
                    .map(|one| {
                        let (rng, cloud) = (self.rng.fork(), &self.cloud);
                        scope.spawn(move || match one {
                            Next::Provider(payload) => provide(cloud, &payload, rng),
                            Next::Builder(waiting) => build(cloud, &waiting, rng),
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

    fn check(&self) {
        let state = self.cloud.state();
        for event in &self.sent {
            let id = request_of(event);
            let answers: Vec<&Value> = state
                .answers
                .iter()
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
                assert!(
                    answer["Status"] == "SUCCESS" || !reason.is_empty(),
                    "{context}"
                );
            }
            let mut good = answers.iter().filter(|answer| {
                answer["Status"] == "SUCCESS"
                    && event["RequestType"] != "Delete"
                    && answer["Data"]["Outcome"] != "started"
            });
            if let Some(first) = good.next() {
                let tag = text(&event["ResourceProperties"], "OutputImageTag");
                let output = state.images.get(&tag).map(support::images::Image::digest);
                let output = output.unwrap_or_else(|| panic!("{tag} is not there: {context}"));
                assert_eq!(first["Data"]["OutputImageDigest"], output, "{context}");
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

/// Kind, physical id, properties, old properties.
type Asked<'a> = (
    &'a str,
    Option<&'a str>,
    &'a Map<String, Value>,
    Option<&'a Map<String, Value>>,
);

/// What became of an event.
#[derive(Default)]
struct Ended {
    /// Its request, where it may have more answers than one.
    disturbed: Option<String>,
    /// What Lambda tells the provider.
    record: Option<Value>,
}

/// Runs the provider as Lambda does: again where it fails, in a process that can die.
fn provide(cloud: &Cloud, payload: &Value, mut rng: Rng) -> Ended {
    let mut was_disturbed = false;
    for left in (0..TRIES).rev() {
        // The last of three has the time that it takes: there is nobody else to answer.
        let time = match rng.u8(..) {
            ..=80 if left > 0 => Duration::from_millis(rng.u64(60..400)),
            _ => ENDLESS,
        };
        // What ends while its call is on the way cannot know whether it was heard.
        was_disturbed |= time < ENDLESS;
        let is_killed = left > 0 && rng.u8(..) < 40;
        let life = match is_killed {
            true => Duration::from_micros(rng.u64(..40_000)),
            false => ENDLESS,
        };
        let ended = process(async {
            let app = cloud.app_at(PACE);
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
fn build(cloud: &Cloud, waiting: &Waiting, mut rng: Rng) -> Ended {
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
        let function = cloud.builder_at(PACE);
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
fn process<T>(work: impl Future<Output = T>) -> T {
    let process = Builder::new_current_thread().enable_all().build().unwrap();
    process.block_on(work)
}

/// A call that is refused, and how.
fn refusal(rng: &mut Rng) -> (&'static str, u16, &'static str) {
    let operations = [
        "BatchGetImage",
        "BatchCheckLayerAvailability",
        "InvokeBuilder",
        "Invoke",
        "DescribeStackResource",
        "GetManifest",
        "PutManifest",
        "GetBlob",
        "HeadBlob",
        "StartUpload",
        "PutUpload",
        "answer",
    ];
    let codes = [
        (400, "ThrottlingException"),
        (403, "AccessDeniedException"),
        (500, "InternalFailure"),
        (503, "SlowDown"),
    ];
    let operation = operations[rng.usize(..operations.len())];
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
fn request_of(payload: &Value) -> String {
    let payload = payload.get("requestPayload").unwrap_or(payload);
    let event = payload
        .get("SociIndexBuildContinuation")
        .map_or(payload, |continuation| &continuation["event"]);
    text(event, "RequestId")
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_default().to_owned()
}
