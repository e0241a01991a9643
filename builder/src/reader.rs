//! Images read through their SOCI index, as a lazy runtime reads them: paths in; listings and contents out.
//! Fetches the manifests, the ztocs and then only the spans that a file lies in; each span is checked against its digest.
//! Layers without a ztoc are read whole. Memory holds the ztocs and a bounded cache of spans.
//!
//! ```text
//! image ─▶ lookup ─▶ layer ─▶ tree ─▶ file ─▶ contents ─▶ ahead ─▶ runs ─▶ cache ─▶ source ─▶ spans
//!                              └───▶ outline
//! ```

mod ahead;
mod cache;
mod contents;
mod error;
mod file;
mod layer;
mod lookup;
mod outline;
mod ranges;
mod runs;
mod source;
mod spans;

use std::sync::{Arc, atomic::Ordering};

use futures_util::{StreamExt, TryStreamExt, stream};
use soci_format::{
    oci::{Platform, Reference},
    tar::Kind,
    tree::{NodeId, Tree},
};
use soci_store::{
    load::load,
    registry::Connections,
    store::{REQUESTS_AT_ONCE, ReadImages, Store},
};

pub use contents::Contents;
pub use error::Error;
pub use file::File;
pub use layer::UnknownLayer;
pub use lookup::{FoundIndex, PlatformImage, host_platform};
pub use outline::{Access, LayerOutline, Outline};
pub use spans::{Span, SpanError, Spans, UnusableSpans};

use cache::Cache;
use layer::Layer;

/// Layers that are prepared at once.
const LAYERS_AT_ONCE: usize = REQUESTS_AT_ONCE;

/// An image that can be read.
pub struct Reader {
    /// The platform's image and its index.
    pub image: PlatformImage,
    /// Layers whose files are not known, bottom first.
    pub unknown: Vec<UnknownLayer>,
    layers: Vec<Option<Arc<Layer>>>,
    tree: Tree,
    shared: Arc<Shared>,
}

/// What all files of an image share.
struct Shared {
    store: Store,
    cache: Cache,
    /// What is read ahead is read over these.
    connections: Connections,
    /// Bytes of layers that came from the store.
    bytes_read: std::sync::atomic::AtomicU64,
    /// Bytes of whole layers that may still be kept.
    room: std::sync::atomic::AtomicU64,
    /// Bytes that ztocs may still take.
    ztoc_room: std::sync::atomic::AtomicU64,
}

impl Shared {
    fn new(store: Store) -> Self {
        let limits = store.limits();
        Self {
            store,
            cache: Cache::new(limits.cached_bytes),
            connections: Connections::new(REQUESTS_AT_ONCE),
            bytes_read: 0.into(),
            room: limits.held_bytes.into(),
            ztoc_room: limits.ztocs_bytes.into(),
        }
    }

    /// Takes `bytes` of the room for ztocs, where so much is left.
    fn has_room_for_ztoc(&self, bytes: u64) -> bool {
        let taken = |room: u64| room.checked_sub(bytes);
        let order = Ordering::Relaxed;
        self.ztoc_room.try_update(order, order, taken).is_ok()
    }
}

impl Reader {
    /// Reads the manifests, the ztocs and the layers without one. `platform` chooses where an image has several.
    ///
    /// # Errors
    /// Where something of them is missing or wrong, or where no runtime could unpack the image.
    pub async fn open(
        store: Store,
        reference: &Reference,
        platform: Option<&Platform>,
    ) -> Result<Self, Error> {
        let root = store.image(reference).await?;
        let image = load(&store, root).await?;
        let image = PlatformImage::find(&store, &image, platform).await?;
        let shared = Arc::new(Shared::new(store));
        let prepared: Vec<_> = stream::iter(0..image.manifest.layers.len())
            .map(|number| Layer::prepare_if_known(&shared, &image, number))
            .buffered(LAYERS_AT_ONCE)
            .try_collect()
            .await?;
        let mut tree = Tree::within(shared.store.limits().tree_bytes);
        let mut layers = Vec::with_capacity(prepared.len());
        let mut unknown = Vec::new();
        for prepared in prepared {
            match prepared {
                Ok((layer, toc)) => {
                    layer.apply(&toc, &mut tree)?;
                    layers.push(Some(Arc::new(layer)));
                }
                Err(layer) => {
                    tree.leave_out(layer.number);
                    unknown.push(layer);
                    layers.push(None);
                }
            }
        }
        Ok(Self {
            image,
            unknown,
            layers,
            tree,
            shared,
        })
    }

    /// The files, as a container sees them.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// What is at `path`, through symbolic links.
    ///
    /// # Errors
    /// Where the path leads nowhere.
    pub fn find(&self, path: &[u8]) -> Result<NodeId, Error> {
        self.tree.find(path, true).map_err(|source| {
            let path = String::from_utf8_lossy(path).into_owned();
            match self.unknown.first() {
                None => Error::Path { path, source },
                Some(layer) => Error::PathUnknown {
                    path,
                    layer: layer.name(),
                    source,
                },
            }
        })
    }

    /// Why what is at `path` may not be what a container sees there: a layer whose files are not known lies above it.
    pub fn doubt(&self, path: &[u8]) -> Option<Error> {
        let number = self.tree.doubt(path)?;
        let layer = self.unknown.iter().find(|layer| layer.number == number)?;
        Some(Error::Doubtful {
            path: String::from_utf8_lossy(path).into_owned(),
            layer: layer.name(),
            reason: layer.reason.to_string(),
        })
    }

    /// The regular file at `path`, through symbolic links; nothing is fetched yet.
    ///
    /// # Errors
    /// Where there is none.
    pub fn file(&self, path: &[u8]) -> Result<File, Error> {
        let inode = self.tree.inode(self.find(path)?);
        if inode.kind != Kind::Regular {
            return Err(Error::NotAFile {
                path: String::from_utf8_lossy(path).into_owned(),
                kind: inode.kind,
            });
        }
        // A file of the tree is of a layer that is known.
        let layer = self.layers[inode.layer].as_ref().ok_or(Error::NotAFile {
            path: String::from_utf8_lossy(path).into_owned(),
            kind: inode.kind,
        })?;
        File::new(Arc::clone(layer), inode.payload())
    }

    /// The contents of these files, one after the other; nothing is fetched yet.
    pub fn contents(&self, files: impl IntoIterator<Item = File>) -> Contents {
        Contents::new(&self.shared, files.into_iter().collect())
    }

    /// Bytes of layers that came from the store so far.
    pub fn bytes_read(&self) -> u64 {
        self.shared.bytes_read.load(Ordering::Relaxed)
    }
}
