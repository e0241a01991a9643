//! Progress: what a run tells while it is at work, and the one question that it asks. The library prints nothing; whoever runs it
//! listens.

use std::{
    future::{Future, ready},
    pin::Pin,
    sync::{Arc, atomic::AtomicU64},
};

use soci_format::digest::Digest;

use crate::report::LayerState;

/// Listens to a run. Called from several threads. By default nothing happens.
pub trait Progress: Send + Sync {
    /// The layers that will be read, in the order in which they start: number and size in bytes.
    fn layers(&self, layers: &[(Digest, u64)]) {
        let _ = layers;
    }
    /// A layer is being read; `bytes` counts on while it is.
    fn started(&self, layer: usize, bytes: Arc<AtomicU64>) {
        let _ = (layer, bytes);
    }
    /// A layer is done.
    fn finished(&self, layer: usize, state: &LayerState) {
        let _ = (layer, state);
    }
    /// A layer is done that was only copied.
    fn copied(&self, layer: usize) {
        let _ = layer;
    }
    /// Something that the user should know, though the run goes on.
    fn warn(&self, text: &str) {
        let _ = text;
    }
    /// Asked once, when everything is pushed and nothing names it yet: neither the tag nor a referrer. `Err` says why the run must stop
    /// there; existing tags are left as they are then, and the run ends with [`Error::Stopped`](crate::run::Error::Stopped) and that reason.
    fn before_tag(&self) -> BeforeTag<'_> {
        Box::pin(ready(Ok(())))
    }
}

/// The reply to [`Progress::before_tag`].
pub type BeforeTag<'a> = Pin<Box<dyn Future<Output = Result<(), StopReason>> + Send + 'a>>;

/// Why a run must stop: a text, or an error of the listener's own that it finds again by its type.
pub type StopReason = Box<dyn std::error::Error + Send + Sync>;

/// Listens to nothing.
pub struct Silent;

impl Progress for Silent {}
