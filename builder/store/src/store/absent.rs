//! What counts as missing, and what is as good as missing, whatever the store says about it.

use std::future::Future;

use super::Error;
use crate::layout;

/// Asks a second time before something that an image refers to counts as missing. What is missing is left out of the result; one
/// wrong 404, as from a mirror that has not caught up, must not leave out a platform.
///
/// # Errors
/// Those of the store.
pub(crate) async fn missing_after_retry<T, Answer>(
    ask: impl Fn() -> Answer,
) -> Result<Option<T>, Error>
where
    Answer: Future<Output = Result<Option<T>, Error>>,
{
    match ask().await? {
        None => ask().await,
        found => Ok(found),
    }
}

/// Some registries answer 401 or 403 about what is not there. Only for what is looked for where the image itself was read.
///
/// # Errors
/// All others.
pub fn none_if_denied<T>(found: Result<Option<T>, Error>) -> Result<Option<T>, Error> {
    match found {
        Err(Error::Registry(error)) if error.is_denied() => Ok(None),
        found => found,
    }
}

/// A manifest that is there as other bytes, or that the registry keeps to itself, is as good as gone: it can be pushed again.
///
/// # Errors
/// All others.
pub fn none_if_corrupt<T>(found: Result<Option<T>, Error>) -> Result<Option<T>, Error> {
    match none_if_denied(found) {
        Err(Error::Manifest { .. }) => Ok(None),
        Err(Error::Layout(layout::Error::Damaged { .. })) => Ok(None),
        Err(Error::Registry(error)) if error.is_corrupt() => Ok(None),
        found => found,
    }
}
