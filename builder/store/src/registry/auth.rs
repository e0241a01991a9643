//! Authorization: turns a registry's challenge into a header, and keeps it until it is refused.
//! In: challenges. Out: `Authorization` headers. One task fetches a token; all others wait for it and share it.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::Bytes;
use reqwest::{
    Method,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue},
};
use serde::Deserialize;
use soci_format::limits::Limits;
use tokio::sync::Mutex;
use url::{Url, form_urlencoded};

use super::{
    address::is_loopback,
    challenge::Challenge,
    credentials::{CredentialStore, Credentials},
    error::Error,
    origin::Origin,
    request::Request,
    secret::Secret,
    transport::{RegistryResponse, Transport},
};

/// What a request does to which repository; the service that gives out tokens wants to know.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Scope {
    pub(super) repository: String,
    pub(super) push: bool,
    /// A repository that is read from meanwhile: blobs are taken over from it.
    pub(super) from: Option<String>,
}

impl Scope {
    /// As token services read it: a text for each repository.
    fn texts(&self) -> Vec<String> {
        let actions = if self.push { "pull,push" } else { "pull" };
        let own = format!("repository:{}:{actions}", self.repository);
        let from = self.from.iter();
        let from = from.map(|from| format!("repository:{from}:pull"));
        [own].into_iter().chain(from).collect()
    }
}

/// The right to make a request, until the registry says otherwise.
#[derive(Clone)]
pub(super) struct Grant {
    /// Tells one grant from the next.
    number: u64,
    /// Where the credentials behind it came from.
    pub(super) origin: Option<Origin>,
    /// What it answers.
    pub(super) challenge: Challenge,
    header: HeaderValue,
}

impl Grant {
    pub(super) fn put_into(&self, headers: &mut HeaderMap) {
        headers.insert(AUTHORIZATION, self.header.clone());
    }
}

/// What one registry has granted us.
pub(super) struct Auth {
    host: String,
    base: Url,
    plain_http: bool,
    credentials: Arc<CredentialStore>,
    grants: Mutex<Grants>,
}

#[derive(Default)]
struct Grants {
    made: u64,
    /// By repository: credentials may be for one of them.
    basic: HashMap<String, Grant>,
    bearer: HashMap<Scope, Grant>,
}

impl Grants {
    fn current(&self, scope: &Scope) -> Option<&Grant> {
        let basic = self.basic.get(&scope.repository);
        self.bearer.get(scope).or(basic)
    }
}

impl Auth {
    /// Authorization at `host`, which is also what credentials are looked up for; its requests go to `base`.
    pub(super) fn new(
        host: &str,
        base: Url,
        plain_http: bool,
        credentials: Arc<CredentialStore>,
    ) -> Self {
        Self {
            host: host.to_owned(),
            base,
            plain_http,
            credentials,
            grants: Mutex::default(),
        }
    }

    /// The grant for `scope`, where the registry has ever asked for one.
    pub(super) async fn current(&self, scope: &Scope) -> Option<Grant> {
        self.grants.lock().await.current(scope).cloned()
    }

    /// A grant in place of `refused`, after the registry answered `request` with `challenge`.
    pub(super) async fn renew(
        &self,
        transport: &Transport,
        scope: &Scope,
        refused: Option<&Grant>,
        challenge: Challenge,
        request: &Request,
    ) -> Result<Grant, Error> {
        let mut grants = self.grants.lock().await;
        if let Some(current) = grants.current(scope)
            && refused.is_none_or(|refused| refused.number != current.number)
        {
            // Another task was here first.
            return Ok(current.clone());
        }
        let found = self.credentials.find(&self.host, &scope.repository).await?;
        let (credentials, origin) = found.unzip();
        let credentials = credentials.unwrap_or_default();
        let text = match (&challenge, credentials.basic.as_ref()) {
            (Challenge::Basic, Some(secret)) => format!("Basic {}", secret.expose()),
            (Challenge::Basic, None) => return Err(self.refused(request, origin)),
            (Challenge::Bearer { .. }, _) if credentials.bearer.is_some() => {
                let token = credentials.bearer.iter().map(Secret::expose);
                format!("Bearer {}", token.collect::<String>())
            }
            (
                Challenge::Bearer {
                    realm,
                    service,
                    scope: asked,
                },
                _,
            ) => {
                let wanted = WantedToken {
                    realm: self.realm(realm, request)?,
                    service: service.clone(),
                    // A registry asks for what one request needs; a push needs both.
                    scopes: asked
                        .clone()
                        .filter(|asked| !scope.push && !asked.is_empty())
                        .map_or_else(|| scope.texts(), |asked| vec![asked]),
                };
                let token = wanted
                    .fetch(transport, credentials)
                    .await
                    .map_err(|error| self.explain(error, request, origin.clone()))?;
                format!("Bearer {}", token.expose())
            }
        };
        let header = HeaderValue::from_str(&text);
        let mut header = header.map_err(|_| self.refused(request, origin.clone()))?;
        header.set_sensitive(true);
        grants.made += 1;
        let is_basic = challenge == Challenge::Basic;
        let grant = Grant {
            number: grants.made,
            origin,
            challenge,
            header,
        };
        if is_basic {
            let repository = scope.repository.clone();
            grants.basic.insert(repository, grant.clone());
        } else {
            grants.bearer.insert(scope.clone(), grant.clone());
        }
        Ok(grant)
    }

    /// The registry does not accept us.
    pub(super) fn refused(&self, request: &Request, known: Option<Origin>) -> Error {
        Error::Unauthorized {
            request: request.clone(),
            host: self.host.clone(),
            known,
            source: None,
        }
    }

    /// A token service's refusal is the registry's; its other troubles are its own.
    fn explain(&self, error: Error, request: &Request, known: Option<Origin>) -> Error {
        match error.status().map(|found| found.status.as_u16()) {
            Some(400 | 401 | 403) => Error::Unauthorized {
                request: request.clone(),
                host: self.host.clone(),
                known,
                source: Some(Box::new(error)),
            },
            _ => error,
        }
    }

    /// Credentials go to the realm, so it must be one that nobody can listen to. One without a host is on the registry's own.
    fn realm(&self, text: &str, request: &Request) -> Result<Url, Error> {
        let refuse = |reason: String| Error::InvalidResponse {
            request: request.clone(),
            reason,
        };
        let realm = self
            .base
            .join(text)
            .map_err(|_| refuse("the registry's token service is not a valid URL".to_owned()))?;
        match realm.scheme() {
            "https" => Ok(realm),
            "http" if self.plain_http || is_loopback(&realm) => Ok(realm),
            _ => Err(refuse(format!(
                "the registry's token service at {} does not use HTTPS; --plain-http allows that",
                realm.host_str().unwrap_or_default()
            ))),
        }
    }
}

/// A token to ask a token service for.
struct WantedToken {
    realm: Url,
    service: Option<String>,
    scopes: Vec<String>,
}

#[derive(Deserialize)]
struct GivenToken {
    token: Option<String>,
    access_token: Option<String>,
}

impl WantedToken {
    async fn fetch(
        &self,
        transport: &Transport,
        credentials: Credentials,
    ) -> Result<Secret, Error> {
        let mut answer = self.ask(transport, credentials).await?.successful().await?;
        let body = answer
            .body(Limits::TOKEN_BYTES)
            .await?
            .ok_or_else(|| answer.refuse("the token is too large"))?;
        // The parser's error is dropped: it would quote the body, which holds a token.
        let given: Option<GivenToken> = serde_json::from_slice(&body).ok();
        given
            .and_then(|given| {
                let both = [given.token, given.access_token];
                both.into_iter().flatten().find(|token| !token.is_empty())
            })
            .map(Secret::new)
            .ok_or_else(|| answer.refuse("the response contains no token"))
    }

    async fn ask(
        &self,
        transport: &Transport,
        credentials: Credentials,
    ) -> Result<RegistryResponse, Error> {
        let mut headers = HeaderMap::new();
        let mut url = self.realm.clone();
        if let Some(token) = credentials.identity {
            let form = form_urlencoded::Serializer::new(String::new())
                .append_pair("grant_type", "refresh_token")
                .append_pair("client_id", "soci-builder")
                .append_pair("refresh_token", token.expose())
                .append_pair("scope", &self.scopes.join(" "))
                .extend_pairs(self.service.iter().map(|service| ("service", service)))
                .finish();
            headers.insert(
                CONTENT_TYPE,
                HeaderValue::from_static("application/x-www-form-urlencoded"),
            );
            let request = Request::new(&Method::POST, &url);
            return transport
                .send(
                    request,
                    &Method::POST,
                    url,
                    headers,
                    Some(Bytes::from(form)),
                    Duration::ZERO,
                )
                .await;
        }
        url.query_pairs_mut()
            .extend_pairs(self.service.iter().map(|service| ("service", service)))
            .extend_pairs(self.scopes.iter().map(|scope| ("scope", scope)));
        if let Some(secret) = credentials.basic
            && let Ok(mut value) = HeaderValue::from_str(&format!("Basic {}", secret.expose()))
        {
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let request = Request::new(&Method::GET, &url);
        transport
            .send(request, &Method::GET, url, headers, None, Duration::ZERO)
            .await
    }
}
