//! What `soci-docker` says: short lines on stderr. stdout belongs to the container CLI, whose output others parse.

use std::io::{self, Write};

use super::NAME;

/// Prints a line. Nothing is left to do where stderr is gone or full.
pub(super) fn say(text: &str) {
    let line = format!("{NAME}: {text}\n");
    let _ = io::stderr().write_all(line.as_bytes());
}

/// Prints a warning.
pub(super) fn warn(text: &str) {
    say(&format!("warning: {text}"));
}
