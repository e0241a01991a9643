//! Statuses: a registry's refusal, in its own words.

use std::{fmt, time::Duration};

use reqwest::StatusCode;

use crate::registry::request::Request;

/// A response with an error status.
#[derive(Debug)]
pub struct Status {
    pub(in crate::registry) request: Request,
    pub(in crate::registry) status: StatusCode,
    /// The registry's own error code; empty where it sent none.
    pub(in crate::registry) code: String,
    /// The registry's own words; empty where it sent none.
    pub(in crate::registry) message: String,
    /// What the registry asks for before the next try.
    pub(in crate::registry) retry_after: Option<Duration>,
    /// Whether the registry itself answered, and not the storage that it redirected us to.
    pub(in crate::registry) from_registry: bool,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.request, self.status.as_str())?;
        let reason = self.status.canonical_reason().unwrap_or_default();
        let code = if self.code.is_empty() {
            reason
        } else {
            &self.code
        };
        for (before, text) in [(" ", code), (": ", &self.message)] {
            if !text.is_empty() {
                write!(f, "{before}{text}")?;
            }
        }
        Ok(())
    }
}
