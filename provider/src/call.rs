//! Failed AWS calls: which operation failed, why, and whether to retry it.
//! In: SDK errors. Out: one sentence and a retry class. Independent of any one service.

use std::{error::Error, future::Future};

use aws_sdk_codebuild::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
};
use soci_index::run::chain;

use crate::{log::Log, pace::RetryWindow};

/// Whether a retry can succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryClass {
    /// Access denied. New IAM permissions take up to a minute to propagate.
    AccessDenied,
    /// Throttling, a server error or a network error.
    Transient,
    /// A quota is exhausted. Capacity may become free.
    Quota,
    /// A retry cannot succeed.
    Permanent,
}

/// A call that failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{operation}: {why}")]
pub struct CallError {
    operation: &'static str,
    /// The service's error code and message, or the connection error. The SDK's own chain begins with "service error".
    why: String,
    code: String,
    retry_class: RetryClass,
}

impl CallError {
    /// The response cannot be used; a retry does not help.
    pub fn new(operation: &'static str, why: impl Into<String>) -> Self {
        Self {
            operation,
            why: why.into(),
            code: String::new(),
            retry_class: RetryClass::Permanent,
        }
    }

    /// The service reports an error code inside a successful response.
    pub fn refused(operation: &'static str, code: &str, why: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            ..Self::new(operation, why)
        }
    }

    /// A retry may help.
    pub fn transient(operation: &'static str, why: impl Into<String>) -> Self {
        Self {
            retry_class: RetryClass::Transient,
            ..Self::new(operation, why)
        }
    }

    /// Whether the service may accept the same call later.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        matches!(self.retry_class, RetryClass::Quota | RetryClass::Transient)
    }

    /// Whether the image exists but cannot be pulled because it is archived.
    #[must_use]
    pub fn is_inaccessible(&self) -> bool {
        self.code == "ImageInaccessible"
    }

    /// Whether the requested resource does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(
            self.code.as_str(),
            "RepositoryNotFoundException" | "ImageNotFoundException" | "ResourceNotFoundException"
        )
    }
}

/// An error that says whether a retry can succeed.
pub trait Retryable: Error {
    /// Whether a retry can succeed.
    fn retry_class(&self) -> RetryClass;
}

impl Retryable for CallError {
    fn retry_class(&self) -> RetryClass {
        self.retry_class
    }
}

/// Adds the name of the operation to an SDK result.
pub trait Named<T> {
    /// `operation` appears in messages, for example `CodeBuild StartBuild`.
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
                    retry_class: retry_class(refused.raw().status().as_u16(), code, message),
                }
            }
            SdkError::ConstructionFailure(_) => CallError::new(operation, chain(&error)),
            _ => CallError::transient(operation, chain(&error)),
        })
    }
}

fn retry_class(status: u16, code: &str, message: &str) -> RetryClass {
    match code {
        "AccountLimitExceededException" => RetryClass::Quota,
        "AccessDeniedException" | "AccessDenied" | "UnrecognizedClientException" => {
            RetryClass::AccessDenied
        }
        // The service cannot assume a newly created role yet.
        "InvalidInputException"
            if message.contains("not authorized") || message.contains("AssumeRole") =>
        {
            RetryClass::AccessDenied
        }
        _ if status == 429 || status >= 500 => RetryClass::Transient,
        _ if code.contains("Throttl") || code.contains("TooManyRequests") => RetryClass::Transient,
        "RequestLimitExceeded"
        | "LimitExceededException"
        | "ServerException"
        | "ServiceException" => RetryClass::Transient,
        _ => RetryClass::Permanent,
    }
}

/// Repeats a call, or what makes several, until it succeeds, fails permanently, or the retry window ends.
///
/// # Errors
/// The last error.
pub async fn with_retries<T, E, F>(
    retry_window: &RetryWindow,
    log: &Log,
    call: impl Fn() -> F,
) -> Result<T, E>
where
    E: Retryable,
    F: Future<Output = Result<T, E>>,
{
    let mut attempts = retry_window.attempts();
    let mut said = None;
    loop {
        let error = match call().await {
            Err(error) if error.retry_class() != RetryClass::Permanent => error,
            other => return other,
        };
        if said != Some(error.retry_class()) {
            log.info(format_args!("{}; retrying", chain(&error)));
            said = Some(error.retry_class());
        }
        if !attempts.again().await {
            return Err(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_codes_are_classified_for_retries() {
        for (status, code, message, expected) in [
            (
                400,
                "AccessDeniedException",
                "User: … is not authorized",
                RetryClass::AccessDenied,
            ),
            (
                400,
                "InvalidInputException",
                "CodeBuild is not authorized to perform: sts:AssumeRole",
                RetryClass::AccessDenied,
            ),
            (
                400,
                "InvalidInputException",
                "Project name is too long",
                RetryClass::Permanent,
            ),
            (
                400,
                "ThrottlingException",
                "Rate exceeded",
                RetryClass::Transient,
            ),
            (429, "", "", RetryClass::Transient),
            (503, "ServiceUnavailable", "", RetryClass::Transient),
            (
                400,
                "AccountLimitExceededException",
                "Cannot have more than 1",
                RetryClass::Quota,
            ),
            (
                400,
                "RepositoryNotFoundException",
                "",
                RetryClass::Permanent,
            ),
            (400, "ResourceNotFoundException", "", RetryClass::Permanent),
        ] {
            assert_eq!(
                retry_class(status, code, message),
                expected,
                "{code} {message}"
            );
        }
    }
}
