//! A request to the registry host whose sender is known.

use hyper::{Request, body::Incoming};

use crate::{account::Repository, ecr::state::State};

/// A request whose sender is known.
pub(super) struct Asked<'a> {
    pub(super) state: &'a State,
    pub(super) name: &'a str,
    /// A tag, a digest or an upload.
    pub(super) reference: &'a str,
    pub(super) repository: Repository,
    pub(super) request: Request<Incoming>,
}
