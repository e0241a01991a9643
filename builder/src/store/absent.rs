//! What is as good as not there, whatever the store says about it.

use super::Error;
use crate::layout;

/// Some registries answer 401 or 403 about what is not there. Only for what is looked for where the image itself was read.
///
/// # Errors
/// All others.
pub fn absent_where_denied<T>(found: Result<Option<T>, Error>) -> Result<Option<T>, Error> {
    match found {
        Err(Error::Registry(error)) if error.is_denied() => Ok(None),
        found => found,
    }
}

/// A manifest that is there as other bytes, or that the registry keeps to itself, is as good as gone: it can be pushed again.
///
/// # Errors
/// All others.
pub fn absent_where_damaged<T>(found: Result<Option<T>, Error>) -> Result<Option<T>, Error> {
    match absent_where_denied(found) {
        Err(Error::Manifest { .. }) => Ok(None),
        Err(Error::Layout(layout::Error::Damaged { .. })) => Ok(None),
        Err(Error::Registry(error)) if error.is_damage() => Ok(None),
        found => found,
    }
}
