//! The names in layers that get no ztoc, where a run has to know them: to resolve the paths of files to prefetch.
//! In: the layers of a run. Out: tables of contents. Small layers are read again for it, the smallest first; what others hold stays
//! unknown, and so does what cannot be read: it is no reason to fail.

use std::{collections::HashMap, sync::atomic::Ordering};

use futures_util::{StreamExt, stream};
use soci_format::{
    digest::Digest,
    layer::{self, Options},
    oci::{Descriptor, LayerEncoding},
    ztoc::{DEFAULT_BUILD_TOOL, Toc},
};
use soci_store::store::{ReadImages, Store};
use tokio::task::spawn_blocking;

use super::{
    Request,
    layers::{Layer, Layers, has_room_for},
    target::Target,
};

/// Uncompressed bytes between checkpoints that nobody needs.
const SPAN_SIZE: u64 = 1 << 40;

/// Layers read at once.
const LAYERS_AT_ONCE: usize = 4;

/// The files in layers without a ztoc.
#[derive(Default)]
pub(super) struct Names {
    of: HashMap<Digest, Toc>,
    pub(super) bytes_read: u64,
}

impl Names {
    pub(super) fn of(&self, layer: &Digest) -> Option<&Toc> {
        self.of.get(layer)
    }

    /// Reads the names in layers without a ztoc, where files are to be prefetched.
    pub(super) async fn read(
        store: &Store,
        targets: &[Target<'_>],
        layers: &Layers,
        request: &Request,
    ) -> Self {
        let mut names = Self::default();
        if request.options.prefetch_files.is_empty() {
            return names;
        }
        let small = small_layers(targets, layers, request.limits.listed_bytes);
        let mut reading = stream::iter(small)
            .map(|layer| {
                let store = store.clone();
                spawn_blocking(move || (layer.digest, read(&store, &layer)))
            })
            .buffer_unordered(LAYERS_AT_ONCE);
        while let Some(read) = reading.next().await {
            if let Ok((digest, Some((toc, bytes_read)))) = read
                && has_room_for(&toc, &layers.files_room)
            {
                names.of.insert(digest, toc);
                names.bytes_read += bytes_read;
            }
        }
        names
    }
}

/// The layers without a ztoc that can be read at all, each once: the smallest that together have no more than `bytes_max` bytes.
fn small_layers(targets: &[Target<'_>], layers: &Layers, mut bytes_max: u64) -> Vec<Descriptor> {
    let all = targets.iter().flat_map(|target| &target.manifest.layers);
    let mut whole: Vec<_> = all
        .filter(|layer| !matches!(layers.find(&layer.digest), Some(Layer::Indexed { .. })))
        .filter(|layer| {
            let declared = LayerEncoding::declared_by(&layer.media_type);
            !matches!(declared, LayerEncoding::Other(_) | LayerEncoding::NotALayer)
        })
        .cloned()
        .collect();
    whole.sort_by_key(|layer| (layer.size, layer.digest));
    whole.dedup_by_key(|layer| layer.digest);
    whole.retain(|layer| match bytes_max.checked_sub(layer.size) {
        Some(left) => {
            bytes_max = left;
            true
        }
        None => false,
    });
    whole
}

/// The files of a layer, and the bytes that were read for it; blocks.
fn read(store: &Store, layer: &Descriptor) -> Option<(Toc, u64)> {
    let mut source = store.open_layer(layer).ok()?;
    let read = source.bytes_read();
    let options = Options {
        span_size: SPAN_SIZE,
        build_tool: DEFAULT_BUILD_TOOL.to_owned(),
        bytes_max: store.limits().ztoc_bytes_of(layer.size),
    };
    let pass = layer::pass_to_read(&mut source, LayerEncoding::Unknown, &options);
    let pass = pass.ok().filter(|pass| pass.digest == layer.digest)?;
    Some((pass.ztoc.ok()?.toc, read.load(Ordering::Relaxed)))
}
