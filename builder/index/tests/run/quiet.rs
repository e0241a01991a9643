//! A listener for runs in which nothing is to be warned of.

use std::sync::{Arc, atomic::AtomicU64};

use soci_format::digest::Digest;
use soci_index::{progress::Progress, report::LayerState};

/// Hears nothing, and takes a warning for a failure, but for the one about the file to prefetch that no image has.
pub(crate) struct Quiet;

impl Progress for Quiet {
    fn layers(&self, _: &[(Digest, u64)]) {}
    fn started(&self, _: usize, _: Arc<AtomicU64>) {}
    fn finished(&self, _: usize, _: &LayerState) {}
    fn warn(&self, text: &str) {
        // The golden files ask for one file that is not there.
        assert!(
            text.starts_with("cannot prefetch no/such/file ("),
            "unexpected warning: {text}"
        );
    }
}
