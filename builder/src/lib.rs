//! Builds SOCI indexes: an image reference in, a pushed and checked index out.
//!
//! ```text
//! run ─▶ store ─▶ load ─▶ plan ─▶ layer ──────────────────────────▶ index, convert, choice ─▶ store ─▶ report
//!        registry                  inflate ─▶ checkpoints ┐
//!        layout                    tar ─▶ entries ────────┼─▶ ztoc
//!                                  digest ─▶ digests ─────┘
//! ```
//!
//! And back: `reader` reads files through an index, `verify` proves that it is right, `start` says what a container's start fetches
//! through it, and `page` shows that:
//!
//! ```text
//! store ─▶ tree, reader ─▶ verify
//!                   └────▶ start ─▶ page
//! ```
//!
//! Data flows from left to right, and no module knows what stands to its right: `tests/flow.rs` holds the imports to that.

pub mod choice;
pub mod convert;
pub mod digest;
pub mod image;
pub mod index;
pub mod inflate;
pub mod layer;
pub mod layout;
pub mod limits;
pub mod load;
pub mod oci;
pub mod page;
pub mod plan;
pub mod plural;
pub mod printable;
mod processor;
pub mod progress;
pub mod reader;
pub mod registry;
pub mod report;
pub mod run;
mod shell;
pub mod start;
pub mod store;
pub mod tar;
pub mod tree;
pub mod verify;
pub mod ztoc;
