//! The provider and CloudFormation: each kind of request, in the order and the odd ways in which CloudFormation sends them. The
//! builds are real.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../support/mod.rs"]
mod support;

mod competing;
mod harness;
mod lifecycle;
mod real_emulator;
mod refusals;
mod removal;
