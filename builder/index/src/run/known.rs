//! Ztocs that earlier runs of this process left in a store, so that a layer that several images share is read once.
//! In: the ztocs of runs that succeeded. Out: the ztoc of a layer, and the store that has it.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use soci_format::{digest::Digest, index::IndexOptions, oci::Descriptor};
use soci_store::store::Store;

/// What runs know of each other's ztocs; see [`index_sharing`](super::index_sharing).
#[derive(Default)]
pub struct KnownZtocs(Mutex<HashMap<Key, Known>>);

/// A layer, and the options that its ztoc depends on.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    layer: Digest,
    span_size: u64,
    build_tool: String,
}

impl Key {
    fn new(layer: Digest, options: &IndexOptions) -> Self {
        Self {
            layer,
            span_size: options.span_size,
            build_tool: options.build_tool.clone(),
        }
    }
}

/// A ztoc, and the store that has it.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) store: Store,
    pub(super) ztoc: Descriptor,
}

impl KnownZtocs {
    /// The ztoc of a layer, if a run left one.
    pub(super) fn get(&self, layer: Digest, options: &IndexOptions) -> Option<Known> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&Key::new(layer, options)).cloned()
    }

    /// Keeps where the ztocs of these layers are.
    pub(super) fn keep(
        &self,
        store: &Store,
        options: &IndexOptions,
        ztocs: impl IntoIterator<Item = (Digest, Descriptor)>,
    ) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(ztocs.into_iter().map(|(layer, ztoc)| {
            let store = store.clone();
            (Key::new(layer, options), Known { store, ztoc })
        }));
    }
}
