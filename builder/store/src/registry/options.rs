//! How registries are reached, as a program chooses it.

use std::path::PathBuf;

use super::{log::Log, mirror::Mirror, retry::RetryPolicy};

/// How to reach registries.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Use plain HTTP for every host, not only for this machine.
    pub plain_http: bool,
    /// Hosts whose requests go elsewhere.
    pub mirrors: Vec<Mirror>,
    /// A directory with the certificates of registries; `None` for those of podman and docker.
    pub certificates: Option<PathBuf>,
    /// Timeouts and retries.
    pub retry: RetryPolicy,
    /// Where every request is logged.
    pub log: Log,
}
