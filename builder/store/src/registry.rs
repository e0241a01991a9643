//! Registries: manifests, blobs and referrers over HTTP (OCI distribution specification 1.1).
//! In: hosts, repositories, digests. Out: checked bytes and descriptors. Knows nothing of what is in them.
//!
//! ```text
//! Repository ─▶ manifests, blobs, upload, referrers ┐
//!            ─▶ layer_stream ─▶ stream ───────────┴▶ exchange ─▶ auth ─▶ credentials ─▶ ecr
//!                                                       └──────────┴──▶ transport ─▶ certificates
//! ```

mod address;
mod auth;
mod blobs;
mod certificates;
mod connections;
mod credentials;
mod ecr;
mod endpoint;
mod error;
mod exchange;
mod layer_stream;
pub(crate) mod log;
mod manifests;
mod mirror;
mod options;
mod origin;
mod referrers;
mod request;
mod retry;
mod secret;
mod stream;
mod transport;
mod upload;

pub mod challenge;
pub mod error_body;
pub mod link;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use reqwest::{Method, header::HeaderMap};
use soci_format::limits::Limits;
use url::Url;

pub use connections::{Connection, Connections};
pub use credentials::{Environment, docker_file};
pub use ecr::EcrError;
pub use error::{Error, Status};
pub use layer_stream::LayerStream;
pub use log::Log;
pub use manifests::{Fetched, PushedManifest};
pub use mirror::{InvalidMirror, Mirror};
pub use options::Options;
pub use origin::Origin;
pub use request::Request;
pub use retry::RetryPolicy;
pub use secret::Secret;
pub use stream::BlobStream;
pub use upload::{Pieces, Sending, Upload};

use auth::Scope;
use credentials::CredentialStore;
use exchange::{Call, Registry};
use transport::Transport;

/// Connections and credentials, shared by all that the process does with registries.
pub struct Client {
    options: Options,
    transport: Arc<Transport>,
    credentials: Arc<CredentialStore>,
    registries: Mutex<HashMap<String, Arc<Registry>>>,
}

impl Client {
    /// A client with the credentials of this process's environment.
    pub fn new(options: Options) -> Self {
        Self::with_environment(options, Environment::of_process())
    }

    /// A client with the credentials of `environment`.
    pub fn with_environment(options: Options, environment: Environment) -> Self {
        Self {
            transport: Arc::new(Transport::new(&options)),
            credentials: Arc::new(CredentialStore::new(environment, options.log.clone())),
            options,
            registries: Mutex::default(),
        }
    }

    /// The tags in `repository` at `host` that end in `suffix`, among the first 1,000 images that ECR lists; that whose image was pushed last
    /// comes first. None where `host` is not one of ECR. Registries do not tell, so this asks ECR's API, with AWS credentials.
    ///
    /// # Errors
    /// There are no AWS credentials, or they may not list the images (`ecr:DescribeImages`), or no response came within 5 s.
    pub async fn newest_tags(
        &self,
        host: &str,
        repository: &str,
        suffix: &str,
    ) -> Result<Vec<String>, EcrError> {
        match ecr::EcrHost::of(host) {
            Some(place) => {
                let api = &self.credentials;
                api.newest_tags(&place, repository, suffix).await
            }
            None => Ok(Vec::new()),
        }
    }

    /// A repository at `host`, both as in image references. Nothing is sent.
    pub fn repository(&self, host: &str, repository: &str) -> Result<Repository, Error> {
        let mut registries = self
            .registries
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let registry = match registries.get(host) {
            Some(registry) => Arc::clone(registry),
            None => {
                let registry = Arc::new(Registry::new(
                    host,
                    &self.options,
                    Arc::clone(&self.transport),
                    Arc::clone(&self.credentials),
                )?);
                registries.insert(host.to_owned(), Arc::clone(&registry));
                registry
            }
        };
        // Docker Hub's own images are in a repository that nobody writes down.
        let name = if address::is_docker_hub(host) && !repository.contains('/') {
            format!("library/{repository}")
        } else {
            repository.to_owned()
        };
        Ok(Repository {
            registry,
            name,
            limits: Limits::default(),
        })
    }
}

/// Whether `host` is one of ECR, in any partition.
pub fn is_ecr(host: &str) -> bool {
    ecr::EcrHost::of(host).is_some()
}

/// A repository in a registry.
#[derive(Clone)]
pub struct Repository {
    registry: Arc<Registry>,
    name: String,
    limits: Limits,
}

impl Repository {
    /// The same repository, read within `limits`.
    #[must_use]
    pub fn within(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// How much memory it may make this program use.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// A call on `/v2/<name>/<kind>/<rest>`.
    fn call(&self, method: Method, kind: &str, rest: &str) -> Call {
        let mut url: Url = self.registry.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("v2");
            segments.extend(self.name.split('/')).push(kind).push(rest);
        }
        Call {
            scope: Scope {
                repository: self.name.clone(),
                push: !matches!(method, Method::GET | Method::HEAD),
                from: None,
            },
            method,
            url,
            headers: HeaderMap::new(),
            body: None,
            patience: Duration::ZERO,
        }
    }
}
