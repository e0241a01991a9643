//! The whole path: the real `cdk` CLI deploys real templates of the construct, with the real provider and the real builder.
//! The emulator is shared by the tests that run at the same time; each has stacks and repositories of its own, and
//! leaves them to the end of the emulator.

#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something unexpected happens"
)]

mod deployment;
mod environments;
mod function;
mod hand_over;
mod lifecycle;
mod many;
mod order;
mod removal;
mod shared;
mod versions;
