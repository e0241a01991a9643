//! What goes wrong between us and a registry, told so that a person can act on it.
//! In: what was asked, and what came back. Out: one sentence without secrets, and answers to callers' questions.

use std::{error::Error as StdError, fmt, io, time::Duration};

use reqwest::{Method, StatusCode};
use soci_format::{
    digest::Digest,
    plural::{bytes, counted},
};
use url::Url;

use super::{
    credentials::Origin,
    endpoint::{Redacted, RedactedHost},
};

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

/// Method and redacted URL.
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

/// An answer with a status other than success.
#[derive(Debug)]
pub struct Status {
    pub(super) request: Request,
    pub(super) status: StatusCode,
    /// The registry's own error code; empty where it sent none.
    pub(super) code: String,
    /// The registry's own words; empty where it sent none.
    pub(super) message: String,
    /// What the registry asks for before the next try.
    pub(super) retry_after: Option<Duration>,
    /// Whether the registry itself answered, and not the storage that it redirected us to.
    pub(super) at_home: bool,
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

/// Whether another try can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hope {
    /// No.
    None,
    /// Yes: trouble that passes.
    Passing,
    /// A presigned URL may have expired between our being sent there and our arrival.
    FreshRedirect,
}

impl Error {
    /// The registry knows nothing of that name.
    pub fn is_not_found(&self) -> bool {
        self.status()
            .is_some_and(|found| found.status == StatusCode::NOT_FOUND)
    }

    /// The tag exists and may not be moved.
    pub fn is_immutable_tag(&self) -> bool {
        self.status().is_some_and(|found| {
            let message = found.message.to_lowercase();
            matches!(found.status.as_u16(), 400 | 403 | 409 | 412)
                && (matches!(
                    found.code.as_str(),
                    "TAG_INVALID" | "ImageTagAlreadyExistsException"
                ) || message.contains("immutable")
                    || (found.status == StatusCode::CONFLICT && message.contains("already exists")))
        })
    }

    /// Who we are may not do that.
    pub fn is_denied(&self) -> bool {
        matches!(
            self.innermost(),
            Self::Unauthorized { .. } | Self::NoChallenge { .. }
        ) || self
            .status()
            .is_some_and(|found| found.status == StatusCode::FORBIDDEN)
    }

    /// Whether another try can help.
    pub(super) fn hope(&self) -> Hope {
        match self {
            Self::Status(found) => match found.status.as_u16() {
                408 | 429 | 500 | 502 | 503 | 504 => Hope::Passing,
                // ECR answers 400 with these where its rates are exceeded. An upload that is lost is begun again.
                _ if matches!(
                    found.code.as_str(),
                    "TOOMANYREQUESTS"
                        | "ThrottlingException"
                        | "Throttling"
                        | "BLOB_UPLOAD_UNKNOWN"
                ) =>
                {
                    Hope::Passing
                }
                403 if !found.at_home => Hope::FreshRedirect,
                _ => Hope::None,
            },
            Self::Connection { source, .. } if is_tls_refusal(source) => Hope::None,
            Self::Connection { .. }
            | Self::Stalled { .. }
            | Self::Slow { .. }
            | Self::Altered { .. } => Hope::Passing,
            _ => Hope::None,
        }
    }

    pub(super) fn retry_after(&self) -> Option<Duration> {
        self.status().and_then(|found| found.retry_after)
    }

    pub(super) fn status(&self) -> Option<&Status> {
        match self.innermost() {
            Self::Status(status) => Some(status),
            _ => None,
        }
    }

    /// What came is not what was asked for by its digest, or no manifest at all.
    pub fn is_damage(&self) -> bool {
        matches!(
            self.innermost(),
            Self::Digest { .. } | Self::Size { .. } | Self::Answer { .. }
        )
    }

    /// There are no such bytes, or no parts of blobs at all.
    pub(super) fn is_range_refusal(&self) -> bool {
        self.status()
            .is_some_and(|found| found.status == StatusCode::RANGE_NOT_SATISFIABLE)
    }

    /// The registry failed at what it was asked for; it is neither overloaded nor out of reach.
    pub(super) fn is_server_error(&self) -> bool {
        self.status()
            .is_some_and(|found| found.status == StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The token that the request showed has run out. ECR and some others say so with 403, in words.
    pub(super) fn is_expired(&self) -> bool {
        self.status().is_some_and(|found| {
            let message = found.message.to_lowercase();
            let of_token = ["token", "credential", "authorization"];
            found.at_home
                && matches!(found.status.as_u16(), 400 | 403)
                && (matches!(
                    found.code.as_str(),
                    "ExpiredToken" | "ExpiredTokenException"
                ) || (message.contains("expired")
                    && of_token.iter().any(|of| message.contains(of))))
        })
    }

    /// The registry refused, and not because it is overloaded.
    pub(super) fn is_refused_request(&self) -> bool {
        match self.innermost() {
            refusal @ Self::Status(_) => refusal.hope() != Hope::Passing,
            _ => false,
        }
    }

    /// The registry answered, and with something else than was asked for; not that it is overloaded or out of reach.
    pub(super) fn is_refusal(&self) -> bool {
        let otherwise = matches!(
            self.innermost(),
            Self::Unauthorized { .. } | Self::NoChallenge { .. } | Self::Answer { .. }
        );
        otherwise || self.is_refused_request()
    }

    fn innermost(&self) -> &Self {
        match self {
            Self::Tried { source, .. } | Self::Broken { source, .. } => source.innermost(),
            other => other,
        }
    }
}

/// A certificate that is not trusted will not be trusted in a second either.
fn is_tls_refusal(error: &reqwest::Error) -> bool {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = cause {
        // rustls' errors reach us as this kind.
        if let Some(error) = error.downcast_ref::<io::Error>()
            && error.kind() == io::ErrorKind::InvalidData
        {
            return true;
        }
        cause = error.source();
    }
    false
}

fn who_and_what_to_do(host: &str, known: Option<&Origin>) -> String {
    match known {
        None => format!(
            "{host} wants credentials and none were found; run `docker login {host}`, or set \
             SOCI_REGISTRY_USERNAME and SOCI_REGISTRY_PASSWORD"
        ),
        Some(Origin::Ecr) => format!(
            "{host} refuses the token that AWS gave us; check that this role may use the repository, \
             and that the repository's policy lets it"
        ),
        Some(Origin::Variables) => format!(
            "{host} refuses the credentials in SOCI_REGISTRY_USERNAME and SOCI_REGISTRY_PASSWORD; \
             check them, and that they may use this repository"
        ),
        Some(Origin::File {
            place,
            instead_of_ecr,
        }) => {
            let aws = instead_of_ecr.iter().map(|reason| format!("; {reason}"));
            format!(
                "{host} refuses the credentials in {place}; run `docker login {host}` again, \
                 and check that they may use this repository{}",
                aws.collect::<String>()
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(status: u16, code: &str, message: &str) -> Error {
        let url = Url::parse("https://r.example/v2/app/manifests/v1?secret=1").unwrap();
        Error::Status(Box::new(Status {
            request: Request::new(&Method::PUT, &url),
            status: StatusCode::from_u16(status).unwrap(),
            code: code.to_owned(),
            message: message.to_owned(),
            retry_after: None,
            at_home: true,
        }))
    }

    #[test]
    fn a_status_tells_the_whole_story_without_the_query() {
        assert_eq!(
            status(429, "TOOMANYREQUESTS", "slow down").to_string(),
            "PUT r.example/v2/app/manifests/v1: 429 TOOMANYREQUESTS: slow down"
        );
        assert_eq!(
            status(503, "", "").to_string(),
            "PUT r.example/v2/app/manifests/v1: 503 Service Unavailable"
        );
    }

    #[test]
    fn an_immutable_tag_has_many_faces() {
        for (code, name, message) in [
            (
                400,
                "TAG_INVALID",
                "The image tag 'v1' already exists and cannot be overwritten",
            ),
            (400, "ImageTagAlreadyExistsException", ""),
            (400, "UNKNOWN", "because the tag is IMMUTABLE"),
            (403, "DENIED", "tag is immutable"),
            (409, "CONFLICT", "tag already exists"),
            (412, "PRECONDITION", "configured as immutable"),
        ] {
            assert!(status(code, name, message).is_immutable_tag(), "{name}");
        }
        assert!(!status(403, "DENIED", "no").is_immutable_tag());
        assert!(!status(500, "TAG_INVALID", "").is_immutable_tag());
    }

    #[test]
    fn questions_are_answered_through_the_retries() {
        let tried = Error::Tried {
            tries: 2,
            source: Box::new(status(404, "MANIFEST_UNKNOWN", "")),
        };
        assert!(tried.is_not_found() && !tried.is_denied());
        assert!(status(403, "DENIED", "").is_denied());
    }

    #[test]
    fn what_passes_is_tried_again() {
        assert_eq!(status(400, "ThrottlingException", "").hope(), Hope::Passing);
        assert_eq!(status(504, "", "").hope(), Hope::Passing);
        assert_eq!(status(400, "", "").hope(), Hope::None);
        assert_eq!(status(403, "", "").hope(), Hope::None);
    }
}
