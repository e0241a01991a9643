//! ECR: its API, its registry host, and the real programs that use both.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod api;
mod changes;
mod clients;
mod host;
mod manifests;
mod mirror;
