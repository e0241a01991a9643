//! What goes wrong between us and a registry, with what to do about it.
//! In: what was asked, and what received back. Out: one sentence without secrets. `class` answers callers' questions about it.

mod access;
mod class;
mod status;

use std::{error::Error as StdError, time::Duration};

use soci_format::{
    digest::Digest,
    plural::{bytes, counted},
};

use super::{origin::Origin, request::Request};
use access::who_and_what_to_do;
pub(super) use class::RetryClass;
pub use status::Status;

/// A failed request, or a response that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No HTTP client could be made.
    #[error("cannot set up HTTPS; SSL_CERT_FILE or the system must have CA certificates")]
    Setup {
        /// What the client says.
        source: reqwest::Error,
    },
    /// Certificates that are kept for a host cannot be used.
    #[error("cannot use the certificates for {host}")]
    Certificates {
        host: String,
        /// Why.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// Not the host of a registry.
    #[error("{host:?} is not the host of a registry")]
    Host {
        /// What was given.
        host: String,
    },
    /// A mirror without HTTPS, where that is not allowed.
    #[error("the mirror of {host} does not use HTTPS; --plain-http allows that")]
    PlainHttp {
        /// The mirrored host.
        host: String,
    },
    /// The registry refused.
    #[error("{0}")]
    Status(Box<Status>),
    /// The registry could not be reached, or the connection broke.
    #[error("{request}: connection failed")]
    Connection {
        request: Request,
        /// What the client says; without its URL, which may hold a secret.
        source: reqwest::Error,
    },
    /// The registry sent no data.
    #[error("{request}: timed out: no data received for {} s", silence.as_secs_f32())]
    Stalled {
        request: Request,
        /// How long we listened.
        silence: Duration,
    },
    /// The registry is so slow that its response would never be complete.
    #[error("{request}: timed out: received only {} in {:.1} s", bytes(*.received), waited.as_secs_f32())]
    Slow {
        request: Request,
        /// Bytes of the response's body.
        received: u64,
        /// How long we waited for them.
        waited: Duration,
    },
    /// A response that breaks the protocol.
    #[error("{request}: {reason}")]
    InvalidResponse {
        request: Request,
        /// What is wrong with the response.
        reason: String,
    },
    /// A response longer than its limit.
    #[error("{request}: the response is longer than {limit} bytes")]
    TooLong {
        request: Request,
        /// The most that is read.
        limit: u64,
    },
    /// A response whose JSON has another form.
    #[error("{request}: cannot parse the registry's response")]
    Form {
        request: Request,
        /// What the parser met.
        source: serde_json::Error,
    },
    /// Another size than the descriptor's.
    #[error("{request}: received {}, expected {expected}", bytes(*.found))]
    Size {
        request: Request,
        /// Bytes that received, or that the registry announced; the rest was not read.
        found: u64,
        /// Bytes that the descriptor says.
        expected: u64,
    },
    /// A digest mismatch.
    #[error("{request}: digest mismatch: expected {expected}, got {found}")]
    Digest {
        request: Request,
        /// Digest of the bytes.
        found: Digest,
        /// Digest that was asked for.
        expected: Digest,
    },
    /// The registry stored another manifest than was pushed.
    #[error(
        "{request}: digest mismatch: pushed {pushed}, but the registry stored {found}; the manifest was corrupted in transit"
    )]
    Altered {
        request: Request,
        /// Digest that the registry announces.
        found: Digest,
        /// Digest of what was sent.
        pushed: Digest,
    },
    /// A blob whose connection was lost too often.
    #[error("{request}: connection lost at byte {at}, after resuming {resumed} times")]
    Broken {
        request: Request,
        /// The first byte that did not come.
        at: u64,
        /// How often the stream was resumed before.
        resumed: u32,
        /// The last break.
        source: Box<Error>,
    },
    /// A request that failed after all retries.
    #[error("failed after {}", counted(*.attempts, "attempt", "attempts"))]
    RetriesExhausted {
        /// How often.
        attempts: u32,
        /// What the last try met.
        source: Box<Error>,
    },
    /// The registry rejects our credentials.
    #[error("{request}: {}", who_and_what_to_do(host, known.as_ref()))]
    Unauthorized {
        request: Request,
        /// The registry's host.
        host: String,
        /// Where our credentials received from, where there were any.
        known: Option<Origin>,
        /// What the token service says, where it was the one that refused.
        source: Option<Box<Error>>,
    },
    /// The registry requires credentials and does not say which kind.
    #[error(
        "{request}: 401 Unauthorized, and no WWW-Authenticate header says how to log in, neither here nor at /v2/"
    )]
    NoChallenge { request: Request },
    /// Credentials exist but cannot be read.
    #[error("cannot get the credentials for {host}")]
    Credentials {
        /// The registry's host.
        host: String,
        /// Why.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// A manifest that no registry accepts.
    #[error("the manifest to push has {size} bytes; registries accept at most {limit}")]
    ManifestTooLarge {
        size: usize,
        /// The most that registries take.
        limit: u64,
    },
    /// Other clients kept overwriting the referrers tag.
    #[error("{request}: other clients overwrote the referrers of {subject} {attempts} times")]
    Contended {
        /// The last write.
        request: Request,
        /// Whose referrers.
        subject: Digest,
        /// How often we wrote.
        attempts: u32,
    },
}
