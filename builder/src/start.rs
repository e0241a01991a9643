//! What the start of a container fetches: the paths it opens in; the spans they lie in, requests and bytes out, through the index
//! and without it. Pure.

use std::{
    collections::{BTreeSet, HashSet},
    num::NonZeroU64,
    ops::{Add, Range},
};

use soci_format::{
    oci::Descriptor,
    tar::Kind,
    tree::{NodeId, NotFound},
};

use crate::reader::{Access, Outline};

/// The start of a container that opens certain files.
pub struct Start {
    /// The paths, each once, in the order in which they were given.
    pub files: Vec<StartFile>,
    /// By layer: the spans that the files lie in.
    pub spans: Vec<BTreeSet<usize>>,
    /// What comes over the network where the index is used.
    pub lazy: Fetched,
}

/// A path that a start opens.
pub struct StartFile {
    /// As it was given.
    pub path: Vec<u8>,
    /// Where it leads, through symbolic links.
    pub place: Result<Place, NotFound>,
}

/// Where a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub kind: Kind,
    /// Its size in bytes.
    pub size: u64,
    /// Its layer, from 0.
    pub layer: usize,
    /// The spans of that layer that it lies in; none where it is empty, no regular file, or in a layer that is read whole.
    pub spans: Range<usize>,
}

/// Requests, and the bytes of their answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// How many blobs, manifests and parts of blobs are asked for.
    pub requests: u64,
    /// Their bytes, without headers.
    pub bytes: u64,
}

/// What comes over the network before a container has read its files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fetched {
    /// The image's manifests and its config.
    pub manifests: Traffic,
    /// The manifest of the SOCI index.
    pub index: Traffic,
    pub ztocs: Traffic,
    /// Whole layers.
    pub layers: Traffic,
    pub spans: Traffic,
}

/// How fast a network is.
#[derive(Clone, Copy, Debug)]
pub struct Network {
    /// Bytes in a second.
    pub bandwidth: NonZeroU64,
    /// Milliseconds from a request to the first byte of its answer.
    pub latency: u32,
}

impl Start {
    /// The start of a container of the image that opens `paths`.
    pub fn of<'a>(outline: &Outline, paths: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut spans = vec![BTreeSet::new(); outline.layers.len()];
        let mut files = Vec::new();
        let mut seen = HashSet::new();
        for path in paths {
            if !seen.insert(path) {
                continue;
            }
            let place = outline.tree.find(path, true);
            let place = place.map(|node| Place::of(outline, node));
            // The root of an image without layers is in none of them.
            if let Ok(place) = &place
                && let Some(spans) = spans.get_mut(place.layer)
            {
                spans.extend(place.spans.clone());
            }
            files.push(StartFile {
                path: path.to_vec(),
                place,
            });
        }
        let lazy = Fetched::lazily(outline, &spans);
        Self { files, spans, lazy }
    }
}

impl Place {
    /// Where the file at `node` is.
    pub fn of(outline: &Outline, node: NodeId) -> Self {
        let inode = outline.tree.inode(node);
        let layer = outline.layers.get(inode.layer);
        let spans = match layer.map(|layer| &layer.access) {
            Some(Access::Spans { spans, .. }) => spans.holding(&inode.payload()),
            _ => 0..0,
        };
        Self {
            kind: inode.kind,
            size: inode.size,
            layer: inode.layer,
            spans,
        }
    }
}

impl Fetched {
    /// A pull of the whole image.
    pub fn whole(outline: &Outline) -> Self {
        Self {
            manifests: manifests(outline),
            layers: Traffic::of(outline.layers.iter().map(|layer| &layer.descriptor)),
            ..Self::default()
        }
    }

    /// A start through the index that reads certain spans of each layer. Layers without a ztoc come whole.
    fn lazily(outline: &Outline, needed: &[BTreeSet<usize>]) -> Self {
        let Some(index) = &outline.image.index else {
            return Self::whole(outline);
        };
        let (mut ztocs, mut layers, mut parts) = (Vec::new(), Vec::new(), Traffic::default());
        for (layer, needed) in outline.layers.iter().zip(needed) {
            match &layer.access {
                Access::Whole { .. } => layers.push(&layer.descriptor),
                Access::Spans { ztoc, spans } => {
                    ztocs.push(&**ztoc);
                    for &id in needed {
                        let stored = &spans.list()[id].stored;
                        parts = parts + Traffic::one(stored.end - stored.start);
                    }
                }
            }
        }
        Self {
            manifests: manifests(outline),
            index: Traffic::one(index.descriptor.size),
            ztocs: Traffic::of(ztocs),
            layers: Traffic::of(layers),
            spans: parts,
        }
    }

    /// All of it.
    pub fn total(&self) -> Traffic {
        self.manifests + self.index + self.ztocs + self.layers + self.spans
    }
}

/// What the reference names, the platform's manifest, and its config.
fn manifests(outline: &Outline) -> Traffic {
    let image = &outline.image;
    Traffic::of([&outline.root, &image.descriptor, &image.manifest.config])
}

impl Traffic {
    fn one(bytes: u64) -> Self {
        Self { requests: 1, bytes }
    }

    /// Each blob once, however often it is named.
    fn of<'a>(blobs: impl IntoIterator<Item = &'a Descriptor>) -> Self {
        let mut seen = HashSet::new();
        let blobs = blobs.into_iter().filter(|blob| seen.insert(blob.digest));
        blobs.fold(Self::default(), |all, blob| all + Self::one(blob.size))
    }

    /// The seconds that it takes where one request follows the other.
    pub fn seconds(&self, network: Network) -> f64 {
        let waiting = self.requests as f64 * f64::from(network.latency) / 1_000.0;
        waiting + self.bytes as f64 / network.bandwidth.get() as f64
    }
}

impl Add for Traffic {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            // Sizes are what manifests claim.
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }
}
