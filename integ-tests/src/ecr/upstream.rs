//! The real registry behind ECR: manifests by digest, blobs, uploads.
//! In: repository names and digests. Out: bytes and answers, streamed. Knows nothing of tags, tokens or rights.

use std::net::SocketAddr;

use bytes::Bytes;
use hyper::{
    Method, Request, Response,
    header::{self, HeaderName, HeaderValue},
};
use reqwest::Body;

use crate::digest::is_digest;

/// What of an answer is passed on.
const KEPT_HEADERS: [HeaderName; 9] = [
    header::ACCEPT_RANGES,
    header::CONTENT_LENGTH,
    header::CONTENT_RANGE,
    header::CONTENT_TYPE,
    header::ETAG,
    header::LOCATION,
    header::RANGE,
    HeaderName::from_static("docker-content-digest"),
    HeaderName::from_static("docker-upload-uuid"),
];

/// The registry did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// It was not reached.
    #[error("the registry behind ECR cannot be reached")]
    Unreached(#[from] reqwest::Error),
    /// It refused.
    #[error("the registry behind ECR answers {status}: {words}")]
    Refused {
        /// Its status.
        status: u16,
        /// Its words.
        words: String,
    },
}

/// A client of it.
pub(crate) struct Upstream {
    client: reqwest::Client,
    address: SocketAddr,
}

impl Upstream {
    pub(crate) fn new(address: SocketAddr) -> Result<Self, Error> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self { client, address })
    }

    /// A blob's size; none where it is not there.
    pub(crate) async fn blob_size(&self, name: &str, digest: &str) -> Result<Option<u64>, Error> {
        if !is_digest(digest) {
            return Ok(None);
        }
        let url = self.url(&format!("/v2/{name}/blobs/{digest}"));
        let answer = self.client.head(url).send().await?;
        match answer.status().as_u16() {
            404 => Ok(None),
            // Not `content_length()`: that is the size of the body, and this has none.
            200 => Ok(answer
                .headers()
                .get(header::CONTENT_LENGTH)
                .and_then(|size| size.to_str().ok()?.parse().ok())),
            _ => Err(refused(answer).await),
        }
    }

    /// A manifest.
    pub(crate) async fn manifest(
        &self,
        name: &str,
        digest: &str,
        media_type: &str,
    ) -> Result<Bytes, Error> {
        let url = self.url(&format!("/v2/{name}/manifests/{digest}"));
        let request = self.client.get(url).header(header::ACCEPT, media_type);
        let answer = request.send().await?;
        match answer.status().is_success() {
            true => Ok(answer.bytes().await?),
            false => Err(refused(answer).await),
        }
    }

    /// Stores a manifest by its digest.
    pub(crate) async fn put_manifest(
        &self,
        name: &str,
        digest: &str,
        media_type: &str,
        bytes: Bytes,
    ) -> Result<(), Error> {
        let url = self.url(&format!("/v2/{name}/manifests/{digest}"));
        let request = self.client.put(url).body(bytes);
        let answer = request
            .header(header::CONTENT_TYPE, media_type)
            .send()
            .await?;
        match answer.status().is_success() {
            true => Ok(()),
            false => Err(refused(answer).await),
        }
    }

    /// Passes a request on under this path, and its answer back; bodies are streamed.
    pub(crate) async fn pass<B>(
        &self,
        request: Request<B>,
        path: &str,
    ) -> Result<Response<Body>, Error>
    where
        B: hyper::body::Body<Data = Bytes> + Send + Sync + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (head, body) = request.into_parts();
        let mut onward = self.client.request(head.method.clone(), self.url(path));
        for name in [header::CONTENT_LENGTH, header::CONTENT_TYPE, header::RANGE] {
            if let Some(value) = head.headers.get(&name) {
                onward = onward.header(name, value);
            }
        }
        if head.method != Method::GET && head.method != Method::HEAD {
            onward = onward.body(Body::wrap(body));
        }
        let answer = onward.send().await?;
        let mut back = Response::builder().status(answer.status().as_u16());
        for name in &KEPT_HEADERS {
            if let Some(value) = answer.headers().get(name) {
                back = back.header(name, value);
            }
        }
        let body = match head.method {
            Method::HEAD => Body::default(),
            _ => answer.into(),
        };
        Ok(back.body(body).unwrap_or_else(|_| failed()))
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

async fn refused(answer: reqwest::Response) -> Error {
    Error::Refused {
        status: answer.status().as_u16(),
        words: answer.text().await.unwrap_or_default(),
    }
}

fn failed() -> Response<Body> {
    let mut answer = Response::new(Body::default());
    *answer.status_mut() = hyper::StatusCode::BAD_GATEWAY;
    let length = HeaderValue::from_static("0");
    answer.headers_mut().insert(header::CONTENT_LENGTH, length);
    answer
}
