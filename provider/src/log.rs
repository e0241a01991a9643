//! The log: one plain line for each step, on stderr, where Lambda takes it up. In: what happened. Knows nothing of events.
//!
//! Written by hand: lines without levels, fields or filters need no crate, and nothing that another crate traces (an event,
//! a signed address) can get in.

use std::fmt;

use soci_format::printable::one_line;

/// Writes lines that begin with the same words.
#[derive(Clone, Debug)]
pub struct Log {
    of: String,
}

impl Log {
    /// The log of one request.
    #[must_use]
    pub fn of(request_id: &str) -> Self {
        Self {
            of: one_line(request_id),
        }
    }

    /// Writes a line.
    pub fn say(&self, what: impl fmt::Display) {
        eprintln!("{} {}", self.of, one_line(&what.to_string()));
    }
}
