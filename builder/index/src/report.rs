//! What a run did, as `--json` prints it: the contract with whoever started the builder.

use std::{collections::HashSet, fmt};

use serde::{Deserialize, Serialize};
use soci_format::{digest::Digest, image::Missing};

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The index was built, pushed and read back.
    Indexed,
    /// The same index existed already.
    AlreadyThere,
    /// Every layer is smaller than the minimum.
    NothingToIndex,
    /// No layer can be indexed.
    Unsupported,
    /// A build was started and runs in the background. The builder never says this; whoever starts it without waiting does.
    Started,
}

/// As in JSON.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
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
    /// All tags of that image, where more than one was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub output_tags: Vec<String>,
    /// What was copied, where the image was to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy: Option<CopyReport>,
    /// How many layers became what, all platforms together.
    pub layers: LayerCounts,
    /// One for each platform.
    pub indexes: Vec<IndexReport>,
    /// Files to prefetch that are not prefetched.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prefetch_not_found: Vec<NotPrefetched>,
    /// Entries of the image index that are not in the store, or not all of them; they stay as they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Missing>,
    /// Bytes of layers that were read, including those received twice.
    pub bytes_read: u64,
    /// Wall time of the run.
    pub seconds: f64,
}

/// What a run copied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyReport {
    /// The copy: its repository, and its tag or else its digest.
    pub image: String,
    /// Blobs that were read from the source and uploaded.
    pub uploaded: usize,
    /// Blobs that the registry took over from another of its repositories.
    pub mounted: usize,
    /// Blobs that were there already.
    pub present: usize,
    /// Bytes of the uploaded blobs.
    pub bytes_uploaded: u64,
}

/// How many layers became what; a layer that several platforms share counts once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerCounts {
    /// Those that were read.
    pub indexed: usize,
    /// Those whose ztoc was there already.
    pub reused: usize,
    /// Those without a ztoc.
    pub skipped: usize,
}

impl LayerCounts {
    /// Counts the layers of all platforms.
    pub fn of(indexes: &[IndexReport]) -> Self {
        let layers = indexes.iter().flat_map(|index| &index.layers);
        let mut counted = HashSet::new();
        let mut counts = Self::default();
        for layer in layers.filter(|layer| counted.insert(layer.digest)) {
            match layer.state {
                LayerState::Indexed => counts.indexed += 1,
                LayerState::Reused => counts.reused += 1,
                LayerState::Skipped { .. } => counts.skipped += 1,
            }
        }
        counts
    }
}

/// A file to prefetch that is not prefetched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotPrefetched {
    /// The platform whose image does not have it.
    pub platform: String,
    /// Its path, as it was given.
    pub path: String,
    /// Why not.
    pub reason: String,
}

impl fmt::Display for NotPrefetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.path, self.platform, self.reason)
    }
}

impl Report {
    /// Whether there is an image to use: one with an index, or the original one where the request allows that.
    pub fn is_success(&self) -> bool {
        self.output_digest.is_some()
    }

    /// The report of a run that did not prefetch these files.
    #[must_use]
    pub fn without(mut self, files: Vec<NotPrefetched>) -> Self {
        self.prefetch_not_found = files;
        self
    }

    /// The report without its lists of layers, for where room is short: CodeBuild does not say how long an exported variable
    /// may be.
    #[must_use]
    pub fn brief(mut self) -> Self {
        for index in &mut self.indexes {
            index.layers.clear();
        }
        self
    }
}

/// What `--json` prints of a run that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Always the same word, so that whoever reads `outcome` finds one.
    pub outcome: Failed,
    /// The error and its causes.
    pub error: String,
}

/// The outcome of a run that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Failed {
    /// It failed.
    Failed,
}

/// Whatever `--json` prints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Ended {
    /// A run that finished.
    Report(Box<Report>),
    /// One that failed.
    Failure(Failure),
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
    /// The platform's layers, bottom first; none in a brief report.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
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

impl LayerState {
    /// The state in one word.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Indexed => "indexed",
            Self::Reused => "reused",
            Self::Skipped { .. } => "skipped",
        }
    }
}

impl fmt::Display for LayerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())?;
        match self {
            Self::Skipped { reason } => write!(f, ": {reason}"),
            Self::Indexed | Self::Reused => Ok(()),
        }
    }
}
