//! The plan: which layers of an image get a ztoc, and whether an index that exists is the one we would build.
//! Pure: no I/O. All it needs are manifests, and which layers are there.

use std::{collections::HashMap, fmt};

use crate::{
    digest::Digest,
    index::{BUILD_TOOL, DISABLE_XATTRS, LAYER_DIGEST, LAYER_MEDIA_TYPE, SPAN_SIZE, ZTOC},
    oci::{Descriptor, ImageManifest, LayerEncoding},
    plural::bytes,
};

/// What layers have at least to get a ztoc where nobody says otherwise, as in the reference implementation.
pub const DEFAULT_MIN_LAYER_SIZE: u64 = 10 << 20;
/// Plain bytes between two checkpoints where nobody says otherwise, as in the reference implementation.
pub const DEFAULT_SPAN_SIZE: u64 = 4 << 20;

/// The options that decide what an index holds.
#[derive(Clone, Debug)]
pub struct IndexOptions {
    /// Layers of fewer stored bytes get no ztoc.
    pub min_layer_size: u64,
    /// Plain bytes between two checkpoints, at least.
    pub span_size: u64,
    /// Files to prefetch.
    pub prefetch_files: Vec<String>,
    /// Whether to mark layers without extended attributes.
    pub optimize_xattrs: bool,
    /// What the index says built it.
    pub build_tool: String,
}

/// What to do with a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LayerPlan {
    /// It gets a ztoc; this is how its media type says it is stored.
    Index(LayerEncoding),
    /// It gets none.
    Skip(Skip),
}

/// Why a layer gets no ztoc.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Skip {
    /// It is smaller than the minimum.
    TooSmall {
        /// The minimum, in bytes.
        minimum: u64,
    },
    /// It is not in the store, and need not be: a layer that is not distributed.
    NotThere,
    /// Its media type promises something that cannot be indexed.
    Encoding(LayerEncoding),
    /// It was read, and turned out to be something that cannot be indexed.
    Unindexable(String),
}

impl Skip {
    /// Whether the layer would have been worth indexing.
    pub fn is_unsupported(&self) -> bool {
        !matches!(self, Self::TooSmall { .. })
    }
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooSmall { minimum } => {
                write!(f, "it is smaller than the minimum of {}", bytes(*minimum))
            }
            Self::NotThere => f.write_str(
                "its bytes are not here: it is not distributed (foreign), and other addresses are not asked",
            ),
            Self::Encoding(LayerEncoding::NotALayer) => {
                f.write_str("it is no layer of a file system")
            }
            Self::Encoding(encoding) => write!(
                f,
                "it is compressed with {encoding}, which cannot be indexed"
            ),
            Self::Unindexable(why) => f.write_str(why),
        }
    }
}

/// What to do with `layer`, whose bytes are in the store or not.
pub fn layer_plan(layer: &Descriptor, is_there: bool, options: &IndexOptions) -> LayerPlan {
    if layer.size < options.min_layer_size {
        return LayerPlan::Skip(Skip::TooSmall {
            minimum: options.min_layer_size,
        });
    }
    if !is_there {
        return LayerPlan::Skip(Skip::NotThere);
    }
    match LayerEncoding::declared_by(&layer.media_type) {
        encoding @ (LayerEncoding::Gzip | LayerEncoding::Uncompressed | LayerEncoding::Unknown) => {
            LayerPlan::Index(encoding)
        }
        encoding => LayerPlan::Skip(Skip::Encoding(encoding)),
    }
}

/// Whether `soci_index` is what we would build of `image` by `plans`, one for each of its layers, as far as manifests can tell. Where
/// they cannot (marks and prefetch artifacts come from the ztocs' contents), the answer is no.
pub fn is_wanted_index(
    soci_index: &ImageManifest,
    image: &ImageManifest,
    plans: &[LayerPlan],
    options: &IndexOptions,
) -> bool {
    let planned = image.layers.iter().zip(plans);
    let wanted = planned.filter_map(|(layer, plan)| match plan {
        LayerPlan::Index(_) => Some(layer),
        LayerPlan::Skip(_) => None,
    });
    !options.optimize_xattrs
        && options.prefetch_files.is_empty()
        && !soci_index.layers.is_empty()
        && soci_index.annotations.get(BUILD_TOOL) == Some(&options.build_tool)
        && soci_index
            .layers
            .iter()
            .all(|ztoc| !ztoc.annotations.contains_key(DISABLE_XATTRS))
        && wanted.map(Some).eq(soci_index.layers.iter().map(|ztoc| {
            image
                .layers
                .iter()
                .find(|layer| is_ztoc_of(ztoc, layer, options))
        }))
}

fn is_ztoc_of(ztoc: &Descriptor, layer: &Descriptor, options: &IndexOptions) -> bool {
    let says = |key, value: &str| {
        ztoc.annotations
            .get(key)
            .is_some_and(|found| found == value)
    };
    ztoc.media_type == ZTOC
        && says(LAYER_DIGEST, &layer.digest.to_string())
        && says(LAYER_MEDIA_TYPE, &layer.media_type)
        && says(SPAN_SIZE, &options.span_size.to_string())
}

/// The ztocs of `soci_index` that were built with the same options, by the digest of their layer.
pub fn reusable_ztocs(
    soci_index: &ImageManifest,
    options: &IndexOptions,
) -> HashMap<Digest, Descriptor> {
    if soci_index.annotations.get(BUILD_TOOL) != Some(&options.build_tool) {
        return HashMap::new();
    }
    let span_size = options.span_size.to_string();
    let of_layer = |ztoc: &Descriptor| ztoc.annotations.get(LAYER_DIGEST)?.parse::<Digest>().ok();
    soci_index
        .layers
        .iter()
        .filter(|blob| {
            blob.media_type == ZTOC && blob.annotations.get(SPAN_SIZE) == Some(&span_size)
        })
        .filter_map(|ztoc| {
            Some((
                of_layer(ztoc)?,
                Descriptor::new(ZTOC, ztoc.digest, ztoc.size),
            ))
        })
        .collect()
}
