//! What became of the layers of a run: for each its ztoc's descriptor, pushed, and what an index has to know of its contents. Data;
//! `jobs` brings it about.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use soci_format::{
    digest::Digest,
    oci::Descriptor,
    plan::Skip,
    ztoc::{Toc, Ztoc, flat_bytes_max},
};

use super::copy::Copied;
use crate::report::LayerState;

/// What became of the layers of a run.
pub(super) struct Layers {
    layers: HashMap<Digest, Layer>,
    pub(super) bytes_read: u64,
    /// What was copied meanwhile, configs and the like included.
    pub(super) copied: Copied,
    /// Bytes that the files of further layers may take.
    pub(super) files_room: Arc<AtomicU64>,
}

/// What became of one layer.
pub(super) enum Layer {
    /// It has a ztoc.
    Indexed { facts: Box<Facts>, reused: bool },
    /// It has none.
    Skipped(Skip),
}

/// What an index has to know of a layer.
pub(super) struct Facts {
    pub(super) ztoc: Descriptor,
    pub(super) contents: Contents,
}

/// What an index has to know of the files in a layer.
pub(super) struct Contents {
    /// Whether no file has an extended attribute, and no directory is opaque, which containerd marks with one.
    pub(super) without_xattrs: bool,
    /// Where the files are; only where some are to be prefetched, and there is room.
    pub(super) files: Option<Files>,
}

/// Where the files of a layer are.
pub(super) struct Files {
    pub(super) toc: Toc,
    /// Uncompressed bytes at which spans start.
    pub(super) span_starts: Vec<u64>,
}

impl Layers {
    /// None yet.
    pub(super) fn new(files_room: Arc<AtomicU64>) -> Self {
        Self {
            layers: HashMap::new(),
            bytes_read: 0,
            copied: Copied::default(),
            files_room,
        }
    }

    /// One more.
    pub(super) fn add(&mut self, digest: Digest, layer: Layer) {
        self.layers.insert(digest, layer);
    }

    pub(super) fn get(&self, digest: &Digest) -> &Layer {
        &self.layers[digest]
    }

    /// The ztocs, by the digest of their layer.
    pub(super) fn ztocs(&self) -> Vec<(Digest, Descriptor)> {
        let layers = self.layers.iter();
        layers
            .filter_map(|(&digest, layer)| match layer {
                Layer::Indexed { facts, .. } => Some((digest, facts.ztoc.clone())),
                Layer::Skipped(_) => None,
            })
            .collect()
    }

    /// What became of a layer; none where the plan left it out.
    pub(super) fn find(&self, digest: &Digest) -> Option<&Layer> {
        self.layers.get(digest)
    }
}

impl Layer {
    pub(super) fn state(&self) -> LayerState {
        match self {
            Self::Indexed { reused: false, .. } => LayerState::Indexed,
            Self::Indexed { reused: true, .. } => LayerState::Reused,
            Self::Skipped(skip) => LayerState::Skipped {
                reason: skip.to_string(),
            },
        }
    }
}

impl Contents {
    pub(super) fn of(ztoc: &Ztoc, files_room: Option<&AtomicU64>) -> Self {
        Self {
            without_xattrs: without_xattrs(&ztoc.toc),
            files: files_room
                .filter(|room| has_room_for(&ztoc.toc, room))
                .map(|_| Files {
                    toc: ztoc.toc.clone(),
                    span_starts: ztoc.span_starts(),
                }),
        }
    }
}

/// Takes of `room` what a table of contents takes, where so much is left.
pub(super) fn has_room_for(toc: &Toc, room: &AtomicU64) -> bool {
    let bytes = flat_bytes_max(toc, 0, 0) as u64;
    let taken = |room: u64| room.checked_sub(bytes);
    let order = Ordering::Relaxed;
    room.try_update(order, order, taken).is_ok()
}

/// Whether nothing in a layer needs extended attributes.
fn without_xattrs(toc: &Toc) -> bool {
    toc.iter().all(|file| {
        let is_opaque = file.name.rsplit(|&byte| byte == b'/').next() == Some(b".wh..wh..opq");
        !is_opaque
            && !file
                .xattrs
                .iter()
                .any(|(key, _)| key.starts_with(b"SCHILY.xattr."))
    })
}
