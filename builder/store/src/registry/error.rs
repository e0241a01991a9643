//! What goes wrong between us and a registry, told so that a person can act on it.
//! In: what was asked, and what came back. Out: one sentence without secrets. `class` answers callers' questions about it.

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

/// A failed request, or an answer that cannot be used.
#[derive(Debug, thiserror::Error)]
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
        /// The host.
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
    #[error("{request}: the connection failed")]
    Connection {
        /// What was asked.
        request: Request,
        /// What the client says; without its URL, which may hold a secret.
        source: reqwest::Error,
    },
    /// The registry fell silent.
    #[error("{request}: nothing came for {} s", silence.as_secs_f32())]
    Stalled {
        /// What was asked.
        request: Request,
        /// How long we listened.
        silence: Duration,
    },
    /// The registry is not silent, but so slow that its answer will never be whole.
    #[error("{request}: only {} came in {:.1} s", bytes(*.came), waited.as_secs_f32())]
    Slow {
        /// What was asked.
        request: Request,
        /// Bytes of the answer's body.
        came: u64,
        /// How long we waited for them.
        waited: Duration,
    },
    /// An answer that breaks the protocol.
    #[error("{request}: {reason}")]
    Answer {
        /// What was asked.
        request: Request,
        /// What is wrong with the answer.
        reason: String,
    },
    /// An answer that goes on past its bound.
    #[error("{request}: the answer is longer than {limit} bytes")]
    TooLong {
        /// What was asked.
        request: Request,
        /// The most that is read.
        limit: u64,
    },
    /// An answer that is JSON of the wrong form.
    #[error("{request}: the registry's answer cannot be read")]
    Form {
        /// What was asked.
        request: Request,
        /// What the parser met.
        source: serde_json::Error,
    },
    /// More or fewer bytes than the descriptor says.
    #[error("{request}: {} came, expected {expected}", bytes(*.found))]
    Size {
        /// What was asked.
        request: Request,
        /// Bytes that came, or that the registry announced; the rest was not read.
        found: u64,
        /// Bytes that the descriptor says.
        expected: u64,
    },
    /// Bytes with another digest than they were asked for by.
    #[error("{request}: the bytes have digest {found}, expected {expected}")]
    Digest {
        /// What was asked.
        request: Request,
        /// Digest of the bytes.
        found: Digest,
        /// Digest that was asked for.
        expected: Digest,
    },
    /// The registry took another manifest than was sent.
    #[error(
        "{request}: the registry took a manifest with digest {found}, but {pushed} was sent: it was damaged on its way"
    )]
    Altered {
        /// What was asked.
        request: Request,
        /// Digest that the registry announces.
        found: Digest,
        /// Digest of what was sent.
        pushed: Digest,
    },
    /// A blob whose stream broke too often.
    #[error("{request}: broken off at byte {at}, after {resumed} resumptions")]
    Broken {
        /// What was asked.
        request: Request,
        /// The first byte that did not come.
        at: u64,
        /// How often the stream was resumed before.
        resumed: u32,
        /// The last break.
        source: Box<Error>,
    },
    /// A request that was repeated, in vain.
    #[error("tried {}", counted(*.tries, "time", "times"))]
    Tried {
        /// How often.
        tries: u32,
        /// What the last try met.
        source: Box<Error>,
    },
    /// The registry does not accept who we are.
    #[error("{request}: {}", who_and_what_to_do(host, known.as_ref()))]
    Unauthorized {
        /// What was asked.
        request: Request,
        /// The registry's host.
        host: String,
        /// Where our credentials came from, where there were any.
        known: Option<Origin>,
        /// What the token service says, where it was the one that refused.
        source: Option<Box<Error>>,
    },
    /// The registry wants credentials and does not say in what form.
    #[error(
        "{request}: 401 Unauthorized, and the registry does not say how to log in: no WWW-Authenticate header, neither here nor at /v2/"
    )]
    NoChallenge {
        /// What was asked.
        request: Request,
    },
    /// Credentials exist but cannot be had.
    #[error("cannot get the credentials for {host}")]
    Credentials {
        /// The registry's host.
        host: String,
        /// Why.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// A manifest that no registry takes.
    #[error("the manifest to push has {size} bytes; registries take {limit} at most")]
    ManifestTooLarge {
        /// Its size.
        size: usize,
        /// The most that registries take.
        limit: u64,
    },
    /// Other clients kept overwriting the referrers tag.
    #[error("{request}: other clients overwrote the referrers of {subject} {tries} times")]
    Contended {
        /// The last write.
        request: Request,
        /// Whose referrers.
        subject: Digest,
        /// How often we wrote.
        tries: u32,
    },
}
