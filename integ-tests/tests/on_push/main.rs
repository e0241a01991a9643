//! Images that are pushed get their index with nobody waiting: the construct, deployed by the real `cdk` CLI, with the real function, events of ECR
//! and registry clients of several makes.

#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something unexpected happens"
)]

mod backfill;
mod burst;
mod clients;
mod images;
mod indexes;
mod redrive;
mod rights;
mod start_times;
mod template;

/// A cloud that the stories of a program share, and repositories in it.
#[allow(dead_code, reason = "each test program uses its part")]
#[path = "../whole_path/deployment.rs"]
mod deployment;
#[allow(dead_code, reason = "each test program uses its part")]
#[path = "../whole_path/shared.rs"]
mod shared;
#[path = "../support/waiting.rs"]
mod waiting;
