//! Builds the SOCI index of one image: a reference in, a pushed and checked index and a report out.
//!
//! ```text
//! run ─▶ load ─▶ plan ─▶ layers ─▶ publish ─▶ report
//! ```

pub mod progress;
pub mod report;
pub mod run;
