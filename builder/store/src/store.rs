//! Where images are read from and indexes written to: a repository in a registry, or an OCI layout.
//! In: tags, digests, bytes. Out: the same, checked. Both kinds look alike from here on.

mod absent;
mod copy;
mod pieces;
mod read;
mod reader;
mod transaction;

use std::{ops::Range, sync::Arc};

use soci_format::{
    digest::Digest,
    limits::Limits,
    oci::{Descriptor, InvalidManifest, Reference, StoredManifest},
    plural,
};

pub(crate) use absent::missing_after_retry;
pub use absent::{none_if_corrupt, none_if_denied};
pub use read::{REQUESTS_AT_ONCE, ReadImages, parsed};
pub use reader::LayerReader;
pub use transaction::Transaction;

use crate::{
    layout::{self, Layout},
    registry::{self, Client, Connections, Pieces, Repository},
};
use pieces::BlobPieces;

/// An image's home.
#[derive(Clone)]
pub enum Store {
    Registry(Repository),
    /// An OCI layout, directory or archive.
    Layout(Arc<Layout>),
}

/// What a store could not do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error(transparent)]
    Registry(#[from] registry::Error),
    #[error(transparent)]
    Layout(#[from] layout::Error),
    /// Nothing there by that name.
    #[error("manifest {0} not found")]
    NoManifest(String),
    /// A blob that is named and not there.
    #[error("blob {0} not found")]
    NoBlob(Digest),
    /// A blob that is not held in memory.
    #[error("the blob {digest} has {size} bytes; at most {limit} are read at once")]
    BlobSize {
        /// The blob.
        digest: Digest,
        /// Its size in bytes, by its descriptor.
        size: u64,
        /// The largest size that is read.
        limit: u64,
    },
    /// A blob that could not be read to its end.
    #[error("cannot read blob {digest}")]
    Blob {
        /// The blob.
        digest: Digest,
        /// Why.
        source: std::io::Error,
    },
    /// A blob that is not what its name says.
    #[error(
        "digest mismatch: expected {expected}, got {found} ({}); the blob is corrupt in the source or was corrupted in transit", plural::bytes(*.size)
    )]
    Digest {
        /// By its name.
        expected: Digest,
        /// By its bytes.
        found: Digest,
        /// How many bytes there were.
        size: u64,
    },
    /// A layout, asked to take a blob from elsewhere.
    #[error("images can be copied into a registry only, not into a layout")]
    CopyIntoLayout,
    /// Another place that images are read from.
    #[error(transparent)]
    Elsewhere(Box<dyn std::error::Error + Send + Sync>),
    /// A manifest that cannot be read.
    #[error("cannot parse manifest {digest}")]
    Manifest {
        digest: Digest,
        /// What is wrong with it.
        source: InvalidManifest,
    },
    #[error(
        "the tag {tag} is immutable here and already names {found}, not {wanted}; choose another output tag"
    )]
    ImmutableTag {
        tag: String,
        /// What it names.
        found: Digest,
        /// What it was to name.
        wanted: Digest,
        /// The registry's refusal.
        source: Box<registry::Error>,
    },
}

impl Store {
    /// The store of `image`, read within `limits`; for a registry nothing is sent yet.
    pub fn open(image: &Reference, client: &Client, limits: Limits) -> Result<Self, Error> {
        let layout = |layout: Layout| Self::Layout(Arc::new(layout.within(limits)));
        Ok(match image {
            Reference::Registry(image) => {
                let repository = client.repository(&image.host, &image.repository)?;
                Self::Registry(repository.within(limits))
            }
            Reference::Layout(image) => layout(Layout::open(&image.place)?),
        })
    }

    /// The manifest that `image` names.
    pub async fn image(&self, image: &Reference) -> Result<StoredManifest, Error> {
        let missing = || Error::NoManifest(image.to_string());
        match (self, image) {
            (Self::Registry(_), Reference::Registry(image)) => {
                self.select(&image.selector()).await?.ok_or_else(missing)
            }
            (Self::Layout(layout), Reference::Layout(image)) => {
                let found = layout.image(image)?;
                let missing = || Error::NoManifest(found.descriptor.digest.to_string());
                read::read_found(layout, &found)?.ok_or_else(missing)
            }
            _ => Err(missing()),
        }
    }

    /// The name that `image` has here, if any; in a registry that is its tag.
    pub fn name_of(&self, image: &Reference) -> Result<Option<String>, Error> {
        Ok(match (self, image) {
            (Self::Layout(layout), Reference::Layout(image)) => layout.image(image)?.name,
            _ => image.tag().map(str::to_owned),
        })
    }

    /// The digest that `tag` names; `None` where it does not exist.
    pub async fn resolve(&self, tag: &str) -> Result<Option<Digest>, Error> {
        Ok(match self {
            Self::Registry(repository) => repository.resolve(tag).await?,
            Self::Layout(layout) => layout.resolve(Some(tag))?.map(|entry| entry.digest),
        })
    }

    /// Opens a layer for reading; must be called within a tokio runtime.
    pub fn open_layer(&self, descriptor: &Descriptor) -> Result<LayerReader, Error> {
        self.open_layer_part(descriptor, 0..descriptor.size)
    }

    /// Opens a layer for reading over one of `connections`, and others of them while the reader waits for the network; must be
    /// called within a tokio runtime.
    pub fn open_layer_over(
        &self,
        descriptor: &Descriptor,
        connections: &Connections,
    ) -> Result<LayerReader, Error> {
        match self {
            Self::Registry(repository) => Ok(LayerReader::streaming(
                repository.layer_stream(descriptor, connections),
            )),
            Self::Layout(_) => self.open_layer(descriptor),
        }
    }

    /// The same, and what is read goes into an upload too; must be called within a tokio runtime.
    pub fn open_layer_copying(
        &self,
        descriptor: &Descriptor,
        connections: &Connections,
        upload: Pieces,
    ) -> Result<LayerReader, Error> {
        let pieces = self.blob_pieces(descriptor, connections)?;
        Ok(LayerReader::of_pieces(pieces, Some(upload)))
    }

    fn blob_pieces(
        &self,
        descriptor: &Descriptor,
        connections: &Connections,
    ) -> Result<BlobPieces, Error> {
        Ok(match self {
            Self::Registry(repository) => {
                BlobPieces::Network(Box::new(repository.layer_stream(descriptor, connections)))
            }
            Self::Layout(layout) => BlobPieces::of_file(layout.open_blob(descriptor)?),
        })
    }

    /// Opens the bytes `range` of a layer, which must lie within it; must be called within a tokio runtime.
    pub fn open_layer_part(
        &self,
        descriptor: &Descriptor,
        range: Range<u64>,
    ) -> Result<LayerReader, Error> {
        Ok(match self {
            Self::Registry(repository) => {
                LayerReader::streaming(repository.blob_part(descriptor, range).into())
            }
            Self::Layout(layout) => LayerReader::of_file(layout.open_blob_part(descriptor, range)?),
        })
    }
}
