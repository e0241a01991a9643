//! Exchanges: a request to a registry until its answer, through authorization, redirects and retries.
//! In: calls on a repository. Out: successful responses. Knows nothing of what they are about.

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use bytes::Bytes;
use reqwest::{
    Method, StatusCode,
    header::{HeaderMap, HeaderName, HeaderValue, LOCATION, WWW_AUTHENTICATE},
};
use tokio::sync::OnceCell;
use url::Url;

use super::{
    address::{is_loopback, same_origin},
    auth::{Auth, Grant, Scope},
    challenge::{self, Challenge},
    credentials::CredentialStore,
    ecr,
    endpoint::base_url,
    error::Error,
    log::Log,
    options::Options,
    request::Request,
    retry::{Attempts, RetryPolicy},
    transport::{RegistryResponse, Transport},
    upload::UploadBody,
};

/// Registries redirect once, content networks once more.
const REDIRECTS_MAX: u32 = 5;

/// A request to a registry.
#[derive(Clone)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Bytes>,
    pub(super) scope: Scope,
    /// How much longer than others it may take.
    pub(super) patience: Duration,
}

impl Call {
    pub(super) fn with(mut self, name: HeaderName, value: impl AsRef<str>) -> Self {
        // Values are media types and numbers. One that no header can hold came from a registry: it is left out.
        if let Ok(value) = HeaderValue::from_str(value.as_ref()) {
            self.headers.insert(name, value);
        }
        self
    }
}

/// One registry, and our standing there.
pub(super) struct Registry {
    pub(super) base: Url,
    pub(super) retry: RetryPolicy,
    plain_http: bool,
    pub(super) log: Log,
    /// Whether it takes the bytes of an upload in a PATCH only.
    pub(super) patches: AtomicBool,
    /// Whether it is ECR, whose responses are known.
    is_ecr: bool,
    transport: Arc<Transport>,
    auth: Auth,
    root_challenge: OnceCell<Option<Challenge>>,
}

impl Registry {
    pub(super) fn new(
        host: &str,
        options: &Options,
        transport: Arc<Transport>,
        credentials: Arc<CredentialStore>,
    ) -> Result<Self, Error> {
        let base = base_url(host, options)?;
        Ok(Self {
            plain_http: options.plain_http,
            is_ecr: ecr::EcrHost::of(host).is_some(),
            retry: options.retry.clone(),
            transport,
            auth: Auth::new(host, base.clone(), options.plain_http, credentials),
            root_challenge: OnceCell::new(),
            log: options.log.clone(),
            patches: AtomicBool::new(false),
            base,
        })
    }

    /// Whether `error` may mean that the registry takes no HEAD, so that GET is worth a try. ECR takes it: there a denial is one.
    pub(super) fn may_refuse_head(&self, error: &Error) -> bool {
        error.is_refused_request() && !(self.is_ecr && error.is_denied())
    }

    /// A successful response; its body is still to come.
    pub(super) async fn open(&self, call: &Call) -> Result<RegistryResponse, Error> {
        let mut attempts = self.attempts();
        loop {
            match self.once(call).await {
                Ok(answer) => return Ok(answer),
                Err(error) => attempts.again(error).await?,
            }
        }
    }

    /// A successful response and its body, which must not be longer than `limit`.
    pub(super) async fn fetch(
        &self,
        call: &Call,
        limit: u64,
    ) -> Result<(RegistryResponse, Bytes), Error> {
        let mut attempts = self.attempts();
        loop {
            let fetched = async {
                let mut answer = self.once(call).await?;
                let body = answer.body(limit).await?;
                let body = body.ok_or_else(|| Error::TooLong {
                    request: answer.request.clone(),
                    limit,
                })?;
                Ok((answer, body))
            };
            match fetched.await {
                Ok(fetched) => return Ok(fetched),
                Err(error) => attempts.again(error).await?,
            }
        }
    }

    /// Counts the attempts of one request.
    pub(super) fn attempts(&self) -> Attempts<'_> {
        self.retry.attempts(&self.log)
    }

    /// One attempt, with authorization.
    pub(super) async fn once(&self, call: &Call) -> Result<RegistryResponse, Error> {
        let grant = self.auth.current(&call.scope).await;
        let answer = self.follow(call, grant.as_ref()).await?;
        if answer.status().is_success() || !answer.from_registry {
            return answer.successful().await;
        }
        // Rare, and large: the state of every request would have room for it.
        Box::pin(self.retry_authorized(call, grant, answer)).await
    }

    /// The same with a body that comes while it is sent, and so only once: under the grant of the call that was made for it.
    pub(super) async fn once_streaming(
        &self,
        call: &Call,
        body: UploadBody,
    ) -> Result<RegistryResponse, Error> {
        let from_registry = same_origin(&call.url, &self.base);
        let mut headers = call.headers.clone();
        if let Some(grant) = self
            .auth
            .current(&call.scope)
            .await
            .filter(|_| from_registry)
        {
            grant.put_into(&mut headers);
        }
        let mut answer = self
            .transport
            .send_streaming(
                self.shown(call, &call.url),
                &call.method,
                call.url.clone(),
                headers,
                body,
            )
            .await?;
        answer.from_registry = from_registry;
        answer.successful().await
    }

    /// The response to a call that was refused to `grant`: with another grant, where one can help.
    async fn retry_authorized(
        &self,
        call: &Call,
        grant: Option<Grant>,
        answer: RegistryResponse,
    ) -> Result<RegistryResponse, Error> {
        let (status, request) = (answer.status().as_u16(), answer.request.clone());
        let asked = challenge_of(&answer);
        let refusal = match answer.successful().await {
            Ok(answer) => return Ok(answer),
            Err(refusal) => refusal,
        };
        let renew = async |challenge| {
            self.auth
                .renew(
                    &self.transport,
                    &call.scope,
                    grant.as_ref(),
                    challenge,
                    &request,
                )
                .await
        };
        let fresh = match (status, &grant) {
            (401, _) => {
                let before = grant.as_ref().map(|grant| grant.challenge.clone());
                let challenge = match asked.or(before) {
                    Some(challenge) => Some(challenge),
                    None => self.challenge_of_root().await,
                };
                renew(challenge.ok_or(Error::NoChallenge {
                    request: request.clone(),
                })?)
                .await?
            }
            (_, Some(grant)) if refusal.is_expired() => renew(grant.challenge.clone()).await?,
            // To strangers some registries deny what is there, or deny that it is there. Whoever cannot log in is a stranger.
            (403 | 404, None) => {
                let challenge = match asked {
                    Some(challenge) => Some(challenge),
                    None => self.challenge_of_root().await,
                };
                match challenge {
                    Some(challenge) => renew(challenge).await.map_err(|_| refusal)?,
                    None => return Err(refusal),
                }
            }
            _ => return Err(refusal),
        };
        let answer = self.follow(call, Some(&fresh)).await?;
        if answer.from_registry && answer.status() == StatusCode::UNAUTHORIZED {
            return Err(self.auth.refused(&answer.request, fresh.origin));
        }
        answer.successful().await
    }

    /// What the registry asks for at `/v2/`: some say it nowhere else. Asked once.
    async fn challenge_of_root(&self) -> Option<Challenge> {
        let ask = async || {
            let mut url = self.base.clone();
            if let Ok(mut segments) = url.path_segments_mut() {
                segments.pop_if_empty().extend(["v2", ""]);
            }
            let request = Request::new(&Method::GET, &url);
            let mut answer = self
                .transport
                .send(
                    request,
                    &Method::GET,
                    url,
                    HeaderMap::new(),
                    None,
                    Duration::ZERO,
                )
                .await?;
            answer.drain().await;
            let asks = answer.status() == StatusCode::UNAUTHORIZED;
            Ok::<_, Error>(challenge_of(&answer).filter(|_| asks))
        };
        // A root_challenge that cannot be reached says nothing; the next request will ask again.
        self.root_challenge
            .get_or_try_init(ask)
            .await
            .ok()
            .cloned()
            .flatten()
    }

    /// Sends a call and follows its redirects. The grant stays at home: other hosts have their own secrets in the URL.
    async fn follow(&self, call: &Call, grant: Option<&Grant>) -> Result<RegistryResponse, Error> {
        let mut url = call.url.clone();
        let mut redirects = 0;
        loop {
            let from_registry = same_origin(&url, &self.base);
            let mut headers = call.headers.clone();
            if let Some(grant) = grant.filter(|_| from_registry) {
                grant.put_into(&mut headers);
            }
            let mut answer = self
                .transport
                .send(
                    self.shown(call, &url),
                    &call.method,
                    url,
                    headers,
                    call.body.clone(),
                    call.patience,
                )
                .await?;
            answer.from_registry = from_registry;
            let is_reading = matches!(call.method, Method::GET | Method::HEAD);
            if !(is_reading && is_redirect(answer.status())) {
                return Ok(answer);
            }
            if redirects == REDIRECTS_MAX {
                return Err(answer.refuse(format!("redirected more than {REDIRECTS_MAX} times")));
            }
            redirects += 1;
            url = self.location(&answer)?;
            answer.drain().await;
        }
    }

    /// What may be shown of a request. Of an address elsewhere only the host may, because its path may hold a secret too.
    fn shown(&self, call: &Call, url: &Url) -> Request {
        match [&call.url, url].map(|url| same_origin(url, &self.base)) {
            [_, true] => Request::new(&call.method, url),
            [true, false] => Request::sent_on(&call.method, &call.url, url),
            [false, false] => Request::elsewhere(&call.method, url),
        }
    }

    /// The URL in a response's `Location`.
    pub(super) fn location(&self, answer: &RegistryResponse) -> Result<Url, Error> {
        let location = answer
            .header(LOCATION)
            .ok_or_else(|| answer.refuse("the response has no Location header"))?;
        self.linked(answer, location)
    }

    /// A URL that a response refers to; relative ones count from where the response came from.
    pub(super) fn linked(&self, answer: &RegistryResponse, reference: &str) -> Result<Url, Error> {
        // A name such as `sha256:…` reads as a scheme, though it is a path.
        let (algorithm, _) = reference.split_once(':').unwrap_or_default();
        let path = format!("./{reference}");
        let reference = match algorithm {
            "sha256" | "sha512" => &path,
            _ => reference,
        };
        let url = answer
            .url
            .join(reference)
            .map_err(|_| answer.refuse("the response refers to an invalid URL"))?;
        match url.scheme() {
            "https" => Ok(url),
            "http" if self.plain_http || is_loopback(&url) => Ok(url),
            _ => Err(answer
                .refuse("the registry redirects to a URL without HTTPS; --plain-http allows that")),
        }
    }
}

/// The challenge of a response, where it has one that we can meet.
fn challenge_of(answer: &RegistryResponse) -> Option<Challenge> {
    let challenges = answer.headers().get_all(WWW_AUTHENTICATE);
    challenge::choose(challenges.iter().map(HeaderValue::as_bytes))
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}
