//! Copies: blobs of one store that a repository gets, without holding them.
//! In: a blob's descriptor and the store that has it. Out: the blob in the repository, compared with its digest.
//!
//! ```text
//! begin_copy ─▶ mounted: done
//!           └─▶ Upload ─▶ copy_blob reads the blob for it
//!                     └─▶ start: whoever reads the blob anyway gives its bytes to both, then ends it with finish_copy
//! ```
//!
//! An upload that fails cannot be resumed, because registries do not say what they have of it: the blob is read again.

use std::{
    io,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use soci_format::{
    digest::{Digest, Hasher},
    oci::Descriptor,
};

use super::{Error, Store, Transaction, pieces::BlobPieces, transaction::Kind};
use crate::registry::{self, Connections, Pieces, Repository, Sending, Upload};

impl Transaction {
    /// Begins to copy a blob that the repository does not have. `None` where the registry took it over from `from`, another of its
    /// repositories.
    ///
    /// # Errors
    /// Those of the registry; and in a layout, which takes no copies.
    pub async fn begin_copy(
        &self,
        from: &Store,
        blob: &Descriptor,
    ) -> Result<Option<Upload>, Error> {
        let repository = self.destination()?;
        let from = match from {
            Store::Registry(from) => Some(from),
            Store::Layout(_) => None,
        };
        let upload = repository.begin_streamed(blob, from).await?;
        if upload.is_none() {
            self.has_put();
        }
        Ok(upload)
    }

    /// Ends a copy whose bytes someone else has read and found to be right. Where that fails, as where the upload broke off,
    /// [`Self::copy_blob`] begins anew.
    ///
    /// # Errors
    /// Those of the registry.
    pub async fn finish_copy(&self, sending: Sending, digest: &Digest) -> Result<(), Error> {
        sending.commit(digest).await?;
        self.has_put();
        Ok(())
    }

    /// Reads a blob and uploads it, again from the beginning where the upload fails; `read` counts the bytes.
    ///
    /// # Errors
    /// Where it cannot be read, is not what its digest says, or is refused.
    pub async fn copy_blob(
        &self,
        from: &Store,
        blob: &Descriptor,
        upload: Option<Upload>,
        connections: &Connections,
        read: &AtomicU64,
    ) -> Result<(), Error> {
        let repository = self.destination()?;
        let mut attempts = repository.upload_attempts();
        let mut begun = upload;
        loop {
            let upload = match begun.take() {
                Some(upload) => Some(upload),
                None => repository.begin_streamed(blob, None).await?,
            };
            let Some(upload) = upload else {
                break;
            };
            let (pieces, sending) = upload.start();
            let source = from.blob_pieces(blob, connections)?;
            let error = match feed(source, pieces, read).await {
                Ok(None) => sending.failure().await,
                Ok(Some((digest, _))) if digest == blob.digest => {
                    match sending.commit(&digest).await {
                        Ok(()) => break,
                        Err(error) => error,
                    }
                }
                Ok(Some((found, size))) => {
                    return Err(Error::Digest {
                        expected: blob.digest,
                        found,
                        size,
                    });
                }
                Err(source) => {
                    let digest = blob.digest;
                    return Err(Error::Blob { digest, source });
                }
            };
            if is_there(repository, blob).await {
                break;
            }
            attempts.again(error).await?;
        }
        self.has_put();
        Ok(())
    }

    fn destination(&self) -> Result<&Repository, Error> {
        match self.kind() {
            Kind::Registry { repository, .. } => Ok(repository),
            Kind::Layout(_) => Err(Error::CopyIntoLayout),
        }
    }
}

/// Another client may have finished the same upload, or the answer that it was finished was lost.
async fn is_there(repository: &Repository, blob: &Descriptor) -> bool {
    let found: Result<_, registry::Error> = repository.blob_size(&blob.digest).await;
    matches!(found, Ok(Some(size)) if size == blob.size)
}

/// Gives all bytes of a blob to an upload; gives their digest and number, or `None` where the upload takes no more.
async fn feed(
    mut source: BlobPieces,
    pieces: Pieces,
    read: &AtomicU64,
) -> io::Result<Option<(Digest, u64)>> {
    let (mut hasher, mut size, mut counted) = (Hasher::default(), 0, 0);
    loop {
        let next = source.next().await;
        let bytes_read = source.bytes_read();
        read.fetch_add(bytes_read - counted, Relaxed);
        counted = bytes_read;
        let Some(piece) = next? else {
            pieces.finish();
            return Ok(Some((hasher.finish(), size)));
        };
        hasher.update(&piece);
        size += piece.len() as u64;
        if !pieces.give(piece).await {
            return Ok(None);
        }
    }
}
