//! What the tests of several crates share. No program and no library of the product uses it.
//!
//! ```text
//! image, golden ─▶ fake_registry ─▶ http ─▶ the code under test, or program ─▶ what it printed
//! ```
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

pub mod bent_ztoc;
pub mod fake_registry;
pub mod golden;
pub mod http;
pub mod image;
pub mod program;
pub mod real_registry;
pub mod scratch;
mod side_by_side;

pub use side_by_side::side_by_side;
