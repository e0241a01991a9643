//! Builds the SOCI index of one image: a reference in, a pushed and checked index and a report out.
//!
//! ```text
//! run ─▶ load ─▶ plan ─▶ layers ─▶ publish ─▶ report
//! ```
//!
//! The entry points are [`run::index`], which builds and pushes, [`run::already_there`], which only looks, and [`lookup::version_of`], which says
//! what index an image has.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use soci_index::{progress::Silent, run::{self, Request}};
//! use soci_store::registry::{Client, Options};
//!
//! # async fn index() -> Result<(), Box<dyn std::error::Error>> {
//! let request = Request::new("registry.example/app:v1".parse()?);
//! let client = Client::new(Options::default());
//! let report = run::index(&request, &client, Arc::new(Silent)).await?;
//! println!("{}: {:?}", report.outcome, report.output_digest);
//! # Ok(())
//! # }
//! ```

#![warn(missing_docs)]

pub mod lookup;
pub mod progress;
pub mod report;
pub mod run;
