//! What is read of an image but its layers: manifests, small blobs, referrers. Whoever has these can tell whether an index is
//! there; the provider reads them through another API than the builder.

use std::future::Future;

use bytes::Bytes;
use soci_format::{
    digest::Digest,
    limits::Limits,
    oci::{Descriptor, Selector, StoredManifest, to_go_json},
};

use super::{Error, Store};
use crate::{
    layout::{Layout, names::Found},
    registry,
};

/// Requests for blobs that are sent at once; ECR allows hundreds a second.
pub const REQUESTS_AT_ONCE: usize = 8;

/// A repository or layout that images are read from.
pub trait ReadImages: Sync {
    /// How much an image may ask of its reader.
    fn limits(&self) -> Limits {
        Limits::default()
    }

    /// The manifest under a tag or a digest, checked against the digest; `None` where there is none.
    fn select(
        &self,
        selector: &Selector,
    ) -> impl Future<Output = Result<Option<StoredManifest>, Error>> + Send;

    /// A small blob, whole and checked.
    fn blob(&self, descriptor: &Descriptor) -> impl Future<Output = Result<Bytes, Error>> + Send;

    /// Size of a blob in bytes; `None` where it is not there.
    fn blob_size(&self, digest: &Digest)
    -> impl Future<Output = Result<Option<u64>, Error>> + Send;

    /// Size of a blob in bytes, which are compared with its digest where the store itself does not vouch for them; `None` where it is
    /// not there.
    fn checked_size(
        &self,
        digest: &Digest,
    ) -> impl Future<Output = Result<Option<u64>, Error>> + Send {
        self.blob_size(digest)
    }

    /// The manifests of `artifact_type` that name `subject`.
    fn referrers(
        &self,
        subject: &Digest,
        artifact_type: &str,
    ) -> impl Future<Output = Result<Vec<Descriptor>, Error>> + Send;

    /// The manifest that `descriptor` names.
    fn manifest(
        &self,
        descriptor: &Descriptor,
    ) -> impl Future<Output = Result<StoredManifest, Error>> + Send {
        async {
            let fetched = self.select(&Selector::Digest(descriptor.digest)).await?;
            fetched.ok_or_else(|| Error::NoManifest(descriptor.digest.to_string()))
        }
    }
}

/// Reads the bytes of a manifest; `descriptor` is what the store says of them.
///
/// # Errors
/// Where they are no manifest.
pub fn parsed(descriptor: Descriptor, bytes: Bytes) -> Result<StoredManifest, Error> {
    let digest = descriptor.digest;
    StoredManifest::parse(descriptor, bytes).map_err(|source| Error::Manifest { digest, source })
}

/// The manifest that was found in a layout.
pub(super) fn read_found(layout: &Layout, found: &Found) -> Result<Option<StoredManifest>, Error> {
    let digest = found.descriptor.digest;
    let bytes = match &found.list {
        Some(list) => Some(to_go_json(list).into()),
        None => layout.manifest(&digest)?,
    };
    bytes
        .map(|bytes: Bytes| {
            // Neither the type nor the size of an entry must be true.
            let descriptor = Descriptor::new("", digest, bytes.len() as u64);
            parsed(descriptor, bytes)
        })
        .transpose()
}

impl ReadImages for Store {
    fn limits(&self) -> Limits {
        match self {
            Self::Registry(repository) => repository.limits(),
            Self::Layout(layout) => layout.limits(),
        }
    }

    async fn select(&self, selector: &Selector) -> Result<Option<StoredManifest>, Error> {
        match self {
            Self::Registry(repository) => match repository.manifest(selector).await? {
                Some(registry::Fetched { descriptor, bytes }) => {
                    parsed(descriptor, bytes).map(Some)
                }
                None => Ok(None),
            },
            Self::Layout(layout) => {
                let found = match selector {
                    Selector::Tag(name) => layout.find(Some(name), None)?,
                    Selector::Digest(digest) => layout.find_blob(digest)?,
                };
                match found {
                    Some(found) => read_found(layout, &found),
                    None => Ok(None),
                }
            }
        }
    }

    async fn blob(&self, descriptor: &Descriptor) -> Result<Bytes, Error> {
        let limit = self.limits().blob_bytes;
        if descriptor.size > limit {
            return Err(Error::BlobSize {
                digest: descriptor.digest,
                size: descriptor.size,
                limit,
            });
        }
        match self {
            Self::Registry(repository) => Ok(repository.blob(descriptor).await?),
            Self::Layout(layout) => layout
                .blob(&descriptor.digest)?
                .ok_or(Error::NoBlob(descriptor.digest)),
        }
    }

    async fn blob_size(&self, digest: &Digest) -> Result<Option<u64>, Error> {
        Ok(match self {
            Self::Registry(repository) => repository.blob_size(digest).await?,
            Self::Layout(layout) => layout.blob_size(digest)?,
        })
    }

    async fn checked_size(&self, digest: &Digest) -> Result<Option<u64>, Error> {
        Ok(match self {
            Self::Registry(repository) => repository.blob_size(digest).await?,
            Self::Layout(layout) => layout.checked_size(digest)?,
        })
    }

    async fn referrers(
        &self,
        subject: &Digest,
        artifact_type: &str,
    ) -> Result<Vec<Descriptor>, Error> {
        Ok(match self {
            Self::Registry(repository) => repository.referrers(subject, artifact_type).await?,
            Self::Layout(layout) => layout.referrers(subject, artifact_type)?,
        })
    }
}
