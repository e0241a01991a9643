//! The program as a whole: its commands, outcomes, exit codes and results.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod commands;
mod copy;
mod credentials;
mod golden;
mod inputs;
mod layers;
mod names;
mod outcomes;
mod output_tags;
mod partial;
mod platforms;
mod prefetch;
mod referrers;
mod several;
mod stdout;
#[cfg(feature = "tasks")]
mod tasks;

use soci_testing::program::{Ended, Program};

/// Options under which small layers are indexed too.
const SMALL: [&str; 2] = ["--min-layer-size", "0"];

/// `soci-builder index IMAGE --min-layer-size 0 --json …`
fn index(image: &str, more: &[&str]) -> Ended {
    let arguments = [&["index", image, "--json"], &SMALL[..], more].concat();
    Program::new(arguments).run()
}
