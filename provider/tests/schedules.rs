//! A thousand lives of a resource, each by its seed: requests as CloudFormation sends them, events as Lambda delivers them (again, side
//! by side, late), invocations that are killed or end early, calls that are refused, builds that end in every way. Whatever happens, each
//! request is answered, its answers agree, and none is good without an index.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::{collections::BTreeSet, time::Duration};

use fastrand::Rng;
use serde_json::{Value, json};
use support::{
    argument,
    images::{indexed, single},
    schedule::{Kind, Next, Schedule, request_of, run_all, text},
};

const KIND: Kind = Kind {
    // Some three hundred times as fast as for CloudFormation.
    pace: "0.003",
    step: Duration::from_secs(10),
    steps_back: 20,
    create: |cloud| cloud.event(include_str!("events/create.json")),
    refused: &[
        "BatchGetImage",
        "BatchCheckLayerAvailability",
        "ListBuildsForProject",
        "BatchGetBuilds",
        "StartBuild",
        "Invoke",
        "answer",
    ],
    denied: 400,
    is_short_time_disturbing: false,
};

#[test]
fn every_schedule_ends_with_one_response_per_request() {
    run_all(|servers, seed| {
        let mut schedule = Schedule::begin(KIND, servers, seed, |state, rng| {
            for tag in ["v2", "v3"] {
                single().add_to(state, tag);
            }
            let mut ends = rng.fork();
            state.end_of = Some(Box::new(move |build| end_of(&mut ends, build)));
            state.pushes = Some(indexed());
        });
        let may_run_on = live(&mut schedule);
        check(&schedule, may_run_on);
    });
}

/// A resource, from its Create to its Delete. Whether its builds may run on: the Delete looks for them for ten seconds at most, which are
/// 30 ms at this pace, so a slow machine can give up at a call that is refused.
fn live(schedule: &mut Schedule) -> bool {
    let mut properties = schedule.properties(1);
    let created = schedule
        .ask(&[("Create", None, &properties, None)])
        .remove(0);
    let mut id = text(&created, "PhysicalResourceId");
    let mut is_there = created["Status"] == "SUCCESS";
    for number in 2..2 + schedule.rng.usize(0..3) {
        if !is_there {
            break;
        }
        let new = schedule.properties(number);
        let update = ("Update", Some(&*id), &new, Some(&properties));
        let back = ("Update", Some(&*id), &properties, Some(&new));
        // Somebody cancels, and CloudFormation does not wait for the answer.
        let is_cancelled = schedule.rng.u8(..) < 40;
        let mut answer = if is_cancelled {
            schedule.ask(&[update, back]).remove(1)
        } else {
            schedule.ask(&[update]).remove(0)
        };
        let is_new = !is_cancelled && answer["Status"] == "SUCCESS";
        if !is_cancelled && !is_new {
            answer = schedule.ask(&[back]).remove(0);
        }
        is_there = answer["Status"] == "SUCCESS";
        let old = std::mem::replace(&mut id, text(&answer, "PhysicalResourceId"));
        let old_properties = properties.clone();
        if is_new {
            properties = new;
        }
        if is_there && id != old {
            schedule.ask(&[("Delete", Some(&old), &old_properties, None)]);
        }
    }
    schedule.ask(&[("Delete", Some(&id), &properties, None)]);
    let refused = schedule.cloud.state().refused.clone();
    let may_run_on = refused.contains("ListBuildsForProject") || refused.contains("BatchGetBuilds");
    if schedule.rng.u8(..) < 40 {
        let late = schedule.rng.usize(..schedule.sent.len());
        let late = schedule.sent[late].clone();
        schedule.disturbed.insert(request_of(&late));
        schedule.deliver(vec![Next::Provider(late)]);
    }
    may_run_on
}

fn check(schedule: &Schedule, may_run_on: bool) {
    let state = schedule.cloud.state();
    // Who does not wait may be told of the image as it is, and of its index a moment later.
    let waits = |event: &Value, _: &Value| event["ResourceProperties"]["WaitForIndex"].is_null();
    schedule.check(&state, waits, |event, answer, context| {
        if answer["Status"] == "SUCCESS" {
            check_success(event, answer, &state.images, context);
        }
    });
    let seed = schedule.seed;
    let mut requests = BTreeSet::new();
    for build in &state.builds {
        let request = variable(build, "SOCI_REQUEST_ID");
        assert!(
            requests.insert(request.clone()),
            "seed {seed}: two builds of {request:?}"
        );
        let is_left = build["buildStatus"] == "IN_PROGRESS";
        assert!(
            !is_left || may_run_on || variable(build, "SOCI_BACKGROUND").is_some(),
            "seed {seed}: {build:#} was left running"
        );
    }
}

/// What holds for a good answer by itself.
fn check_success(
    event: &Value,
    answer: &Value,
    images: &std::collections::BTreeMap<String, support::images::Image>,
    context: &str,
) {
    if event["RequestType"] == "Delete" {
        let id = &event["PhysicalResourceId"];
        assert_eq!(answer["PhysicalResourceId"], *id, "{context}");
        return;
    }
    let tag = text(&event["ResourceProperties"], "OutputImageTag");
    let output = &answer["Data"]["OutputImageDigest"];
    assert_eq!(answer["Data"]["OutputImageTag"], tag, "{context}");
    if answer["Data"]["Outcome"] == "started" {
        let waits = &event["ResourceProperties"]["WaitForIndex"];
        assert_eq!(*waits, "false", "{context}");
        assert_eq!(*output, single().digest(), "{context}");
    } else {
        assert_eq!(*output, indexed().digest(), "{context}");
        assert_eq!(images[&tag].digest(), indexed().digest(), "{context}");
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

fn variable(build: &Value, name: &str) -> Option<String> {
    let variables = build["environment"]["environmentVariables"].as_array()?;
    let found = variables.iter().find(|variable| variable["name"] == name)?;
    Some(text(found, "value"))
}
