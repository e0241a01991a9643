//! Calls to AWS that failed: which one, why, and whether to try again.
//! In: the SDK's errors. Out: one plain sentence, and a class. Knows no service.

use std::{error::Error, future::Future};

use aws_sdk_codebuild::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
};
use soci_index::run::chain;

use crate::{log::Log, pace::Patience};

/// What to hope for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hope {
    /// Not allowed: rights that were given a moment ago are not known everywhere for up to a minute.
    Right,
    /// The service is busy or out of reach for now.
    Calm,
    /// A quota is used up; what uses it may end.
    Quota,
    /// None.
    None,
}

/// A call that failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{operation}: {why}")]
pub struct CallError {
    operation: &'static str,
    /// The service's code and message, or the connection's story: the SDK's own chain says "service error" first.
    why: String,
    code: String,
    hope: Hope,
}

impl CallError {
    /// A call whose answer cannot be used.
    pub fn new(operation: &'static str, why: impl Into<String>) -> Self {
        Self {
            operation,
            why: why.into(),
            code: String::new(),
            hope: Hope::None,
        }
    }

    /// One that the service refuses in an answer that is else well, by a code.
    pub fn refused(operation: &'static str, code: &str, why: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            ..Self::new(operation, why)
        }
    }

    /// The same, where trying again may help.
    pub fn busy(operation: &'static str, why: impl Into<String>) -> Self {
        Self {
            hope: Hope::Calm,
            ..Self::new(operation, why)
        }
    }

    /// Whether to try again.
    #[must_use]
    pub fn hope(&self) -> Hope {
        self.hope
    }

    /// Whether the service has no room for it now, and may have later.
    #[must_use]
    pub fn is_refused_for_now(&self) -> bool {
        matches!(self.hope, Hope::Quota | Hope::Calm)
    }

    /// Whether the image is there, and nobody can have it: it was archived.
    #[must_use]
    pub fn is_inaccessible(&self) -> bool {
        self.code == "ImageInaccessible"
    }

    /// Whether the service said that what was asked about does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(
            self.code.as_str(),
            "RepositoryNotFoundException" | "ImageNotFoundException" | "ResourceNotFoundException"
        )
    }
}

/// Gives an SDK's result the name of its operation.
pub trait Named<T> {
    /// `operation` is for people: `CodeBuild StartBuild`.
    fn named(self, operation: &'static str) -> Result<T, CallError>;
}

impl<T, E> Named<T> for Result<T, SdkError<E, HttpResponse>>
where
    E: ProvideErrorMetadata + Error + 'static,
{
    fn named(self, operation: &'static str) -> Result<T, CallError> {
        self.map_err(|error| match &error {
            SdkError::ServiceError(refused) => {
                let code = refused.err().code().unwrap_or("an error without a code");
                let message = refused.err().message().unwrap_or("no message");
                CallError {
                    operation,
                    why: format!("{code}: {message}"),
                    code: code.to_owned(),
                    hope: hope(refused.raw().status().as_u16(), code, message),
                }
            }
            SdkError::ConstructionFailure(_) => CallError::new(operation, chain(&error)),
            _ => CallError::busy(operation, chain(&error)),
        })
    }
}

fn hope(status: u16, code: &str, message: &str) -> Hope {
    match code {
        "AccountLimitExceededException" => Hope::Quota,
        "AccessDeniedException" | "AccessDenied" | "UnrecognizedClientException" => Hope::Right,
        // A role that was made a moment ago cannot be assumed by the service yet.
        "InvalidInputException"
            if message.contains("not authorized") || message.contains("AssumeRole") =>
        {
            Hope::Right
        }
        _ if status == 429 || status >= 500 => Hope::Calm,
        _ if code.contains("Throttl") || code.contains("TooManyRequests") => Hope::Calm,
        "RequestLimitExceeded"
        | "LimitExceededException"
        | "ServerException"
        | "ServiceException" => Hope::Calm,
        _ => Hope::None,
    }
}

/// Makes a call until it is well, without hope, or out of patience.
///
/// # Errors
/// The last one.
pub async fn patiently<T, F>(
    patience: &Patience,
    log: &Log,
    call: impl Fn() -> F,
) -> Result<T, CallError>
where
    F: Future<Output = Result<T, CallError>>,
{
    let mut tries = patience.tries();
    let mut said = None;
    loop {
        let error = match call().await {
            Err(error) if error.hope != Hope::None => error,
            other => return other,
        };
        if said != Some(error.hope) {
            log.say(format_args!("{error}; trying again"));
            said = Some(error.hope);
        }
        if !tries.again().await {
            return Err(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_say_what_to_hope_for() {
        for (status, code, message, expected) in [
            (
                400,
                "AccessDeniedException",
                "User: … is not authorized",
                Hope::Right,
            ),
            (
                400,
                "InvalidInputException",
                "CodeBuild is not authorized to perform: sts:AssumeRole",
                Hope::Right,
            ),
            (
                400,
                "InvalidInputException",
                "Project name is too long",
                Hope::None,
            ),
            (400, "ThrottlingException", "Rate exceeded", Hope::Calm),
            (429, "", "", Hope::Calm),
            (503, "ServiceUnavailable", "", Hope::Calm),
            (
                400,
                "AccountLimitExceededException",
                "Cannot have more than 1",
                Hope::Quota,
            ),
            (400, "RepositoryNotFoundException", "", Hope::None),
            (400, "ResourceNotFoundException", "", Hope::None),
        ] {
            assert_eq!(hope(status, code, message), expected, "{code} {message}");
        }
    }
}
