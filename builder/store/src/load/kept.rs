//! Manifests that are read once, however often they are asked for: whoever copies an image needs them a second time, and public
//! registries count how many somebody reads.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use bytes::Bytes;
use soci_format::{
    digest::Digest,
    limits::Limits,
    oci::{Descriptor, Selector, StoredManifest},
};

use crate::store::{Error, ReadImages};

/// A store, and the manifests that were read from it by their digest: as many as the limits let an image have.
pub struct KeptManifests<'a, S> {
    store: &'a S,
    kept: Mutex<HashMap<Digest, StoredManifest>>,
}

impl<'a, S: ReadImages> KeptManifests<'a, S> {
    /// None are kept yet.
    pub fn of(store: &'a S) -> Self {
        let kept = Mutex::default();
        Self { store, kept }
    }
}

impl<S: ReadImages> ReadImages for KeptManifests<'_, S> {
    fn limits(&self) -> Limits {
        self.store.limits()
    }

    async fn select(&self, selector: &Selector) -> Result<Option<StoredManifest>, Error> {
        let Selector::Digest(digest) = selector else {
            return self.store.select(selector).await;
        };
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(manifest) = kept().get(digest) {
            return Ok(Some(manifest.clone()));
        }
        let found = self.store.select(selector).await?;
        if let Some(manifest) = &found {
            kept().insert(*digest, manifest.clone());
        }
        Ok(found)
    }

    async fn blob(&self, descriptor: &Descriptor) -> Result<Bytes, Error> {
        self.store.blob(descriptor).await
    }

    async fn blob_size(&self, digest: &Digest) -> Result<Option<u64>, Error> {
        self.store.blob_size(digest).await
    }

    async fn checked_size(&self, digest: &Digest) -> Result<Option<u64>, Error> {
        self.store.checked_size(digest).await
    }

    async fn referrers(
        &self,
        subject: &Digest,
        artifact_type: &str,
    ) -> Result<Vec<Descriptor>, Error> {
        self.store.referrers(subject, artifact_type).await
    }
}
