//! Images in ECR, read through its API: manifests, small blobs, referrers.
//! In: tags and digests. Out: what the builder's comparison needs, checked against its digest. Needs no registry token, and tells no
//! signed address.

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
    call::{CallError, Hope, Named, patiently},
    log::Log,
    pace::Patience,
    repository::Repository,
};

/// A page has 50 or more; nobody has this many indexes of one image.
const PAGES_MAX: usize = 20;
/// Configs have kilobytes.
const GET_TIMEOUT: Duration = Duration::from_secs(20);

/// The images of a repository.
#[derive(Clone, Debug)]
pub struct Images {
    /// ECR's client, for the repository's region.
    pub ecr: Client,
    /// For signed addresses.
    pub http: reqwest::Client,
    /// The repository.
    pub repository: Repository,
    /// For how long to try again.
    pub patience: Patience,
    /// Tells of tries.
    pub log: Log,
    denied: Arc<Mutex<Option<CallError>>>,
    /// What tags were found to name.
    tags: Arc<Mutex<BTreeMap<String, Digest>>>,
}

impl ReadImages for Images {
    async fn select(&self, selector: &Selector) -> Result<Option<StoredManifest>, Error> {
        let got = patiently(&self.patience, &self.log, || self.get(selector)).await;
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
        self.known(patiently(&self.patience, &self.log, || self.download(descriptor)).await)
    }

    async fn blob_size(&self, digest: &Digest) -> Result<Option<u64>, Error> {
        self.known(patiently(&self.patience, &self.log, || self.layer_size(digest)).await)
    }

    async fn referrers(
        &self,
        subject: &Digest,
        artifact_type: &str,
    ) -> Result<Vec<Descriptor>, Error> {
        self.known(
            patiently(&self.patience, &self.log, || {
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
        patience: Patience,
        log: Log,
    ) -> Self {
        Self {
            ecr,
            http,
            repository,
            patience,
            log,
            denied: Arc::default(),
            tags: Arc::default(),
        }
    }

    /// What a tag named when it was last read; nothing is asked.
    #[must_use]
    pub fn digest_of(&self, tag: &str) -> Option<Digest> {
        let tags = self.tags.lock().unwrap_or_else(PoisonError::into_inner);
        tags.get(tag).copied()
    }

    /// The right that was missing for a call, if any. The builder's comparison takes what cannot be read for not being there,
    /// and would have it built again.
    #[must_use]
    pub fn denied(&self) -> Option<CallError> {
        let denied = self.denied.lock();
        denied.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn known<T>(&self, result: Result<T, CallError>) -> Result<T, Error> {
        result.map_err(|error| {
            if error.hope() == Hope::Right {
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
            // All that we can read: else ECR gives by tag what it makes of the manifest for old clients.
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
            return Err(refuse(format!("a manifest of {} bytes", text.len())));
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
                "the manifest has the digest {found}, not {wanted}"
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
                // Whoever answers without filtering is taken at its word.
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
        Err(refuse("the list of referrers does not end"))
    }

    /// A blob by the address that ECR signs for it. The address is asked for again with each try: it expires.
    async fn download(&self, descriptor: &Descriptor) -> Result<Bytes, CallError> {
        const OPERATION: &str = "ECR GetDownloadUrlForLayer";
        let digest = descriptor.digest;
        let refuse = |why: String| CallError::new(OPERATION, format!("{digest}: {why}"));
        let busy = |why: String| CallError::busy(OPERATION, format!("{digest}: {why}"));
        if descriptor.size > Limits::MANIFEST_BYTES {
            return Err(refuse(format!("a config of {} bytes", descriptor.size)));
        }
        let answer = self
            .ecr
            .get_download_url_for_layer()
            .registry_id(&self.repository.account)
            .repository_name(&self.repository.name)
            .layer_digest(digest.to_string())
            .send()
            .await
            .named(OPERATION)?;
        let address = answer.download_url().unwrap_or_default();
        let broken = |error: reqwest::Error| busy(soci_index::run::chain(&error.without_url()));
        let mut answer = self
            .http
            .get(address)
            .timeout(GET_TIMEOUT)
            .send()
            .await
            .map_err(broken)?;
        if !answer.status().is_success() {
            return Err(busy(format!("its storage answered {}", answer.status())));
        }
        let mut bytes = BytesMut::new();
        while let Some(chunk) = answer.chunk().await.map_err(broken)? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() as u64 > descriptor.size {
                return Err(refuse(format!(
                    "more than its {} bytes came",
                    descriptor.size
                )));
            }
        }
        let found = Digest::of(&bytes);
        if found != digest {
            return Err(busy(format!(
                "{} bytes with the digest {found} came",
                bytes.len()
            )));
        }
        Ok(bytes.freeze())
    }
}
