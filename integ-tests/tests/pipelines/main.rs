//! Before a deployment: the GitHub action, the recipes of builder/PIPELINES.md, and the workflows of this repository. What they run in a
//! shell is run here, with the real program and registries on this machine; what only a service can do is checked against its schema.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something unexpected happens"
)]

mod action;
mod action_runner;
mod page;
mod recipes;
mod release;
mod releases;
mod schemas;
mod world;
mod yaml;
