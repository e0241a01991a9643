//! Create, Update, Delete as the handler sees them, against a small cloud on loopback: what is called, and what is answered.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod background;
mod builds;
mod deleted_image;
mod deletes;
mod delivery;
mod function;
mod older;
mod quota;
mod refusals;
mod restarts;
#[path = "../support/mod.rs"]
mod support;

use serde_json::{Value, json};
use support::{
    Cloud,
    images::{indexed, single},
};

const CREATE: &str = include_str!("../events/create.json");
const UPDATE: &str = include_str!("../events/update.json");
const DELETE: &str = include_str!("../events/delete.json");

fn succeeded_build() -> Value {
    let result = json!({
        "outcome": "indexed", "image_digest": single().digest(), "output_digest": indexed().digest(),
        "output_tag": "v1-soci", "layers": {"indexed": 1, "reused": 0, "skipped": 0}, "indexes": [],
        "bytes_read": 20 << 20, "seconds": 1.5,
    });
    json!({"buildStatus": "SUCCEEDED", "exportedEnvironmentVariables": [{"name": "SOCI_RESULT", "value": result.to_string()}]})
}

fn destroyed(cloud: &Cloud, digest: &str) -> Value {
    let mut event = cloud.event(DELETE);
    event["PhysicalResourceId"] = json!(format!("team/app:v1-soci@{digest}"));
    event["ResourceProperties"]["RemovalPolicy"] = json!("destroy");
    event
}
