//! ECR: its API, its registry host and the storage that blobs are redirected to, in front of a real registry.
//! In: calls of authenticated clients. Out: ECR's responses. Keeps the tags itself, because the registry behind it cannot
//! delete one; blobs and manifests are stored there. The account defines which repositories exist.

mod api;
mod contents;
mod deletion;
mod events;
mod host;
mod options;
mod passes;
mod push;
mod state;
mod storage;
mod upstream;

use std::{collections::BTreeMap, io, sync::Arc};

use soci_testing::http::Server;

use crate::{
    account::{Account, Event, REGION},
    cloud::{call, listener},
    faults::{Faults, Service},
    iam::{Caller, Iam},
    registry::{self, Registry},
    tls::{self, Authority},
};
use events::{Action, Events};
pub use options::Options;
use passes::Passes;
use state::State;
use upstream::Upstream;

/// Errors at startup.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No registry behind it.
    #[error("cannot start ECR's registry")]
    Registry(#[from] registry::Error),
    /// No certificate.
    #[error("cannot create a certificate for ECR's registry host")]
    Certificate(#[from] tls::Error),
    /// No client of the registry, for reasons of its own.
    #[error("ECR cannot reach its registry")]
    Client(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No port.
    #[error("ECR cannot listen")]
    Listen(#[from] io::Error),
}

/// ECR, running.
pub struct Ecr {
    state: Arc<State>,
    api: Server,
    host: Server,
    _storage: Server,
    _registry: Registry,
}

impl Ecr {
    /// Starts it.
    ///
    /// # Errors
    /// If a part does not start.
    pub(crate) async fn start(
        account: Arc<dyn Account>,
        iam: Arc<Iam>,
        faults: Arc<Faults>,
        authority: &Authority,
        options: Options,
    ) -> Result<Self, Error> {
        let registry = Registry::start().await?;
        let upstream =
            Upstream::new(registry.address()).map_err(|error| Error::Client(error.into()))?;
        let (storage, served) = storage::listen().await?;
        let state = Arc::new(State {
            events: Events::open(account.clone(), faults.clone()),
            account,
            iam,
            faults,
            upstream,
            tokens: Passes::new(options.token_lifetime),
            addresses: Passes::new(options.address_lifetime),
            storage: format!("http://{}", storage.address()),
            repositories: Default::default(),
            options,
        });
        // The storage's address is part of the state, so the state comes to it later.
        let _ = served.set(state.clone());
        let answering = state.clone();
        let api = listener::http(None, move |request| {
            let state = answering.clone();
            async move {
                let act = |call| api::act(state.clone(), call);
                call::handle(Service::Ecr, &state.iam, &state.faults, request, act).await
            }
        })
        .await?;
        let wildcard = format!("*.dkr.ecr.{REGION}.amazonaws.com");
        let tls = authority.acceptor(&[&wildcard])?;
        let answering = state.clone();
        let host = listener::http(Some(tls), move |request| {
            host::answer(answering.clone(), request)
        })
        .await?;
        Ok(Self {
            state,
            api,
            host,
            _storage: storage,
            _registry: registry,
        })
    }

    /// A lifecycle rule deletes the image of a tag, with all of its tags.
    pub fn expire_image(&self, repository: &str, tag: &str) {
        self.state.with(repository, |contents| {
            if let Some(image) = contents.find(tag).cloned() {
                let tags = contents.delete(&image.digest).and_then(Result::ok);
                for tag in tags.unwrap_or_default() {
                    let events = &self.state.events;
                    events.report(Action::Delete, repository, &image, Some(&tag));
                }
            }
        });
    }

    /// A lifecycle rule archives the image of a tag: the API rejects it. The registry host does not emulate this.
    pub fn archive_image(&self, repository: &str, tag: &str) {
        self.state.with(repository, |contents| {
            if let Some(image) = contents.find(tag).cloned() {
                contents.archive(&image.digest);
                let events = &self.state.events;
                events.report(Action::Archive, repository, &image, None);
            }
        });
    }

    /// Replication from another region brings what is pushed to this repository from now on.
    pub fn replicate(&self, repository: &str) {
        self.state.events.replicate(repository);
    }

    /// Holds back events for EventBridge from now on.
    pub fn hold_events(&self) {
        self.state.events.hold();
    }

    /// Sends the events that were held back as they are arranged, in another order or more than once, and holds back no more.
    pub fn release_events(&self, arrange: impl FnOnce(Vec<Event>) -> Vec<Event>) {
        self.state.events.release(arrange);
    }

    /// The events that were sent to EventBridge.
    pub fn events(&self) -> Vec<Event> {
        self.state.events.sent()
    }

    /// For `AWS_ENDPOINT_URL_ECR`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.api.address())
    }

    /// Where the registry host really is.
    pub fn host_address(&self) -> std::net::SocketAddr {
        self.host.address()
    }

    /// A token for the registry host's user `AWS`.
    pub fn token(&self, caller: Caller) -> String {
        self.state.tokens.issue(caller)
    }

    /// Expires all tokens so far.
    pub fn expire_tokens(&self) {
        self.state.tokens.expire_all();
    }

    /// Expires all presigned URLs so far.
    pub fn expire_addresses(&self) {
        self.state.addresses.expire_all();
    }

    /// All tokens and signatures made so far: for a search for secrets in logs.
    pub fn secrets(&self) -> Vec<String> {
        let mut secrets = self.state.tokens.all();
        secrets.extend(self.state.addresses.all());
        secrets
    }

    /// The tags of a repository and their digests.
    pub fn tags(&self, repository: &str) -> BTreeMap<String, String> {
        self.state.with(repository, |contents| {
            let digest = |tag| contents.tagged(tag).unwrap_or_default().to_owned();
            contents
                .tags()
                .map(|tag| (tag.to_owned(), digest(tag)))
                .collect()
        })
    }

    /// The digests of all manifests of a repository.
    pub fn digests(&self, repository: &str) -> Vec<String> {
        self.state.with(repository, |contents| {
            contents.images().map(|one| one.digest.clone()).collect()
        })
    }
}
