//! Where images are read from and indexes written to: a repository in a registry, or an OCI layout.
//! In: tags, digests, bytes. Out: the same, checked. Both kinds look alike from here on.

mod absent;
mod read;
mod reader;
mod transaction;

use std::{ops::Range, sync::Arc};

use soci_format::{
    digest::Digest,
    limits::Limits,
    oci::{Descriptor, InvalidManifest, Reference, StoredManifest},
};

pub(crate) use absent::missing_after_retry;
pub use absent::{none_if_corrupt, none_if_denied};
pub use read::{REQUESTS_AT_ONCE, ReadImages, parsed};
pub use reader::LayerReader;
pub use transaction::Transaction;

use crate::{
    layout::{self, Layout},
    registry::{self, Client, Connections, Repository},
};

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
