//! What ECR's three servers share: who may do what, tokens and signed addresses, and what the repositories hold.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    contents::Contents, events::Events, options::Options, passes::Passes, upstream::Upstream,
};
use crate::{
    account::{Account, Repository},
    faults::Faults,
    iam::{Caller, Iam},
};

/// What its three servers share.
pub(crate) struct State {
    pub(super) events: Events,
    pub(super) account: Arc<dyn Account>,
    pub(super) iam: Arc<Iam>,
    pub(super) faults: Arc<Faults>,
    pub(super) options: Options,
    pub(super) upstream: Upstream,
    pub(super) tokens: Passes<Caller>,
    /// Repository and digest.
    pub(super) addresses: Passes<(String, String)>,
    /// Where signed addresses lead: `http://127.0.0.1:<port>`.
    pub(super) storage: String,
    pub(super) repositories: Mutex<BTreeMap<String, Contents>>,
}

impl State {
    /// Does something with what a repository holds.
    pub(super) fn with<T>(&self, name: &str, act: impl FnOnce(&mut Contents) -> T) -> T {
        let mut all = self
            .repositories
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        act(all.entry(name.to_owned()).or_default())
    }

    pub(super) async fn repository(&self, name: &str) -> Option<Repository> {
        self.account.repository(name).await
    }

    /// A signed address of a blob.
    pub(super) fn sign(&self, name: &str, digest: &str) -> String {
        let pass = self.addresses.issue((name.to_owned(), digest.to_owned()));
        let seconds = self.addresses.lifetime().as_secs();
        format!(
            "{}/{name}/{digest}?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires={seconds}&X-Amz-SignedHeaders=host\
             &X-Amz-Signature={pass}",
            self.storage
        )
    }
}
