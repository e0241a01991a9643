//! The outline of an image: what is known of it before a file is read. In: a reference. Out: its manifests, its layers with their
//! spans, and its file system. A layer without a ztoc is read for its files only where it is small; what others hold stays unknown.

use std::{collections::HashSet, sync::Arc};

use futures_util::{StreamExt, TryStreamExt, stream};
use soci_format::{
    oci::{Descriptor, LayerEncoding, Platform, Reference},
    tree::Tree,
    ztoc::Toc,
};
use soci_store::{
    load::load,
    store::{ReadImages, Store},
};

use super::{Error, LAYERS_AT_ONCE, PlatformImage, Shared, Spans, layer::Layer};

/// An image, seen through its index.
pub struct Outline {
    /// What the reference names: an image index, or the platform's own manifest.
    pub root: Descriptor,
    /// The platform's image and its index.
    pub image: PlatformImage,
    /// The layers, bottom first.
    pub layers: Vec<LayerOutline>,
    /// The files, as a container sees them, but for layers whose files are unknown.
    pub tree: Tree,
}

/// A layer, and how a runtime comes by its files.
pub struct LayerOutline {
    /// Names it.
    pub descriptor: Descriptor,
    /// How it is read.
    pub access: Access,
}

/// How a runtime reads a layer.
pub enum Access {
    Spans {
        /// Names the ztoc.
        ztoc: Box<Descriptor>,
        spans: Spans,
    },
    /// Whole, before the container starts: it has no ztoc.
    Whole {
        /// Whether its files are in the tree.
        is_known: bool,
    },
}

impl Outline {
    /// Reads the manifests, the ztocs, and small layers without one; no span. `platform` chooses where an image has several.
    ///
    /// # Errors
    /// Where something of them is missing or wrong, or where no runtime could unpack the image.
    pub async fn read(
        store: Store,
        reference: &Reference,
        platform: Option<&Platform>,
    ) -> Result<Self, Error> {
        let root = store.image(reference).await?;
        let found = load(&store, root).await?;
        let image = PlatformImage::find(&store, &found, platform).await?;
        let shared = Arc::new(Shared::new(store));
        let small = small_layers(&image, shared.store.limits().listed_bytes);
        let prepared: Vec<_> = stream::iter(0..image.manifest.layers.len())
            .map(|number| prepare(&shared, &image, number, small.contains(&number)))
            .buffered(LAYERS_AT_ONCE)
            .try_collect()
            .await?;
        let mut tree = Tree::within(shared.store.limits().tree_bytes);
        let mut layers = Vec::with_capacity(prepared.len());
        for (number, prepared) in prepared.into_iter().enumerate() {
            let descriptor = &image.manifest.layers[number];
            let mut access = Access::Whole { is_known: false };
            if let Some((layer, toc)) = prepared {
                layer.apply(&toc, &mut tree)?;
                access = match image.ztoc_of(descriptor).cloned() {
                    None => Access::Whole { is_known: true },
                    Some(ztoc) => Access::Spans {
                        ztoc: Box::new(ztoc),
                        spans: layer.into_spans(),
                    },
                };
            } else {
                tree.leave_out(number);
            }
            layers.push(LayerOutline {
                descriptor: descriptor.clone(),
                access,
            });
        }
        Ok(Self {
            root: found.root.descriptor,
            image,
            layers,
            tree,
        })
    }
}

/// A layer with its table of contents; none where it has no ztoc and `is_small` is not so, or cannot be read whole.
async fn prepare(
    shared: &Arc<Shared>,
    image: &PlatformImage,
    number: usize,
    is_small: bool,
) -> Result<Option<(Layer, Toc)>, Error> {
    if !is_small && image.ztoc_of(&image.manifest.layers[number]).is_none() {
        return Ok(None);
    }
    let prepared = Layer::prepare_if_known(shared, image, number).await?;
    Ok(prepared.ok())
}

/// The layers without a ztoc that are read, by number: the smallest that together have at most `room` bytes.
fn small_layers(image: &PlatformImage, mut room: u64) -> HashSet<usize> {
    let layers = image.manifest.layers.iter().enumerate();
    let mut whole: Vec<_> = layers
        .filter(|(_, layer)| image.ztoc_of(layer).is_none() && is_readable(layer))
        .map(|(number, layer)| (layer.size, number))
        .collect();
    whole.sort_unstable();
    let fitting = whole.into_iter().take_while(|(size, _)| {
        let left = room.checked_sub(*size);
        room = left.unwrap_or(room);
        left.is_some()
    });
    fitting.map(|(_, number)| number).collect()
}

/// Whether a layer's type is one that can be read whole at all.
fn is_readable(layer: &Descriptor) -> bool {
    matches!(
        LayerEncoding::declared_by(&layer.media_type),
        LayerEncoding::Gzip | LayerEncoding::Uncompressed | LayerEncoding::Unknown
    )
}
