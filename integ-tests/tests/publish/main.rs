//! Images that are indexed when they are published: the real `cdk` CLI and `cdk-assets`, with `soci-docker` in front of buildah.

#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something unexpected happens"
)]

mod deploys;
mod publishes;
#[path = "../whole_path/shared.rs"]
#[allow(dead_code, reason = "each test program uses its part")]
mod shared;
mod support;
