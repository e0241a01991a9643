//! What can go wrong, and where. In: rules. Out: the fault for a request, if there is one.

use std::sync::Arc;

use bytes::Bytes;
use hyper::Method;
use tokio::sync::Barrier;

use super::State;

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Route {
    /// GET or HEAD of a manifest.
    ReadManifest,
    /// PUT of a manifest.
    PushManifest,
    HeadBlob,
    /// GET of a blob at the registry.
    ReadBlob,
    /// GET of a blob at the storage that the registry redirects to.
    Storage,
    /// POST that starts an upload.
    StartUpload,
    /// PATCH that brings the bytes of an upload.
    PatchUpload,
    /// PUT that ends an upload.
    FinishUpload,
    /// GET of a list of referrers.
    Referrers,
    /// GET of a list of tags.
    Tags,
    /// GET or POST at the token service.
    Token,
    /// ECR's API.
    EcrApi,
    /// Anything else.
    Unknown,
}

impl Route {
    /// What a request is for; `stored` where it came to the storage's port.
    pub fn of(method: &Method, path: &str, stored: bool) -> Self {
        let is = |wanted: &str| path.contains(wanted);
        match (method.as_str(), path) {
            ("GET", _) if stored => Self::Storage,
            ("GET" | "POST", "/token") => Self::Token,
            ("POST", "/") => Self::EcrApi,
            ("GET" | "HEAD", _) if is("/manifests/") => Self::ReadManifest,
            ("PUT", _) if is("/manifests/") => Self::PushManifest,
            ("POST", _) if path.ends_with("/blobs/uploads/") => Self::StartUpload,
            ("PATCH", _) if is("/blobs/uploads/") => Self::PatchUpload,
            ("PUT", _) if is("/blobs/uploads/") => Self::FinishUpload,
            ("GET", _) if is("/blobs/") => Self::ReadBlob,
            ("HEAD", _) if is("/blobs/") => Self::HeadBlob,
            ("GET", _) if is("/referrers/") => Self::Referrers,
            ("GET", _) if path.ends_with("/tags/list") => Self::Tags,
            _ => Self::Unknown,
        }
    }
}

/// What goes wrong.
#[derive(Clone, Debug)]
pub enum Fault {
    /// An error in the specification's form instead of the answer.
    Status {
        status: u16,
        /// The error code.
        code: &'static str,
        message: String,
        /// Seconds for `Retry-After`.
        retry_after: Option<u64>,
    },
    /// The connection breaks after so many bytes of the body.
    Cut {
        /// Bytes sent before.
        after: usize,
    },
    /// Nothing comes after so many bytes of the body, and the connection stays.
    Silence {
        /// Bytes sent before.
        after: usize,
    },
    /// After so many bytes of the body the others come one by one, with pauses.
    Drip {
        /// Bytes sent before.
        after: usize,
    },
    /// A web page with status 200.
    Html,
    /// Sent on to this path, with status 303.
    SentOn(&'static str),
    /// Another body than the right one.
    Body {
        /// The body.
        bytes: Bytes,
        /// Whether `Content-Length` is sent.
        announced: bool,
    },
    /// `Range` is not honoured.
    IgnoreRange,
    /// A header is added, or replaced.
    Header(&'static str, String),
    /// All tokens become invalid just before the request is looked at.
    ExpireTokens,
    /// The manifest is taken, and then overwritten by another client with this one.
    OverwrittenBy(Bytes),
    /// These bytes are taken for the manifest.
    Damaged(Bytes),
    /// The blob is taken, and then lost.
    Lost,
    /// The answer, which is the right one, waits until all others that wait here have been asked for.
    Together(Arc<Barrier>),
}

impl Fault {
    /// A status with a code and no more.
    pub fn status(status: u16, code: &'static str) -> Self {
        Self::Status {
            status,
            code,
            message: format!("this is {code}"),
            retry_after: None,
        }
    }
}

/// A fault and where it applies.
pub(crate) struct Rule {
    pub(super) route: Route,
    pub(super) fault: Fault,
    pub(super) left: usize,
}

impl State {
    /// The fault of the first rule for this route that is not used up.
    pub(super) fn next_fault(&mut self, route: Route) -> Option<Fault> {
        let rule = self
            .rules
            .iter_mut()
            .find(|rule| rule.route == route && rule.left > 0)?;
        rule.left -= 1;
        Some(rule.fault.clone())
    }

    /// What an answer for this route waits for, if that is what comes next.
    pub(super) fn next_meeting(&mut self, route: Route) -> Option<Arc<Barrier>> {
        let next = self
            .rules
            .iter_mut()
            .find(|rule| rule.route == route && rule.left > 0)?;
        let Fault::Together(meeting) = &next.fault else {
            return None;
        };
        next.left -= 1;
        Some(Arc::clone(meeting))
    }
}
