//! Blobs: small ones whole, and uploads.
//! In: digests, bytes. Out: bytes that match their descriptor. Layers are streamed elsewhere.

use std::{ops::Range, sync::atomic::Ordering::Relaxed};

use bytes::Bytes;
use reqwest::{
    Method, StatusCode,
    header::{CONTENT_RANGE, CONTENT_TYPE, HeaderName, LOCATION, RANGE},
};
use soci_format::{digest::Digest, oci::Descriptor};
use url::Url;

use super::{
    Connections, LayerStream, Repository,
    error::{Error, RetryClass},
    exchange::{Call, Registry},
    manifests::announced,
    stream::BlobStream,
    transport::RegistryResponse,
};

/// Bytes that are counted where a registry does not tell a blob's size: more than a config or most ztocs have.
const COUNTED_MAX: u64 = 16 << 20;

const DOCKER_UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");

/// How the bytes of an upload are sent. Most registries take them with the last request; some take a PATCH only.
#[derive(Clone, Copy, PartialEq, Eq)]
enum UploadMethod {
    Put,
    Patch,
}

impl UploadMethod {
    /// The way that the registry took last.
    fn of(registry: &Registry) -> Self {
        match registry.patches.load(Relaxed) {
            true => Self::Patch,
            false => Self::Put,
        }
    }

    fn other(self) -> Self {
        match self {
            Self::Put => Self::Patch,
            Self::Patch => Self::Put,
        }
    }
}

/// Rejects a response about another blob.
fn about(answer: &RegistryResponse, digest: &Digest) -> Result<(), Error> {
    match announced(answer) {
        Some(other) if other != *digest => {
            Err(answer.refuse(format!("the registry responded with blob {other}")))
        }
        _ => Ok(()),
    }
}

impl Repository {
    /// The size of a blob, where the repository has it.
    pub async fn blob_size(&self, digest: &Digest) -> Result<Option<u64>, Error> {
        let head = self.call(Method::HEAD, "blobs", &digest.to_string());
        match self.registry.open(&head).await {
            Ok(answer) => {
                about(&answer, digest)?;
                if let Some(size) = answer.content_length() {
                    return Ok(Some(size));
                }
            }
            Err(error) if self.registry.may_refuse_head(&error) => {}
            Err(error) => return Err(error),
        }
        self.size_by_get(digest).await
    }

    /// The same from registries that refuse HEAD, with 404 too, or say no length to it: the first byte comes with the length of all.
    async fn size_by_get(&self, digest: &Digest) -> Result<Option<u64>, Error> {
        let get = self.call(Method::GET, "blobs", &digest.to_string());
        let first = get.clone().with(RANGE, "bytes=0-0");
        let answer = match self.registry.open(&first).await {
            // It is empty, or there are no ranges here.
            Err(error) if error.is_range_refusal() => self.registry.open(&get).await,
            answer => answer,
        };
        let mut answer = match answer {
            Ok(answer) => answer,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error),
        };
        about(&answer, digest)?;
        let announced = match answer.status() {
            StatusCode::PARTIAL_CONTENT => {
                let range = answer.header(CONTENT_RANGE).unwrap_or_default();
                range.rsplit_once('/').and_then(|(_, all)| all.parse().ok())
            }
            _ => answer.content_length(),
        };
        if announced.is_some() {
            return Ok(announced);
        }
        let mut size = 0;
        while let Some(chunk) = answer.chunk().await? {
            size += chunk.len() as u64;
            if size > COUNTED_MAX || answer.status() == StatusCode::PARTIAL_CONTENT {
                return Err(answer.refuse("the registry did not report the blob's size"));
            }
        }
        Ok(Some(size))
    }

    /// Whether a blob need not be pushed. Where that cannot be said, it is.
    async fn has_blob(&self, digest: &Digest) -> Result<bool, Error> {
        let head = self.call(Method::HEAD, "blobs", &digest.to_string());
        match self.registry.open(&head).await {
            Ok(answer) => Ok(about(&answer, digest).is_ok()),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) if self.registry.may_refuse_head(&error) => {
                let size = self.size_by_get(digest).await;
                Ok(matches!(size, Ok(Some(_))))
            }
            Err(error) => Err(error),
        }
    }

    /// A blob that fits into memory: a config, a ztoc.
    pub async fn blob(&self, descriptor: &Descriptor) -> Result<Bytes, Error> {
        let call = self.call(Method::GET, "blobs", &descriptor.digest.to_string());
        let mut attempts = self.registry.attempts();
        let (answer, bytes) = loop {
            match self.small_blob(&call, descriptor.size).await {
                Ok(fetched) => break fetched,
                Err(error) => attempts.again(error).await?,
            }
        };
        let found = Digest::of(&bytes);
        if found != descriptor.digest {
            return Err(Error::Digest {
                request: answer,
                found,
                expected: descriptor.digest,
            });
        }
        Ok(bytes)
    }

    /// Streams a blob; nothing is sent before the first bytes are asked for.
    pub fn blob_stream(&self, descriptor: &Descriptor) -> BlobStream {
        self.blob_part(descriptor, 0..descriptor.size)
    }

    /// Streams the bytes `range` of a blob, which must lie within it; nothing is sent before the first bytes are asked for.
    pub(crate) fn blob_part(&self, descriptor: &Descriptor, range: Range<u64>) -> BlobStream {
        let call = self.call(Method::GET, "blobs", &descriptor.digest.to_string());
        BlobStream::new(self.registry.clone(), call, descriptor.size, range)
    }

    /// Streams a layer over as many of these connections as pay; nothing is sent before the first bytes are asked for.
    pub fn layer_stream(&self, layer: &Descriptor, connections: &Connections) -> LayerStream {
        LayerStream::new(self.clone(), layer.clone(), connections.clone())
    }

    /// Puts a blob there, unless it is there already; says whether it was not.
    pub async fn push_blob(&self, digest: &Digest, bytes: Bytes) -> Result<bool, Error> {
        if self.has_blob(digest).await? {
            return Ok(false);
        }
        let mut attempts = self.registry.attempts();
        let mut method = UploadMethod::of(&self.registry);
        let mut first_refusal = None;
        loop {
            let begun = self.begin_upload().await;
            let is_begun = begun.is_ok();
            let error = match begun {
                Ok(url) => match self.finish_upload(url, digest, bytes.clone(), method).await {
                    Ok(()) => {
                        self.registry
                            .patches
                            .store(method == UploadMethod::Patch, Relaxed);
                        return Ok(true);
                    }
                    Err(error) => error,
                },
                Err(error) => error,
            };
            // Another client may have finished the same upload first, which some registries refuse to repeat.
            let refused = error.retry_class() == RetryClass::Permanent && error.status().is_some();
            if refused && matches!(self.blob_size(digest).await, Ok(Some(_))) {
                return Ok(false);
            }
            let sent_in_vain = is_begun && (refused || error.is_server_error());
            if sent_in_vain && first_refusal.is_none() {
                method = method.other();
                first_refusal = Some(error);
                continue;
            }
            match first_refusal.take() {
                // Both ways were refused; the first, which most registries take, tells more.
                Some(first) if refused => return Err(first),
                _ => attempts.again(error).await?,
            }
            method = UploadMethod::of(&self.registry);
        }
    }

    /// Begins an upload, and gives the address that takes it.
    async fn begin_upload(&self) -> Result<Url, Error> {
        let mut call = self.call(Method::POST, "blobs", "uploads");
        // The specification's path ends in a slash.
        if let Ok(mut segments) = call.url.path_segments_mut() {
            segments.push("");
        }
        call.body = Some(Bytes::new());
        let answer = self.registry.once(&call).await?;
        match (answer.header(LOCATION), answer.header(DOCKER_UPLOAD_UUID)) {
            (None, Some(name)) => self.registry.linked(&answer, name),
            _ => self.registry.location(&answer),
        }
    }

    /// Sends the bytes of an upload and ends it.
    async fn finish_upload(
        &self,
        url: Url,
        digest: &Digest,
        bytes: Bytes,
        method: UploadMethod,
    ) -> Result<(), Error> {
        let send = async |method, url, bytes| {
            let call = Call {
                url,
                body: Some(bytes),
                ..self.call(method, "blobs", "uploads")
            };
            let call = call.with(CONTENT_TYPE, "application/octet-stream");
            self.registry.once(&call).await
        };
        let (mut url, bytes) = match method {
            UploadMethod::Put => (url, bytes),
            UploadMethod::Patch => {
                let answer = send(Method::PATCH, url.clone(), bytes).await?;
                let next = match answer.header(LOCATION) {
                    Some(_) => self.registry.location(&answer)?,
                    None => url,
                };
                (next, Bytes::new())
            }
        };
        // Appended, and not parsed and written again: a signed query must stay as it is.
        let query = match url.query() {
            Some(query) if !query.is_empty() => format!("{query}&digest={digest}"),
            _ => format!("digest={digest}"),
        };
        url.set_query(Some(&query));
        send(Method::PUT, url, bytes).await.map(drop)
    }

    async fn small_blob(
        &self,
        call: &Call,
        expected: u64,
    ) -> Result<(super::Request, Bytes), Error> {
        let mut answer = self.registry.once(call).await?;
        let announced = answer.content_length();
        match answer.body(expected).await? {
            Some(bytes) if bytes.len() as u64 == expected => Ok((answer.request, bytes)),
            cut => Err(Error::Size {
                found: cut
                    .map(|bytes| bytes.len() as u64)
                    .or(announced)
                    .unwrap_or(expected + 1),
                expected,
                request: answer.request,
            }),
        }
    }
}
