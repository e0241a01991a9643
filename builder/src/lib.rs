//! Reads images through their SOCI indexes, and verifies these.
//!
//! ```text
//! store ─▶ tree, reader ─▶ verify
//!                   └────▶ start ─▶ page
//! ```
//!
//! The indexes themselves are built by the crate `soci-index`.

pub mod page;
pub mod reader;
pub mod start;
pub mod verify;
