//! The on-push function against a small cloud on loopback: which events it takes, what it pushes, and what it records.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod backfill;
mod events;
mod failures;
mod images;
mod redrive;
#[path = "../support/mod.rs"]
mod support;

use serde_json::Value;
use support::{
    Cloud, INVOCATION,
    on_push::{SETTINGS, push},
};

/// Whether the image has an index under its output tag.
fn has_index(cloud: &Cloud, tag: &str) -> bool {
    let state = cloud.state();
    let output = state.images.get(&format!("{tag}-soci"));
    output.is_some_and(|output| {
        output
            .text
            .contains("application/vnd.amazon.soci.index.v2+json")
    })
}

/// Runs an event that fails, and gives the error, which the only record has as well.
async fn failure_of(cloud: &Cloud, settings: &str, event: &Value) -> String {
    let function = cloud.on_push(settings);
    let error = function.run(event, INVOCATION).await.unwrap_err();
    let error = soci_index::run::chain(&error);
    let records = function.records();
    assert_eq!(records.len(), 1, "{records:#?}");
    assert_eq!(records[0]["Outcome"], "failed");
    assert_eq!(records[0]["Reason"], error);
    error
}

/// Runs the event of a push, and gives the record.
async fn index(cloud: &Cloud, tag: &str) -> Value {
    let digest = cloud.state().images[tag].digest();
    cloud.record_of(SETTINGS, &push(tag, &digest)).await
}
