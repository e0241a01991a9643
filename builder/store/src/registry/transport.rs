//! Transport: one HTTP request, one response, and no more silence than allowed.
//! In: requests ready to send. Out: responses whose bodies are still to come. Knows no credentials and retries nothing.

use std::{
    collections::HashMap,
    future::Future,
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use futures_util::future::OptionFuture;
use reqwest::{
    Method, Response, StatusCode,
    header::{CONTENT_LENGTH, HeaderMap, HeaderName, RETRY_AFTER},
    redirect,
};
use soci_format::limits::Limits;
use tokio::time::sleep;
use url::Url;

use super::{
    address::{RedactedHost, is_loopback},
    certificates::{CertificateDirs, Certificates},
    error::{Error, Status},
    error_body::parse_error_body,
    log::{Log, chain},
    options::Options,
    request::Request,
    upload::UploadBody,
};

/// Longer than any healthy handshake, far shorter than a build.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// No slower upload is waited for: 100 KiB/s.
const SLOWEST_UPLOAD: u64 = 100 << 10;

/// Nor is a slower answer, once the longest silence has been waited in all: 10 KiB/s. At that pace no image gets through.
const SLOWEST_ANSWER: u64 = 10 << 10;

/// The HTTP clients: one for this machine; one, through proxies where the environment names them, for the rest; and one for each
/// host that has certificates of its own.
pub(super) struct Transport {
    clients: Mutex<HashMap<Kind, reqwest::Client>>,
    certificates: CertificateDirs,
    idle_timeout: Duration,
    log: Log,
}

/// What distinguishes HTTP clients.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Kind {
    near: bool,
    /// Neither HTTPS nor through a proxy: no authority is ever asked about.
    plain: bool,
    certificates: Option<PathBuf>,
}

/// An exchange, logged when it is over: after the last byte of its response, or when it is dropped.
struct LoggedExchange {
    log: Log,
    line: String,
    started: Instant,
    /// Bytes of the body so far.
    received: u64,
}

impl Drop for LoggedExchange {
    fn drop(&mut self) {
        let (line, received, seconds) = (
            &self.line,
            self.received,
            self.started.elapsed().as_secs_f64(),
        );
        self.log
            .line(|| format!("{line}, {received} bytes in {seconds:.3} s"));
    }
}

/// A response; its body is still to come.
pub(super) struct RegistryResponse {
    pub(super) request: Request,
    /// Where it received from: not where it was asked for, if there was a redirect.
    pub(super) url: Url,
    /// Whether the registry itself answered.
    pub(super) from_registry: bool,
    response: Response,
    idle_timeout: Duration,
    log_entry: LoggedExchange,
    /// How long we waited for the bytes so far. How long their reader takes does not count.
    waited: Duration,
}

impl Transport {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            clients: Mutex::default(),
            certificates: CertificateDirs::new(options.certificates.as_deref()),
            idle_timeout: options.retry.idle_timeout,
            log: options.log.clone(),
        }
    }

    /// Sends a request, which errors show as `request`; follows no redirect. The answer may be `more_patience` later than it may for others.
    pub(super) async fn send(
        &self,
        request: Request,
        method: &Method,
        url: Url,
        headers: HeaderMap,
        body: Option<Bytes>,
        more_patience: Duration,
    ) -> Result<RegistryResponse, Error> {
        let mut patience = self.idle_timeout + more_patience;
        if let Some(body) = &body {
            patience += Duration::from_secs(body.len() as u64 / SLOWEST_UPLOAD);
        }
        let body = body.map(reqwest::Body::from);
        let silence = async {
            sleep(patience).await;
            patience
        };
        self.exchange(request, method, url, headers, body, silence)
            .await
    }

    /// The same with a body that comes while it is sent. Whoever makes it looks at how long its pieces are waited for.
    pub(super) async fn send_streaming(
        &self,
        request: Request,
        method: &Method,
        url: Url,
        headers: HeaderMap,
        mut body: UploadBody,
    ) -> Result<RegistryResponse, Error> {
        let (done, patience) = (body.done.take(), body.patience);
        let silence = async {
            if let Some(Ok(())) = OptionFuture::from(done).await {
                sleep(patience).await;
                return patience;
            }
            self.idle_timeout
        };
        let body = Some(reqwest::Body::wrap(body));
        self.exchange(request, method, url, headers, body, silence)
            .await
    }

    /// Sends a request, and waits for the answer as long as `silence` does; that gives what to say of it.
    async fn exchange(
        &self,
        request: Request,
        method: &Method,
        url: Url,
        headers: HeaderMap,
        body: Option<reqwest::Body>,
        silence: impl Future<Output = Duration>,
    ) -> Result<RegistryResponse, Error> {
        let mut sent = self
            .client(&url)?
            .request(method.clone(), url.clone())
            .headers(headers);
        if let Some(body) = body {
            sent = sent.body(body);
        }
        let started = Instant::now();
        let response = tokio::select! {
            // An answer that is there counts, however late it is looked at.
            biased;
            response = sent.send() => response.map_err(|source| Error::Connection {
                request: request.clone(),
                source: source.without_url(),
            }),
            silence = silence => Err(Error::Stalled {
                request: request.clone(),
                silence,
            }),
        };
        let response = response.inspect_err(|error| self.log.line(|| chain(error)))?;
        Ok(RegistryResponse {
            log_entry: LoggedExchange {
                log: self.log.clone(),
                line: format!("{request}: {}", response.status().as_str()),
                started,
                received: 0,
            },
            request,
            url,
            from_registry: true,
            response,
            idle_timeout: self.idle_timeout,
            waited: Duration::ZERO,
        })
    }

    /// Made when first needed: reading the system's certificates takes a while.
    fn client(&self, url: &Url) -> Result<reqwest::Client, Error> {
        let certificates = match url.scheme() {
            "https" => self.certificates.directory(url),
            _ => None,
        };
        let near = is_loopback(url);
        let kind = Kind {
            near,
            plain: near && url.scheme() == "http",
            certificates,
        };
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&kind) {
            return Ok(client.clone());
        }
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("soci-builder/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            // Redirects are followed where it is known what may be sent along.
            .redirect(redirect::Policy::none());
        if kind.near {
            builder = builder.no_proxy();
        }
        if kind.plain {
            // The machine's certificates take longer to read than a small image.
            builder = builder.tls_certs_only([]);
        }
        if let Some(directory) = &kind.certificates {
            self.log.line(|| {
                format!(
                    "certificates for {}: from {}",
                    RedactedHost(url),
                    directory.display()
                )
            });
            let certificates =
                Certificates::read(directory).map_err(|source| Error::Certificates {
                    host: RedactedHost(url).to_string(),
                    source: Box::new(source),
                })?;
            builder = certificates.put_into(builder);
        }
        let client = builder.build().map_err(|source| Error::Setup { source })?;
        clients.insert(kind, client.clone());
        Ok(client)
    }
}

impl RegistryResponse {
    pub(super) fn status(&self) -> StatusCode {
        self.response.status()
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// A header's value, where it is there and is text.
    pub(super) fn header(&self, name: impl Into<HeaderName>) -> Option<&str> {
        self.headers().get(name.into())?.to_str().ok()
    }

    /// The announced length; in a response to HEAD, the length that GET would give.
    pub(super) fn content_length(&self) -> Option<u64> {
        self.header(CONTENT_LENGTH)?.parse().ok()
    }

    /// The next bytes of the body, as the HTTP client gives them.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        // A response that trickles in is never silent, and never complete.
        let earned = Duration::from_secs(self.log_entry.received / SLOWEST_ANSWER);
        let left = (self.idle_timeout + earned).saturating_sub(self.waited);
        let patience = left.min(self.idle_timeout);
        let started = Instant::now();
        let next = tokio::time::timeout(patience, self.response.chunk()).await;
        self.waited += started.elapsed();
        let request = || self.request.clone();
        match next {
            Ok(Ok(chunk)) => {
                self.log_entry.received += chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
                Ok(chunk)
            }
            Ok(Err(source)) => Err(Error::Connection {
                request: request(),
                source: source.without_url(),
            }),
            Err(_) if patience == self.idle_timeout => Err(Error::Stalled {
                request: request(),
                silence: patience,
            }),
            Err(_) => Err(Error::Slow {
                request: request(),
                received: self.log_entry.received,
                waited: self.waited,
            }),
        }
    }

    /// The whole body, or nothing where it is longer than `limit`.
    pub(super) async fn body(&mut self, limit: u64) -> Result<Option<Bytes>, Error> {
        if self.content_length().is_some_and(|length| length > limit) {
            return Ok(None);
        }
        let mut body = BytesMut::new();
        while let Some(chunk) = self.chunk().await? {
            if (body.len() + chunk.len()) as u64 > limit {
                return Ok(None);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Some(body.freeze()))
    }

    /// Reads a body that is not needed, so that its connection can be reused.
    pub(super) async fn drain(&mut self) {
        // A connection that cannot be used again costs a handshake, no more.
        let _ = self.body(Limits::ERROR_BODY_BYTES).await;
    }

    /// This response if it is successful; else the error in its body.
    pub(super) async fn successful(mut self) -> Result<Self, Error> {
        if self.status().is_success() {
            return Ok(self);
        }
        let body = self.body(Limits::ERROR_BODY_BYTES).await.ok().flatten();
        let (code, mut message) = body.as_deref().map(parse_error_body).unwrap_or_default();
        if !self.from_registry {
            // A storage may repeat the request in its own words, and the secret in its query with it.
            message.clear();
        }
        Err(Error::Status(Box::new(Status {
            status: self.status(),
            code,
            message,
            // Registries send seconds; a date is passed over for our own pause.
            retry_after: self
                .header(RETRY_AFTER)
                .and_then(|seconds| seconds.trim().parse().ok())
                .map(Duration::from_secs),
            from_registry: self.from_registry,
            request: self.request,
        })))
    }

    /// An error that says what is wrong with this answer.
    pub(super) fn refuse(&self, reason: impl Into<String>) -> Error {
        Error::InvalidResponse {
            request: self.request.clone(),
            reason: reason.into(),
        }
    }
}
