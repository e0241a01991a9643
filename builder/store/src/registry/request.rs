//! Requests as they are shown: in errors and in the log, without a secret.

use std::fmt;

use reqwest::Method;
use url::Url;

use super::address::{Redacted, RedactedHost};

/// Method and redacted URL of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request(String);

impl Request {
    pub(super) fn new(method: &Method, url: &Url) -> Self {
        Self(format!("{method} {}", Redacted(url)))
    }

    /// A request for `asked` that the registry sent on to `to`.
    pub(super) fn sent_on(method: &Method, asked: &Url, to: &Url) -> Self {
        Self(format!(
            "{method} {}, sent on to {}",
            Redacted(asked),
            RedactedHost(to)
        ))
    }

    /// A request to an address that the registry gave us.
    pub(super) fn elsewhere(method: &Method, url: &Url) -> Self {
        Self(format!("{method} {}", RedactedHost(url)))
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
