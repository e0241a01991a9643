//! Authorization: turns a registry's challenge into a header, and keeps it until it is refused.
//! In: challenges. Out: `Authorization` headers. One task fetches a token; all others wait for it and share it.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use reqwest::{
    Method,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue},
};
use serde::Deserialize;
use tokio::sync::Mutex;
use url::{Url, form_urlencoded};

use super::{
    challenge::Challenge,
    credentials::{Credentials, Keyring, Origin},
    endpoint::is_loopback,
    error::{Error, Request},
    secret::Secret,
    transport::{Answer, Transport},
};
use crate::limits::Limits;

/// What a request does to which repository; the service that gives out tokens wants to know.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Scope {
    pub(super) repository: String,
    pub(super) push: bool,
}

impl Scope {
    fn text(&self) -> String {
        let actions = if self.push { "pull,push" } else { "pull" };
        format!("repository:{}:{actions}", self.repository)
    }
}

/// The right to make a request, until the registry says otherwise.
#[derive(Clone)]
pub(super) struct Grant {
    /// Tells one grant from the next.
    number: u64,
    /// Where the credentials behind it came from.
    pub(super) origin: Option<Origin>,
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
    plain_http: bool,
    keyring: Arc<Keyring>,
    grants: Mutex<Grants>,
}

#[derive(Default)]
struct Grants {
    made: u64,
    /// Good for the whole registry.
    basic: Option<Grant>,
    bearer: HashMap<Scope, Grant>,
}

impl Grants {
    fn current(&self, scope: &Scope) -> Option<&Grant> {
        self.bearer.get(scope).or(self.basic.as_ref())
    }
}

impl Auth {
    /// Authorization at `host`, which is also what credentials are looked up for.
    pub(super) fn new(host: &str, plain_http: bool, keyring: Arc<Keyring>) -> Self {
        Self {
            host: host.to_owned(),
            plain_http,
            keyring,
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
        challenge: Option<Challenge>,
        request: &Request,
    ) -> Result<Grant, Error> {
        let mut grants = self.grants.lock().await;
        if let Some(current) = grants.current(scope)
            && refused.is_none_or(|refused| refused.number != current.number)
        {
            // Another task was here first.
            return Ok(current.clone());
        }
        let found = self.keyring.find(&self.host).await?;
        let origin = found.as_ref().map(|(_, origin)| *origin);
        let text = match (challenge, found) {
            (Some(Challenge::Basic), Some((Credentials::Basic(secret), _))) => {
                Secret::new(format!("Basic {}", secret.expose()))
            }
            (
                Some(Challenge::Bearer {
                    realm,
                    service,
                    scope: asked,
                }),
                found,
            ) => {
                let wanted = WantedToken {
                    realm: self.realm(&realm, request)?,
                    service,
                    // A registry asks for what one request needs; a push needs both.
                    scope: asked
                        .filter(|_| !scope.push)
                        .unwrap_or_else(|| scope.text()),
                };
                let token = wanted
                    .fetch(transport, found.map(|(found, _)| found))
                    .await
                    .map_err(|error| self.explain(error, request, origin))?;
                Secret::new(format!("Bearer {}", token.expose()))
            }
            _ => return Err(self.refused(request, origin)),
        };
        let mut header =
            HeaderValue::from_str(text.expose()).map_err(|_| self.refused(request, origin))?;
        header.set_sensitive(true);
        grants.made += 1;
        let grant = Grant {
            number: grants.made,
            origin,
            header,
        };
        if text.expose().starts_with("Basic ") {
            grants.basic = Some(grant.clone());
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

    /// Credentials go to the realm, so it must be one that nobody can listen to.
    fn realm(&self, text: &str, request: &Request) -> Result<Url, Error> {
        let refuse = |reason: String| Error::Answer {
            request: request.clone(),
            reason,
        };
        let realm = Url::parse(text)
            .map_err(|_| refuse("the registry's token service is no URL".to_owned()))?;
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
    scope: String,
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
        credentials: Option<Credentials>,
    ) -> Result<Secret, Error> {
        let mut answer = self.ask(transport, credentials).await?.successful().await?;
        let body = answer
            .body(Limits::TOKEN_BYTES)
            .await?
            .ok_or_else(|| answer.refuse("the token is too large"))?;
        // The parser's error is dropped: it would quote the body, which holds a token.
        let given: Option<GivenToken> = serde_json::from_slice(&body).ok();
        given
            .and_then(|given| given.token.or(given.access_token))
            .filter(|token| !token.is_empty())
            .map(Secret::new)
            .ok_or_else(|| answer.refuse("the answer holds no token"))
    }

    async fn ask(
        &self,
        transport: &Transport,
        credentials: Option<Credentials>,
    ) -> Result<Answer, Error> {
        let mut headers = HeaderMap::new();
        let mut url = self.realm.clone();
        if let Some(Credentials::Identity(token)) = credentials {
            let form = form_urlencoded::Serializer::new(String::new())
                .append_pair("grant_type", "refresh_token")
                .append_pair("client_id", "soci-builder")
                .append_pair("refresh_token", token.expose())
                .append_pair("scope", &self.scope)
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
                )
                .await;
        }
        url.query_pairs_mut()
            .extend_pairs(self.service.iter().map(|service| ("service", service)))
            .append_pair("scope", &self.scope);
        if let Some(Credentials::Basic(secret)) = credentials
            && let Ok(mut value) = HeaderValue::from_str(&format!("Basic {}", secret.expose()))
        {
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let request = Request::new(&Method::GET, &url);
        transport
            .send(request, &Method::GET, url, headers, None)
            .await
    }
}
