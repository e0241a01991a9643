//! Options: what an index holds, besides what the image decides.

use crate::ztoc::DEFAULT_BUILD_TOOL;

/// The options that decide what an index holds.
///
/// ```
/// use soci_format::index::IndexOptions;
///
/// let options = IndexOptions { span_size: 1 << 20, ..IndexOptions::default() };
/// assert_eq!(options.min_layer_size, 10 << 20);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexOptions {
    /// Layers whose compressed size is below this get no ztoc.
    pub min_layer_size: u64,
    /// Uncompressed bytes between two checkpoints, at least.
    pub span_size: u64,
    /// Files to prefetch.
    pub prefetch_files: Vec<String>,
    /// Whether to mark layers that have no extended attributes.
    pub optimize_xattrs: bool,
    /// Build tool identifier to record in the index.
    pub build_tool: String,
}

/// As in the reference implementation.
impl Default for IndexOptions {
    fn default() -> Self {
        Self {
            min_layer_size: 10 << 20,
            span_size: 4 << 20,
            prefetch_files: Vec::new(),
            optimize_xattrs: false,
            build_tool: DEFAULT_BUILD_TOOL.to_owned(),
        }
    }
}
