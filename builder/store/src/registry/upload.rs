//! Uploads: small blobs whole, layers as they come, and blobs that another repository of the same registry has.
//! In: digests, bytes. Out: blobs in the registry.

mod streamed;

use std::sync::{Arc, atomic::Ordering::Relaxed};

use bytes::Bytes;
use reqwest::{
    Method, StatusCode,
    header::{CONTENT_TYPE, HeaderName, LOCATION},
};
use soci_format::digest::Digest;
use url::{Url, form_urlencoded};

pub(super) use streamed::UploadBody;
pub use streamed::{Pieces, Sending, Upload};

use super::{
    Repository,
    error::{Error, RetryClass},
    exchange::{Call, Registry},
    transport::RegistryResponse,
};

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

/// The address that ends an upload. The digest is appended, and the query not parsed and written again: a signed one must stay as it is.
fn with_digest(mut url: Url, digest: &Digest) -> Url {
    let query = match url.query() {
        Some(query) if !query.is_empty() => format!("{query}&digest={digest}"),
        _ => format!("digest={digest}"),
    };
    url.set_query(Some(&query));
    url
}

impl Repository {
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
        let answer = self.registry.once(&self.upload_call()).await?;
        self.upload_url(&answer)
    }

    /// The call that begins an upload.
    fn upload_call(&self) -> Call {
        let mut call = self.call(Method::POST, "blobs", "uploads");
        // The specification's path ends in a slash.
        if let Ok(mut segments) = call.url.path_segments_mut() {
            segments.push("");
        }
        call.body = Some(Bytes::new());
        call
    }

    fn upload_url(&self, answer: &RegistryResponse) -> Result<Url, Error> {
        match (answer.header(LOCATION), answer.header(DOCKER_UPLOAD_UUID)) {
            (None, Some(name)) => self.registry.linked(answer, name),
            _ => self.registry.location(answer),
        }
    }

    /// Has the registry take a blob over from another of its repositories. `None` where it did; else the upload that it began instead.
    async fn mount(&self, digest: &Digest, from: &Self) -> Result<Option<Url>, Error> {
        let mut call = self.upload_call();
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("mount", &digest.to_string())
            .append_pair("from", &from.name)
            .finish();
        call.url.set_query(Some(&query));
        call.scope.from = Some(from.name.clone());
        let answer = self.registry.open(&call).await?;
        match answer.status() {
            StatusCode::CREATED => Ok(None),
            _ => self.upload_url(&answer).map(Some),
        }
    }

    /// Whether blobs can be taken over from `other`: another repository of the same registry.
    fn can_mount_from(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.registry, &other.registry) && self.name != other.name
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
        let (url, bytes) = match method {
            UploadMethod::Put => (url, bytes),
            UploadMethod::Patch => {
                let answer = send(Method::PATCH, url.clone(), bytes).await?;
                (self.next_url(&answer, url)?, Bytes::new())
            }
        };
        send(Method::PUT, with_digest(url, digest), bytes)
            .await
            .map(drop)
    }

    /// Where an upload goes on after `answer`.
    fn next_url(&self, answer: &RegistryResponse, url: Url) -> Result<Url, Error> {
        match answer.header(LOCATION) {
            Some(_) => self.registry.location(answer),
            None => Ok(url),
        }
    }
}
