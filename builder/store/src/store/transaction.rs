//! What is put into a store: [`Store::write`] hands out a transaction, and is the only place that does.
//! In: blobs, manifests, tags. Out: all of it, or a layout as it was. A registry has each part at once, and keeps it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use bytes::Bytes;
use soci_format::{
    digest::Digest,
    oci::{Descriptor, Selector},
};
use tokio::task::spawn_blocking;

use super::{Error, ReadImages, Store, none_if_corrupt, none_if_denied};
use crate::{layout, registry::Repository};

/// Through which a store is written to. Its clones are the same one, for tasks that put what they made.
#[derive(Clone)]
pub struct Transaction(Arc<Kind>);

pub(super) enum Kind {
    Registry {
        repository: Repository,
        has_put: AtomicBool,
    },
    Layout(layout::Transaction),
}

/// Tells a thread to stop when nobody waits for it any longer.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Store {
    /// Does `work`, and keeps what it put if it succeeds; otherwise a layout is as it was. Says whether the store has
    /// anything now that it had not before.
    ///
    /// # Errors
    /// Those of the work, and where what it put cannot be kept.
    pub async fn write<T, E: From<Error>>(
        &self,
        work: impl AsyncFnOnce(&Transaction) -> Result<T, E>,
    ) -> Result<(T, bool), E> {
        let transaction = Transaction::begin(self);
        let done = work(&transaction).await?;
        Ok((done, transaction.commit().await?))
    }
}

impl Transaction {
    fn begin(store: &Store) -> Self {
        Self(Arc::new(match store {
            Store::Registry(repository) => Kind::Registry {
                repository: repository.clone(),
                has_put: AtomicBool::new(false),
            },
            Store::Layout(layout) => Kind::Layout(layout::Transaction::begin(layout)),
        }))
    }

    pub(super) fn kind(&self) -> &Kind {
        &self.0
    }

    /// The store has something now that it had not before.
    pub(super) fn has_put(&self) {
        if let Kind::Registry { has_put, .. } = &*self.0 {
            has_put.store(true, Ordering::Relaxed);
        }
    }

    async fn commit(self) -> Result<bool, Error> {
        if let Kind::Registry { has_put, .. } = &*self.0 {
            return Ok(has_put.load(Ordering::Relaxed));
        }
        // Not here: an archive takes a while, and a signal is to be heard meanwhile. It drops this.
        let stop = StopOnDrop(Arc::default());
        let told = Arc::clone(&stop.0);
        let committed = spawn_blocking(move || match &*self.0 {
            Kind::Registry { .. } => Ok(false),
            Kind::Layout(transaction) => transaction.commit(&told),
        });
        match committed.await {
            Ok(committed) => Ok(committed?),
            Err(died) => Err(Error::Elsewhere(Box::new(died))),
        }
    }

    /// Adds a blob, unless it is there.
    pub async fn put_blob(&self, digest: &Digest, bytes: Bytes) -> Result<(), Error> {
        match &*self.0 {
            Kind::Registry {
                repository,
                has_put,
            } => {
                let is_new = repository.push_blob(digest, bytes).await?;
                has_put.fetch_or(is_new, Ordering::Relaxed);
                Ok(())
            }
            Kind::Layout(transaction) => Ok(transaction.put_blob(digest, &bytes)?),
        }
    }

    /// Adds a manifest by its digest, unless it is there; all that it names must be there.
    pub async fn put_manifest(&self, descriptor: &Descriptor, bytes: Bytes) -> Result<(), Error> {
        match &*self.0 {
            Kind::Registry {
                repository,
                has_put,
            } => {
                if !is_there(repository, &descriptor.digest).await? {
                    let selector = Selector::Digest(descriptor.digest);
                    repository
                        .push_manifest(&selector, &descriptor.media_type, bytes)
                        .await?;
                    has_put.store(true, Ordering::Relaxed);
                }
                Ok(())
            }
            Kind::Layout(transaction) => Ok(transaction.put_blob(&descriptor.digest, &bytes)?),
        }
    }

    /// Adds a manifest that names `subject`, so that it is found as its referrer, unless it is.
    pub async fn put_referrer(
        &self,
        descriptor: &Descriptor,
        bytes: Bytes,
        subject: &Digest,
    ) -> Result<(), Error> {
        match &*self.0 {
            Kind::Registry {
                repository,
                has_put,
            } => {
                let artifact_type = descriptor.artifact_type.as_deref().unwrap_or_default();
                // A list may outlive what it names, and one that cannot be read may lack it: putting it again does no harm.
                let listed = repository.referrers(subject, artifact_type).await;
                let is_listed = listed
                    .is_ok_and(|listed| listed.iter().any(|one| one.digest == descriptor.digest));
                if is_there(repository, &descriptor.digest).await? && is_listed {
                    return Ok(());
                }
                let selector = Selector::Digest(descriptor.digest);
                let pushed = repository
                    .push_manifest(&selector, &descriptor.media_type, bytes)
                    .await?;
                if pushed.subject.is_none() {
                    repository
                        .add_referrer_by_tag(subject, descriptor.clone())
                        .await?;
                }
                has_put.store(true, Ordering::Relaxed);
            }
            Kind::Layout(transaction) => {
                transaction.put_blob(&descriptor.digest, &bytes)?;
                transaction.name(descriptor.clone(), None);
            }
        }
        Ok(())
    }

    /// Puts a manifest under `tag`, unless it is there. Where tags are immutable, one that names another manifest is an error.
    pub async fn put_tag(
        &self,
        tag: &str,
        descriptor: &Descriptor,
        bytes: Bytes,
    ) -> Result<(), Error> {
        match &*self.0 {
            Kind::Registry {
                repository,
                has_put,
            } => {
                let is_new = put_registry_tag(repository, tag, descriptor, bytes).await?;
                has_put.fetch_or(is_new, Ordering::Relaxed);
            }
            Kind::Layout(transaction) => {
                transaction.put_blob(&descriptor.digest, &bytes)?;
                transaction.name(descriptor.clone(), Some(tag));
            }
        }
        Ok(())
    }
}

/// Whether a manifest is there and whole.
async fn is_there(repository: &Repository, digest: &Digest) -> Result<bool, Error> {
    let store = Store::Registry(repository.clone());
    let found = store.select(&Selector::Digest(*digest)).await;
    Ok(none_if_corrupt(found)?.is_some())
}

/// Says whether the tag named something else before.
async fn put_registry_tag(
    repository: &Repository,
    tag: &str,
    descriptor: &Descriptor,
    bytes: Bytes,
) -> Result<bool, Error> {
    // ECR refuses to put even the same manifest again under an immutable tag.
    let found = repository.resolve(tag).await.map_err(Error::from);
    if none_if_denied(found)? == Some(descriptor.digest) {
        return Ok(false);
    }
    let selector = Selector::Tag(tag.to_owned());
    let pushed = repository
        .push_manifest(&selector, &descriptor.media_type, bytes)
        .await;
    match pushed {
        Ok(_) => Ok(true),
        // Another builder may have put it since.
        Err(source) if source.is_immutable_tag() => match repository.resolve(tag).await? {
            Some(found) if found == descriptor.digest => Ok(false),
            Some(found) => Err(Error::ImmutableTag {
                tag: tag.to_owned(),
                found,
                wanted: descriptor.digest,
                source: Box::new(source),
            }),
            None => Err(source.into()),
        },
        Err(error) => Err(error.into()),
    }
}
