//! The log: one line per step, on stderr, which Lambda sends to CloudWatch Logs.
//!
//! No logging crate: the lines need no levels, fields or filters, and nothing that another crate traces (an event,
//! a presigned URL) can leak into the log.

use std::fmt;

use soci_format::printable::one_line;

/// Writes lines with a common prefix.
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
    pub fn info(&self, what: impl fmt::Display) {
        eprintln!("{} {}", self.of, one_line(&what.to_string()));
    }
}
