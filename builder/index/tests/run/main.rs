//! One image from reference to pushed index: what comes out, and what becomes of trouble on the way.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod golden;
mod patience;
mod quiet;
mod stopped;
