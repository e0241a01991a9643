//! A thousand lives of a resource, each by its seed: requests as CloudFormation sends them, events as Lambda delivers them (again, side
//! by side, late), invocations that are killed or end early, calls that are refused, builds that end in every way. Whatever happens, each
//! request is answered, its answers agree, and none is good without an index.
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
use soci_provider::handler::handle;
use support::{
    Cloud, SIGNATURE, argument,
    images::{indexed, single},
};
use tokio::runtime::{Builder, Runtime};

const SCHEDULES: u64 = 1_000;
/// Most of a schedule is waiting.
const SIDE_BY_SIDE: usize = 16;
/// Some three hundred times as fast as for CloudFormation.
const PACE: &str = "0.003";
/// How long after a request the next one is made, on the clock of the events.
const STEP: Duration = Duration::from_secs(10);
/// Lambda runs an event that failed twice more.
const TRIES: usize = 3;
/// Longer than any invocation of a schedule takes.
const ENDLESS: Duration = Duration::from_secs(120);

#[test]
fn every_schedule_ends_with_one_response_per_request() {
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

impl Life {
    fn begin(servers: &Runtime, seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let cloud = servers.block_on(Cloud::start());
        {
            let mut state = cloud.state();
            for tag in ["v2", "v3"] {
                single().add_to(&mut state, tag);
            }
            let mut ends = rng.fork();
            state.end_of = Some(Box::new(move |build| end_of(&mut ends, build)));
            state.pushes = Some(indexed());
        }
        for _ in 0..rng.usize(0..4) {
            let (operation, status, code) = refusal(&mut rng);
            cloud.refuse(operation, rng.usize(1..12), status, code);
        }
        Self {
            seed,
            rng,
            cloud,
            clock: SystemTime::now() - 20 * STEP,
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
            let is_cancelled = self.rng.u8(..) < 40;
            let mut answer = if is_cancelled {
                self.ask(&[update, back]).remove(1)
            } else {
                self.ask(&[update]).remove(0)
            };
            let is_new = !is_cancelled && answer["Status"] == "SUCCESS";
            if !is_cancelled && !is_new {
                answer = self.ask(&[back]).remove(0);
            }
            is_there = answer["Status"] == "SUCCESS";
            let old = std::mem::replace(&mut id, text(&answer, "PhysicalResourceId"));
            let old_properties = properties.clone();
            if is_new {
                properties = new;
            }
            if is_there && id != old {
                self.ask(&[("Delete", Some(&old), &old_properties, None)]);
            }
        }
        self.ask(&[("Delete", Some(&id), &properties, None)]);
        if self.rng.u8(..) < 40 {
            let late = self.rng.usize(..self.sent.len());
            let late = self.sent[late].clone();
            self.disturbed.insert(request_of(&late));
            self.deliver(vec![late]);
        }
    }

    fn properties(&mut self, number: usize) -> Map<String, Value> {
        let event: Value = serde_json::from_str(include_str!("events/create.json")).unwrap();
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
        self.deliver(events);
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
        self.cloud.state().clock = Some(self.clock + STEP / 2);
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

    /// Runs payloads side by side, and then what they have handed over, until nothing is left.
    fn deliver(&mut self, payloads: Vec<Value>) {
        let mut next = payloads;
        while !next.is_empty() {
            let disturbed: Vec<String> = thread::scope(|scope| {
                let runs: Vec<_> = next
                    .drain(..)
                    .map(|payload| {
                        let (rng, cloud) = (self.rng.fork(), &self.cloud);
                        scope.spawn(move || run(cloud, &payload, rng))
                    })
                    .collect();
                let ended = runs.into_iter().map(|run| run.join().unwrap());
                ended.flatten().collect()
            });
            self.disturbed.extend(disturbed);
            next = std::mem::take(&mut self.cloud.state().invoked);
        }
    }

    fn check(&self) {
        let state = self.cloud.state();
        let seed = self.seed;
        for event in &self.sent {
            let id = request_of(event);
            let answers: Vec<&Value> = state
                .answers
                .iter()
                .filter(|answer| answer["RequestId"] == *id)
                .collect();
            if !self.disturbed.contains(&id) {
                assert_eq!(answers.len(), 1, "seed {seed}: {answers:#?}");
            }
            for answer in &answers {
                assert!(!answer.to_string().contains(SIGNATURE), "seed {seed}");
                check_answer(seed, event, answer, &state.images);
            }
            let mut good = answers
                .iter()
                .filter(|answer| answer["Status"] == "SUCCESS");
            // Who does not wait may be told of the image as it is, and of its index a moment later.
            let waits = event["ResourceProperties"]["WaitForIndex"].is_null();
            if let Some(first) = good.next().filter(|_| waits) {
                let said = |answer: &Value| {
                    let id = answer["PhysicalResourceId"].clone();
                    (id, answer["Data"]["OutputImageDigest"].clone())
                };
                for other in good {
                    assert_eq!(said(other), said(first), "seed {seed}: {event:#}");
                }
            }
        }
        let mut requests = BTreeSet::new();
        for build in &state.builds {
            let request = variable(build, "SOCI_REQUEST_ID");
            assert!(
                requests.insert(request.clone()),
                "seed {seed}: two builds of {request:?}"
            );
            let is_left = build["buildStatus"] == "IN_PROGRESS";
            assert!(
                !is_left || variable(build, "SOCI_BACKGROUND").is_some(),
                "seed {seed}: {build:#} was left running"
            );
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

/// What holds for an answer by itself.
fn check_answer(
    seed: u64,
    event: &Value,
    answer: &Value,
    images: &std::collections::BTreeMap<String, support::images::Image>,
) {
    let context = || format!("seed {seed}: {event:#}\n{answer:#}");
    if answer["Status"] == "FAILED" {
        let reason = text(answer, "Reason");
        assert!(
            !reason.is_empty() && !reason.contains("bug"),
            "{}",
            context()
        );
        return;
    }
    assert_eq!(answer["Status"], "SUCCESS", "{}", context());
    if event["RequestType"] == "Delete" {
        assert_eq!(
            answer["PhysicalResourceId"],
            event["PhysicalResourceId"],
            "{}",
            context()
        );
        return;
    }
    let tag = text(&event["ResourceProperties"], "OutputImageTag");
    let output = &answer["Data"]["OutputImageDigest"];
    assert_eq!(answer["Data"]["OutputImageTag"], tag, "{}", context());
    if answer["Data"]["Outcome"] == "started" {
        assert_eq!(
            event["ResourceProperties"]["WaitForIndex"],
            "false",
            "{}",
            context()
        );
        assert_eq!(*output, single().digest(), "{}", context());
    } else {
        assert_eq!(*output, indexed().digest(), "{}", context());
        assert_eq!(images[&tag].digest(), indexed().digest(), "{}", context());
    }
}

/// Runs a payload as Lambda does: again where it fails, in a process that can die. Gives its request where anything of that happened.
fn run(cloud: &Cloud, payload: &Value, mut rng: Rng) -> Option<String> {
    let mut was_disturbed = false;
    for left in (0..TRIES).rev() {
        // The last of three has the time that it takes: there is nobody else to answer.
        let time = match rng.u8(..) {
            ..=80 if left > 0 => Duration::from_millis(rng.u64(60..400)),
            _ => ENDLESS,
        };
        let is_killed = left > 0 && rng.u8(..) < 40;
        let life = match is_killed {
            true => Duration::from_micros(rng.u64(..40_000)),
            false => ENDLESS,
        };
        // A process of its own: what it has begun ends with it.
        let process = Builder::new_current_thread().enable_all().build().unwrap();
        let ended = process.block_on(async {
            let app = cloud.app_at(PACE);
            let deadline = SystemTime::now() + time;
            tokio::time::timeout(life, handle(&app, payload.clone(), deadline)).await
        });
        drop(process);
        match ended {
            Ok(Ok(())) => break,
            Ok(Err(_)) => was_disturbed = true,
            Err(_) => {
                assert!(is_killed, "an invocation does not end: {payload:#}");
                was_disturbed = true;
            }
        }
    }
    was_disturbed.then(|| request_of(payload))
}

/// A call that is refused, and how.
fn refusal(rng: &mut Rng) -> (&'static str, u16, &'static str) {
    let operations = [
        "BatchGetImage",
        "BatchCheckLayerAvailability",
        "ListBuildsForProject",
        "BatchGetBuilds",
        "StartBuild",
        "Invoke",
        "answer",
    ];
    let codes = [
        (400, "ThrottlingException"),
        (400, "AccessDeniedException"),
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

/// The end of a build; a few have none.
fn end_of(rng: &mut Rng, build: &Value) -> Option<(usize, Value)> {
    let said = |result: Value| json!([{"name": "SOCI_RESULT", "value": result.to_string()}]);
    let end = match rng.u8(..100) {
        ..=49 => {
            let result = json!({
                "outcome": "indexed", "image_digest": single().digest(), "output_digest": indexed().digest(),
                "output_tag": argument(build, "output-tag"), "layers": {"indexed": 1, "reused": 0, "skipped": 0}, "indexes": [],
                "bytes_read": 7, "seconds": 0.5,
            });
            json!({"buildStatus": "SUCCEEDED", "exportedEnvironmentVariables": said(result)})
        }
        50..=59 => json!({"buildStatus": "SUCCEEDED"}),
        60..=69 => {
            let result = json!({"outcome": "failed", "error": "layer 3"});
            json!({"buildStatus": "FAILED", "exportedEnvironmentVariables": said(result)})
        }
        70..=79 => json!({"buildStatus": "FAILED"}),
        80..=85 => json!({"buildStatus": "FAULT"}),
        86..=91 => json!({"buildStatus": "TIMED_OUT"}),
        92..=97 => json!({"buildStatus": "STOPPED"}),
        _ => return None,
    };
    Some((rng.usize(..8), end))
}

fn request_of(payload: &Value) -> String {
    let event = payload
        .get("SociIndexBuildContinuation")
        .map_or(payload, |continuation| &continuation["event"]);
    text(event, "RequestId")
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_default().to_owned()
}

fn variable(build: &Value, name: &str) -> Option<String> {
    let variables = build["environment"]["environmentVariables"].as_array()?;
    let found = variables.iter().find(|variable| variable["name"] == name)?;
    Some(text(found, "value"))
}
