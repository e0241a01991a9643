//! The local cloud's functions: invoked by callers, by EventBridge's rules and from queues, as those of Lambda are.

#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something unexpected happens"
)]

mod events;
mod invocations;
mod queues;
#[path = "../support/waiting.rs"]
mod waiting;
mod worker;
