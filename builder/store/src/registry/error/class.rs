//! Classes of errors: whether a retry can help, and what callers ask.

use std::{error::Error as StdError, io, time::Duration};

use reqwest::StatusCode;
use rustls::AlertDescription;

use super::{Error, Status};
use crate::registry::ecr::EcrError;

/// Whether a retry can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::registry) enum RetryClass {
    /// No.
    Permanent,
    /// Yes.
    Transient,
    /// Yes, once: a presigned URL may have expired between the redirect and our request.
    ExpiredRedirect,
}

impl Error {
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

    /// Access denied.
    pub fn is_denied(&self) -> bool {
        matches!(
            self.innermost(),
            Self::Unauthorized { .. } | Self::NoChallenge { .. }
        ) || self
            .status()
            .is_some_and(|found| found.status == StatusCode::FORBIDDEN)
    }

    /// Access is denied by the registry, or by AWS when it was asked for a token.
    pub fn is_access_denied(&self) -> bool {
        match self.innermost() {
            Self::Credentials { source, .. } => {
                source.downcast_ref().is_some_and(EcrError::is_denied)
            }
            _ => self.is_denied(),
        }
    }

    /// Whether another try can help.
    pub(in crate::registry) fn retry_class(&self) -> RetryClass {
        match self {
            Self::Status(found) => match found.status.as_u16() {
                408 | 429 | 500 | 502 | 503 | 504 => RetryClass::Transient,
                // ECR answers 400 with these where its rates are exceeded. An upload that is lost is begun again.
                _ if matches!(
                    found.code.as_str(),
                    "TOOMANYREQUESTS"
                        | "ThrottlingException"
                        | "Throttling"
                        | "BLOB_UPLOAD_UNKNOWN"
                ) =>
                {
                    RetryClass::Transient
                }
                403 if !found.from_registry => RetryClass::ExpiredRedirect,
                _ => RetryClass::Permanent,
            },
            Self::Connection { source, .. } if is_tls_refusal(source) => RetryClass::Permanent,
            Self::Connection { .. }
            | Self::Stalled { .. }
            | Self::Slow { .. }
            | Self::Altered { .. } => RetryClass::Transient,
            _ => RetryClass::Permanent,
        }
    }

    pub(in crate::registry) fn retry_after(&self) -> Option<Duration> {
        self.status().and_then(|found| found.retry_after)
    }

    pub(in crate::registry) fn status(&self) -> Option<&Status> {
        match self.innermost() {
            Self::Status(status) => Some(status),
            _ => None,
        }
    }

    /// The content does not match its digest, or is not a manifest.
    pub fn is_corrupt(&self) -> bool {
        matches!(
            self.innermost(),
            Self::Digest { .. } | Self::Size { .. } | Self::InvalidResponse { .. }
        )
    }

    /// The range cannot be served, or the registry serves no ranges.
    pub(in crate::registry) fn is_range_refusal(&self) -> bool {
        self.status()
            .is_some_and(|found| found.status == StatusCode::RANGE_NOT_SATISFIABLE)
    }

    /// An internal error of the registry; it is neither overloaded nor unreachable.
    pub(in crate::registry) fn is_server_error(&self) -> bool {
        self.status()
            .is_some_and(|found| found.status == StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The token of the request has expired. ECR and some others say so with 403, in words.
    pub(in crate::registry) fn is_expired(&self) -> bool {
        self.status().is_some_and(|found| {
            let message = found.message.to_lowercase();
            let of_token = ["token", "credential", "authorization"];
            found.from_registry
                && matches!(found.status.as_u16(), 400 | 403)
                && (matches!(
                    found.code.as_str(),
                    "ExpiredToken" | "ExpiredTokenException"
                ) || (message.contains("expired")
                    && of_token.iter().any(|of| message.contains(of))))
        })
    }

    /// The registry refused, and not because it is overloaded.
    pub(in crate::registry) fn is_refused_request(&self) -> bool {
        match self.innermost() {
            refusal @ Self::Status(_) => refusal.retry_class() != RetryClass::Transient,
            _ => false,
        }
    }

    /// The registry responded with something else than was requested; it is neither overloaded nor unreachable.
    pub(in crate::registry) fn is_refusal(&self) -> bool {
        let otherwise = matches!(
            self.innermost(),
            Self::Unauthorized { .. } | Self::NoChallenge { .. } | Self::InvalidResponse { .. }
        );
        otherwise || self.is_refused_request()
    }

    fn innermost(&self) -> &Self {
        match self {
            Self::RetriesExhausted { source, .. } | Self::Broken { source, .. } => {
                source.innermost()
            }
            other => other,
        }
    }
}

/// A certificate that is not trusted will not be trusted in a second either, and a server that does not speak TLS will not have learned
/// it; bytes that were changed on the way are another matter.
fn is_tls_refusal(error: &reqwest::Error) -> bool {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(refusal) = error.downcast_ref::<rustls::Error>() {
            let is_altered = matches!(
                refusal,
                rustls::Error::DecryptError
                    | rustls::Error::AlertReceived(AlertDescription::BadRecordMac)
            );
            return !is_altered;
        }
        // An `io::Error` is not the source of the error that it holds, but stands for it.
        cause = match error.downcast_ref::<io::Error>() {
            Some(error) => error
                .get_ref()
                .map(|held| held as &(dyn StdError + 'static)),
            None => error.source(),
        };
    }
    false
}

#[cfg(test)]
mod tests {
    use reqwest::Method;
    use url::Url;

    use super::*;
    use crate::registry::request::Request;

    fn status(status: u16, code: &str, message: &str) -> Error {
        let url = Url::parse("https://r.example/v2/app/manifests/v1?secret=1").unwrap();
        Error::Status(Box::new(Status {
            request: Request::new(&Method::PUT, &url),
            status: StatusCode::from_u16(status).unwrap(),
            code: code.to_owned(),
            message: message.to_owned(),
            retry_after: None,
            from_registry: true,
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
        let tried = Error::RetriesExhausted {
            attempts: 2,
            source: Box::new(status(404, "MANIFEST_UNKNOWN", "")),
        };
        assert!(tried.is_not_found() && !tried.is_denied());
        assert!(status(403, "DENIED", "").is_denied());
    }

    #[test]
    fn what_passes_is_tried_again() {
        assert_eq!(
            status(400, "ThrottlingException", "").retry_class(),
            RetryClass::Transient
        );
        assert_eq!(status(504, "", "").retry_class(), RetryClass::Transient);
        assert_eq!(status(400, "", "").retry_class(), RetryClass::Permanent);
        assert_eq!(status(403, "", "").retry_class(), RetryClass::Permanent);
    }
}
