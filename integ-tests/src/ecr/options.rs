//! ECR's options: the lifetime of tokens and URLs, and the form of responses.

use std::time::Duration;

/// Options.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long a token lives.
    pub token_lifetime: Duration,
    /// How long a signed address lives.
    pub address_lifetime: Duration,
    /// What the registry host answers to a token that has expired: 401, or 403 as reported by some.
    pub expired_status: u16,
    /// How many results a page has, where the caller does not say.
    pub page: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            token_lifetime: Duration::from_secs(12 * 3600),
            address_lifetime: Duration::from_secs(3600),
            expired_status: 401,
            page: 100,
        }
    }
}
