//! A registry on this machine that behaves as the OCI distribution specification says, until it is told to misbehave.
//! In: images, rules, requests. Out: answers, and what was asked. It runs on a thread of its own until it is dropped,
//! so tests with and without an async runtime can use it.
//!
//! ```ignore
//! let registry = FakeRegistry::start();
//! let digest = registry.put_blob(b"layer");
//! registry.fail(Route::ReadBlob, Fault::Cut { after: 4_096 }).times(2);
//! // … point a client at registry.host() …
//! assert_eq!(registry.requests_to(Route::ReadBlob).len(), 3);
//! ```

mod access;
mod answer;
mod faults;
mod routes;
mod server;

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use bytes::Bytes;
use hyper::{HeaderMap, Method};
use soci_format::digest::Digest;

pub use access::{Access, Login};
pub use faults::{Fault, Route};

/// Stands in the query of every URL that the storage is reached by; must never show up anywhere.
pub const QUERY_SECRET: &str = "X-Amz-Signature=storage-secret";

/// A running registry; stopped on drop.
pub struct FakeRegistry {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    server: server::Running,
}

/// A request that came.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// What it was for.
    pub route: Route,
    pub method: Method,
    /// Its path, without the query.
    pub path: String,
    /// Its query, empty where there was none.
    pub query: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Recorded {
    /// A header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// All that the registry knows.
#[derive(Default)]
pub(crate) struct State {
    blobs: HashMap<Digest, Bytes>,
    /// Type and bytes by repository and digest.
    manifests: HashMap<(String, Digest), (String, Bytes)>,
    /// Digests by repository and tag.
    tags: BTreeMap<(String, String), Digest>,
    /// Descriptors of referrers by subject.
    referrers: HashMap<Digest, Vec<serde_json::Value>>,
    settings: Settings,
    access: access::Gate,
    rules: Vec<faults::Rule>,
    requests: Vec<Recorded>,
    served: HashMap<Digest, u64>,
    uploads: u64,
    /// Bytes of uploads that came in a PATCH, by path.
    patched: HashMap<String, Bytes>,
    redirects: u64,
}

/// How this registry differs from others.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Keeps lists of referrers, and says so with `OCI-Subject`.
    pub referrers_api: bool,
    pub referrers_page: usize,
    /// Filters referrers by type, as it may.
    pub referrers_filter: bool,
    /// Sends `Docker-Content-Digest`.
    pub content_digest: bool,
    /// Refuses to move a tag, in ECR's words.
    pub immutable_tags: bool,
    /// Sends readers of blobs to another port, with a secret in the query.
    pub redirect_blobs: bool,
    /// Answers uploads with a whole URL instead of a path.
    pub absolute_locations: bool,
    /// Refuses every HEAD with this status.
    pub refused_head: Option<u16>,
    /// Announces the length of a body, also to HEAD.
    pub lengths: bool,
    /// Challenges at `/v2/` only; elsewhere strangers get this status.
    pub silent_doors: Option<u16>,
    /// Takes the bytes of uploads in a PATCH only, and refuses others with this status.
    pub refused_put: Option<u16>,
    /// How slowly blobs come; `None` for as fast as they can.
    pub line: Option<Line>,
}

/// What each connection to the storage gives, however many there are.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    pub bytes_per_second: u64,
    /// From a request to the first byte of its response.
    pub first_byte: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            referrers_api: true,
            referrers_page: usize::MAX,
            referrers_filter: true,
            content_digest: true,
            immutable_tags: false,
            redirect_blobs: false,
            absolute_locations: false,
            refused_head: None,
            lengths: true,
            silent_doors: None,
            refused_put: None,
            line: None,
        }
    }
}

impl FakeRegistry {
    /// Starts a registry with nothing in it.
    pub fn start() -> Self {
        Self::with(Settings::default())
    }

    /// Starts a registry of a certain kind.
    pub fn with(settings: Settings) -> Self {
        let state = Arc::new(Mutex::new(State {
            settings,
            ..State::default()
        }));
        let server = server::Running::start(Arc::clone(&state));
        Self {
            address: server.home,
            state,
            server,
        }
    }

    /// Starts a registry that sends readers of blobs to its storage, or does not; with the route where they get the bytes.
    pub fn redirecting(redirect_blobs: bool) -> (Self, Route) {
        let registry = Self::with(Settings {
            redirect_blobs,
            ..Settings::default()
        });
        let route = if redirect_blobs {
            Route::Storage
        } else {
            Route::ReadBlob
        };
        (registry, route)
    }

    /// Starts a registry of a certain kind with all that this one has.
    pub fn copy(&self, settings: Settings) -> Self {
        let copy = Self::with(settings);
        {
            let (from, mut to) = (self.state(), copy.state());
            to.blobs.clone_from(&from.blobs);
            to.manifests.clone_from(&from.manifests);
            to.tags.clone_from(&from.tags);
            to.referrers.clone_from(&from.referrers);
        }
        copy
    }

    /// Lets only those in who show what `access` says.
    #[must_use]
    pub fn guarded(self, access: Access) -> Self {
        self.require(access);
        self
    }

    /// Lets only those in, from now on, who show what `access` says.
    pub fn require(&self, access: Access) {
        self.state().access.require(access);
    }

    /// Becomes a registry of another kind.
    pub fn become_like(&self, settings: Settings) {
        self.state().settings = settings;
    }

    /// `127.0.0.1:<port>` of the storage that it may send readers of blobs to.
    pub fn storage(&self) -> String {
        self.server.storage.to_string()
    }

    /// `127.0.0.1:<port>`.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// `http://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stores a blob.
    pub fn put_blob(&self, bytes: impl Into<Bytes>) -> Digest {
        let bytes = bytes.into();
        let digest = Digest::of(&bytes);
        self.state().blobs.insert(digest, bytes);
        digest
    }

    /// Stores bytes under a digest that need not be theirs.
    pub fn put_blob_as(&self, digest: Digest, bytes: impl Into<Bytes>) {
        self.state().blobs.insert(digest, bytes.into());
    }

    /// Stores a manifest, under a tag where one is given, and unchecked.
    pub fn put_manifest(
        &self,
        repository: &str,
        tag: Option<&str>,
        media_type: &str,
        bytes: impl Into<Bytes>,
    ) -> Digest {
        self.state()
            .put_manifest(repository, tag, media_type, bytes.into())
    }

    /// Stores bytes under a manifest's digest that are not its own.
    pub fn put_manifest_as(&self, repository: &str, digest: Digest, bytes: impl Into<Bytes>) {
        let media_type = "application/vnd.oci.image.manifest.v1+json".to_owned();
        let key = (repository.to_owned(), digest);
        let stored = (media_type, bytes.into());
        self.state().manifests.insert(key, stored);
    }

    /// Loses a manifest; lists and tags keep naming it.
    pub fn forget_manifest(&self, repository: &str, digest: &Digest) {
        let key = (repository.to_owned(), *digest);
        self.state().manifests.remove(&key);
    }

    /// A stored blob.
    pub fn blob(&self, digest: &Digest) -> Option<Bytes> {
        self.state().blobs.get(digest).cloned()
    }

    /// The manifest under a tag.
    pub fn tagged(&self, repository: &str, tag: &str) -> Option<(Digest, Bytes)> {
        let state = self.state();
        let digest = *state.tags.get(&(repository.to_owned(), tag.to_owned()))?;
        let (_, bytes) = state.manifests.get(&(repository.to_owned(), digest))?;
        Some((digest, bytes.clone()))
    }

    pub fn manifest(&self, repository: &str, digest: &Digest) -> Option<Bytes> {
        let key = (repository.to_owned(), *digest);
        let state = self.state();
        state.manifests.get(&key).map(|(_, bytes)| bytes.clone())
    }

    /// Lets the next request to `route` fail. Rules for one route apply in the order in which they were made.
    pub fn fail(&self, route: Route, fault: Fault) -> MadeRule<'_> {
        let mut state = self.state();
        state.rules.push(faults::Rule {
            route,
            fault,
            left: 1,
        });
        MadeRule {
            registry: self,
            index: state.rules.len() - 1,
        }
    }

    /// Makes every token so far invalid.
    pub fn expire_tokens(&self) {
        self.state().access.expire();
    }

    /// All requests, in the order in which they came.
    pub fn requests(&self) -> Vec<Recorded> {
        self.state().requests.clone()
    }

    pub fn requests_to(&self, route: Route) -> Vec<Recorded> {
        let mut requests = self.requests();
        requests.retain(|request| request.route == route);
        requests
    }

    /// Requests for the bytes of a blob.
    pub fn reads_of(&self, digest: &Digest) -> usize {
        let requests = self.requests_to(Route::ReadBlob);
        let digest = digest.to_string();
        let of_it = requests
            .iter()
            .filter(|request| request.path.ends_with(&digest));
        of_it.count()
    }

    /// Bytes of a blob that were sent, over all requests.
    pub fn served(&self, digest: &Digest) -> u64 {
        self.state().served.get(digest).copied().unwrap_or_default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

/// A rule just made; applies to one request unless told otherwise.
pub struct MadeRule<'a> {
    registry: &'a FakeRegistry,
    index: usize,
}

impl MadeRule<'_> {
    /// Applies to that many requests.
    pub fn times(self, times: usize) {
        self.registry.state().rules[self.index].left = times;
    }

    /// Applies to every request from now on.
    pub fn always(self) {
        self.times(usize::MAX);
    }
}

impl State {
    fn put_manifest(
        &mut self,
        repository: &str,
        tag: Option<&str>,
        media_type: &str,
        bytes: Bytes,
    ) -> Digest {
        let digest = Digest::of(&bytes);
        let key = (repository.to_owned(), digest);
        self.manifests.insert(key, (media_type.to_owned(), bytes));
        if let Some(tag) = tag {
            let key = (repository.to_owned(), tag.to_owned());
            self.tags.insert(key, digest);
        }
        digest
    }
}
