//! What a run did, as `--json` prints it: the contract with whoever started the builder.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The index was built, pushed and read back.
    Indexed,
    /// The same index was there already.
    AlreadyThere,
    /// Every layer is smaller than the minimum.
    NothingToIndex,
    /// No layer can be indexed.
    Unsupported,
}

/// The result of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// How it ended.
    pub outcome: Outcome,
    /// Digest of the image that was read.
    pub image_digest: Digest,
    /// Digest of the image to use from now on; absent where the run ended without one.
    pub output_digest: Option<Digest>,
    /// Tag of that image; absent where it has none.
    pub output_tag: Option<String>,
    /// One for each platform.
    pub indexes: Vec<IndexReport>,
    /// Bytes of layers that were read, those that came twice included.
    pub bytes_read: u64,
    /// Wall time of the run.
    pub seconds: f64,
}

/// What a run did for one platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexReport {
    /// The platform: `linux/amd64`.
    pub platform: String,
    /// Digest of the platform's manifest, as it was read.
    pub manifest_digest: Digest,
    /// Digest of the SOCI index; absent where there is none.
    pub index_digest: Option<Digest>,
    /// The platform's layers, bottom first.
    pub layers: Vec<LayerReport>,
}

/// What a run did with one layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerReport {
    /// Its digest.
    pub digest: Digest,
    /// Its size as stored, in bytes.
    pub size: u64,
    /// What became of it.
    #[serde(flatten)]
    pub state: LayerState,
}

/// What became of a layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum LayerState {
    /// It was read, and its ztoc built.
    Indexed,
    /// Its ztoc was there already.
    Reused,
    /// It has no ztoc.
    Skipped {
        /// Why not.
        reason: String,
    },
}
