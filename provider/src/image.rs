//! Reads images through the ECR API: manifests, small blobs, referrers.
//! In: tags and digests. Out: content verified against its digest, for the builder's comparison. Needs no registry token and
//! reveals no presigned URL.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aws_sdk_ecr::{
    Client,
    types::{
        ImageFailureCode, ImageIdentifier, LayerAvailability, ListImageReferrersFilter,
        SubjectIdentifier,
    },
};
use bytes::{Bytes, BytesMut};
use soci_format::{
    digest::Digest,
    limits::Limits,
    oci::{Descriptor, Selector, StoredManifest, media_type},
};
use soci_store::store::{Error, ReadImages, parsed};

use crate::{
    call::{CallError, Named, RetryClass, Retryable, with_retries},
    log::Log,
    pace::RetryWindow,
    repository::Repository,
};

/// A page has 50 or more entries; no image has this many indexes.
const PAGES_MAX: usize = 20;
/// Configs are a few kilobytes.
const GET_TIMEOUT: Duration = Duration::from_secs(20);

/// The images of a repository.
#[derive(Clone, Debug)]
pub struct Images {
    /// ECR's client, for the repository's region.
    pub ecr: Client,
    /// For presigned URLs.
    pub http: reqwest::Client,
    /// The repository.
    pub repository: Repository,
    /// How long to retry.
    pub retry_window: RetryWindow,
    /// Logs retries.
    pub log: Log,
    denied: Arc<Mutex<Option<CallError>>>,
    /// The digests that tags pointed to.
    tags: Arc<Mutex<BTreeMap<String, Digest>>>,
}

impl ReadImages for Images {
    async fn select(&self, selector: &Selector) -> Result<Option<StoredManifest>, Error> {
        let got = with_retries(&self.retry_window, &self.log, || self.get(selector)).await;
        let Some((descriptor, bytes)) = self.known(got)? else {
            return Ok(None);
        };
        if let Selector::Tag(tag) = selector {
            let mut tags = self.tags.lock().unwrap_or_else(PoisonError::into_inner);
            tags.insert(tag.clone(), descriptor.digest);
        }
        parsed(descriptor, bytes).map(Some)
    }

    async fn blob(&self, descriptor: &Descriptor) -> Result<Bytes, Error> {
        self.known(with_retries(&self.retry_window, &self.log, || self.download(descriptor)).await)
    }

    async fn blob_size(&self, digest: &Digest) -> Result<Option<u64>, Error> {
        self.known(with_retries(&self.retry_window, &self.log, || self.layer_size(digest)).await)
    }

    async fn referrers(
        &self,
        subject: &Digest,
        artifact_type: &str,
    ) -> Result<Vec<Descriptor>, Error> {
        self.known(
            with_retries(&self.retry_window, &self.log, || {
                self.list_referrers(subject, artifact_type)
            })
            .await,
        )
    }
}

impl Images {
    /// The images of `repository`.
    #[must_use]
    pub fn new(
        ecr: Client,
        http: reqwest::Client,
        repository: Repository,
        retry_window: RetryWindow,
        log: Log,
    ) -> Self {
        Self {
            ecr,
            http,
            repository,
            retry_window,
            log,
            denied: Arc::default(),
            tags: Arc::default(),
        }
    }

    /// The digest of a tag when it was last read. Makes no call.
    #[must_use]
    pub fn digest_of(&self, tag: &str) -> Option<Digest> {
        let tags = self.tags.lock().unwrap_or_else(PoisonError::into_inner);
        tags.get(tag).copied()
    }

    /// The call that was denied, if any. The builder's comparison treats unreadable content as missing
    /// and would rebuild it.
    #[must_use]
    pub fn denied(&self) -> Option<CallError> {
        let denied = self.denied.lock();
        denied.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn known<T>(&self, result: Result<T, CallError>) -> Result<T, Error> {
        result.map_err(|error| {
            if error.retry_class() == RetryClass::AccessDenied {
                let mut denied = self.denied.lock().unwrap_or_else(PoisonError::into_inner);
                *denied = Some(error.clone());
            }
            Error::Elsewhere(Box::new(error))
        })
    }

    async fn get(&self, selector: &Selector) -> Result<Option<(Descriptor, Bytes)>, CallError> {
        const OPERATION: &str = "ECR BatchGetImage";
        let image = ImageIdentifier::builder();
        let image = match selector {
            Selector::Tag(tag) => image.image_tag(tag),
            Selector::Digest(digest) => image.image_digest(digest.to_string()),
        };
        let got = self
            .ecr
            .batch_get_image()
            .registry_id(&self.repository.account)
            .repository_name(&self.repository.name)
            .image_ids(image.build())
            // Without this, ECR may convert the manifest for old clients.
            .set_accepted_media_types(Some(media_type::MANIFESTS.map(str::to_owned).to_vec()))
            .send()
            .await
            .named(OPERATION)?;
        let Some(image) = got.images().first() else {
            return match got.failures().first() {
                None => Ok(None),
                Some(failure) => match failure.failure_code() {
                    Some(ImageFailureCode::ImageNotFound) => Ok(None),
                    code => {
                        let code = code.map_or("no code", ImageFailureCode::as_str);
                        let reason = failure.failure_reason().unwrap_or_default();
                        Err(CallError::refused(
                            OPERATION,
                            code,
                            format!("{selector}: {code}: {reason}"),
                        ))
                    }
                },
            };
        };
        let refuse = |why: String| CallError::new(OPERATION, format!("{selector}: {why}"));
        let text = image.image_manifest().unwrap_or_default();
        if text.len() as u64 > Limits::MANIFEST_BYTES {
            return Err(refuse(format!(
                "the manifest has {} bytes, more than the limit",
                text.len()
            )));
        }
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        let descriptor = Descriptor::of(
            image.image_manifest_media_type().unwrap_or_default(),
            &bytes,
        );
        let named = image
            .image_id()
            .and_then(|id| id.image_digest())
            .unwrap_or_default();
        let wanted = match selector {
            Selector::Digest(digest) => digest.to_string(),
            Selector::Tag(_) => named.to_owned(),
        };
        if descriptor.digest.to_string() != wanted {
            let found = descriptor.digest;
            return Err(refuse(format!(
                "digest mismatch: expected {wanted}, got {found}"
            )));
        }
        Ok(Some((descriptor, bytes)))
    }

    async fn layer_size(&self, digest: &Digest) -> Result<Option<u64>, CallError> {
        let checked = self
            .ecr
            .batch_check_layer_availability()
            .registry_id(&self.repository.account)
            .repository_name(&self.repository.name)
            .layer_digests(digest.to_string())
            .send()
            .await
            .named("ECR BatchCheckLayerAvailability")?;
        let layer = checked.layers().iter().find(|layer| {
            layer.layer_digest() == Some(digest.to_string().as_str())
                && layer.layer_availability() == Some(&LayerAvailability::Available)
        });
        let size = layer.and_then(|layer| layer.layer_size());
        Ok(size.and_then(|size| u64::try_from(size).ok()))
    }

    async fn list_referrers(
        &self,
        subject: &Digest,
        artifact_type: &str,
    ) -> Result<Vec<Descriptor>, CallError> {
        const OPERATION: &str = "ECR ListImageReferrers";
        let refuse = |why: &str| CallError::new(OPERATION, format!("{subject}: {why}"));
        let subject_id = SubjectIdentifier::builder()
            .image_digest(subject.to_string())
            .build()
            .map_err(|error| refuse(&error.to_string()))?;
        let filter = ListImageReferrersFilter::builder()
            .artifact_types(artifact_type)
            .build();
        let mut found = Vec::new();
        let mut next = None;
        for _ in 0..PAGES_MAX {
            let page = self
                .ecr
                .list_image_referrers()
                .registry_id(&self.repository.account)
                .repository_name(&self.repository.name)
                .subject_id(subject_id.clone())
                .filter(filter.clone())
                .set_next_token(next)
                .send()
                .await
                .named(OPERATION)?;
            for referrer in page.referrers() {
                // The service may ignore the filter.
                if referrer
                    .artifact_type()
                    .is_some_and(|other| other != artifact_type)
                {
                    continue;
                }
                let digest = referrer.digest().parse();
                let digest = digest.map_err(|_| refuse("a referrer has no SHA-256 digest"))?;
                let size = u64::try_from(referrer.size()).unwrap_or_default();
                found.push(Descriptor::new(referrer.media_type(), digest, size));
            }
            next = page.next_token;
            if next.is_none() {
                return Ok(found);
            }
        }
        Err(refuse("too many pages of referrers"))
    }

    /// Downloads a blob by its presigned URL. Each attempt requests a new URL because URLs expire.
    async fn download(&self, descriptor: &Descriptor) -> Result<Bytes, CallError> {
        const OPERATION: &str = "ECR GetDownloadUrlForLayer";
        let digest = descriptor.digest;
        let refuse = |why: String| CallError::new(OPERATION, format!("{digest}: {why}"));
        let transient = |why: String| CallError::transient(OPERATION, format!("{digest}: {why}"));
        if descriptor.size > Limits::MANIFEST_BYTES {
            return Err(refuse(format!(
                "the image config has {} bytes, more than the limit",
                descriptor.size
            )));
        }
        let response = self
            .ecr
            .get_download_url_for_layer()
            .registry_id(&self.repository.account)
            .repository_name(&self.repository.name)
            .layer_digest(digest.to_string())
            .send()
            .await
            .named(OPERATION)?;
        let address = response.download_url().unwrap_or_default();
        let network_error =
            |error: reqwest::Error| transient(soci_index::run::chain(&error.without_url()));
        let mut response = self
            .http
            .get(address)
            .timeout(GET_TIMEOUT)
            .send()
            .await
            .map_err(network_error)?;
        if !response.status().is_success() {
            return Err(transient(format!(
                "HTTP status {} from the blob storage",
                response.status()
            )));
        }
        let mut bytes = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(network_error)? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() as u64 > descriptor.size {
                return Err(refuse(format!(
                    "received more than the expected {} bytes",
                    descriptor.size
                )));
            }
        }
        let found = Digest::of(&bytes);
        if found != digest {
            return Err(transient(format!(
                "digest mismatch: expected {digest}, got {found} in {} bytes",
                bytes.len()
            )));
        }
        Ok(bytes.freeze())
    }
}
