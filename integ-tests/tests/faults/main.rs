//! The provider when something goes wrong: each story ends in exactly one right answer, and in at most one build. A minute is
//! 0.6 s here.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../support/mod.rs"]
mod support;

mod builds;
mod deliveries;
mod endpoint;
mod kills;
mod quota;
mod rights_late;
mod starts;
mod time;
