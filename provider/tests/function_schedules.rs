//! A thousand lives of a resource whose index the builder function builds, each by its seed: requests as CloudFormation sends them, events as
//! Lambda delivers them, both functions killed at any moment or short of time, events that are never run, calls that are refused, requests
//! that a newer one follows before their answer. Whatever happens, each request is answered, and none is good without an index.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::time::Duration;

use serde_json::Value;
use support::{
    images::real,
    schedule::{Kind, Schedule, run_all, text},
};

const KIND: Kind = Kind {
    // A hundred times as fast as for CloudFormation: an event of this minute has its 33 s.
    pace: "0.01",
    // More than what counts as the same moment.
    step: Duration::from_secs(4),
    steps_back: 6,
    create: |cloud| cloud.function_event(include_str!("events/create.json")),
    refused: &[
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
    ],
    denied: 403,
    is_short_time_disturbing: true,
};

#[test]
fn every_schedule_ends_in_one_answer_for_each_request() {
    run_all(|servers, seed| {
        let mut schedule = Schedule::begin(KIND, servers, seed, |state, _| {
            for number in 1..=3_u8 {
                let layers: Vec<u8> = (1..=number).collect();
                real(&layers).add_to(state, &format!("v{number}"));
            }
        });
        live(&mut schedule);
        check(&schedule);
    });
}

/// A resource, from its Create to its Delete.
fn live(schedule: &mut Schedule) {
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
        if schedule.rng.u8(..) < 60 {
            let answer = schedule.ask(&[update, back]).remove(1);
            is_there = answer["Status"] == "SUCCESS";
            id = text(&answer, "PhysicalResourceId");
            continue;
        }
        let answer = schedule.ask(&[update]).remove(0);
        let old = std::mem::replace(&mut id, text(&answer, "PhysicalResourceId"));
        let old_properties = properties.clone();
        is_there = answer["Status"] == "SUCCESS";
        if is_there {
            properties = new;
            if id != old {
                schedule.ask(&[("Delete", Some(&old), &old_properties, None)]);
            }
        }
    }
    schedule.ask(&[("Delete", Some(&id), &properties, None)]);
}

/// What is answered as an index is one.
fn check(schedule: &Schedule) {
    let state = schedule.cloud.state();
    let is_index = |event: &Value, answer: &Value| {
        event["RequestType"] != "Delete" && answer["Data"]["Outcome"] != "started"
    };
    schedule.check(&state, is_index, |event, answer, context| {
        if answer["Status"] != "SUCCESS" || !is_index(event, answer) {
            return;
        }
        let tag = text(&event["ResourceProperties"], "OutputImageTag");
        let output = state.images.get(&tag).map(support::images::Image::digest);
        let output = output.unwrap_or_else(|| panic!("{tag} is not there: {context}"));
        assert_eq!(answer["Data"]["OutputImageDigest"], output, "{context}");
    });
}
