//! The progress of a run, for the log and for the error when its time is over. In: the run's events. Out: one line per layer, and one
//! every 10 s.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytesize::ByteSize;
use soci_format::{digest::Digest, plural::counted};
use soci_index::{
    progress::{BeforeTag, Progress},
    report::LayerState,
};
use tokio::time::sleep;

use crate::{log::Log, pace::Pace};

/// How often progress is logged.
const LINE_PERIOD: Duration = Duration::from_secs(10);

/// Listens to a run.
pub struct RunProgress {
    log: Log,
    before_tag: Box<dyn Fn() -> BeforeTag<'static> + Send + Sync>,
    layers: Mutex<Vec<Layer>>,
}

struct Layer {
    digest: Digest,
    size: u64,
    read: Option<Arc<AtomicU64>>,
    is_done: bool,
}

impl RunProgress {
    /// `before_tag` is asked before the output tag is put; its error stops the run.
    #[must_use]
    pub fn new(
        log: Log,
        before_tag: impl Fn() -> BeforeTag<'static> + Send + Sync + 'static,
    ) -> Self {
        Self {
            log,
            before_tag: Box::new(before_tag),
            layers: Mutex::default(),
        }
    }

    /// `2 of 7 layers, 1.2 GiB of 5.0 GiB read`
    #[must_use]
    pub fn so_far(&self) -> String {
        let layers = self.layers();
        if layers.is_empty() {
            return "no layer read".to_owned();
        }
        let read_of = |layer: &Layer| match (&layer.read, layer.is_done) {
            (_, true) => layer.size,
            (Some(read), false) => read.load(Ordering::Relaxed).min(layer.size),
            (None, false) => 0,
        };
        let done = layers.iter().filter(|layer| layer.is_done).count();
        format!(
            "{done} of {}, {} of {} read",
            counted(layers.len(), "layer", "layers"),
            ByteSize(layers.iter().map(read_of).sum()),
            ByteSize(layers.iter().map(|layer| layer.size).sum()),
        )
    }

    /// Logs it every 10 s; never ends.
    pub async fn log_periodically(&self, pace: Pace) {
        loop {
            sleep(pace.of(LINE_PERIOD)).await;
            self.log.info(self.so_far());
        }
    }

    fn layers(&self) -> MutexGuard<'_, Vec<Layer>> {
        self.layers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress for RunProgress {
    fn layers(&self, layers: &[(Digest, u64)]) {
        let of = |&(digest, size): &(Digest, u64)| Layer {
            digest,
            size,
            read: None,
            is_done: false,
        };
        *self.layers() = layers.iter().map(of).collect();
    }

    fn started(&self, layer: usize, bytes: Arc<AtomicU64>) {
        if let Some(layer) = self.layers().get_mut(layer) {
            layer.read = Some(bytes);
        }
    }

    fn finished(&self, layer: usize, state: &LayerState) {
        let mut layers = self.layers();
        let (count, number) = (
            layers.len(),
            1 + layers.iter().filter(|layer| layer.is_done).count(),
        );
        let Some(layer) = layers.get_mut(layer) else {
            return;
        };
        layer.is_done = true;
        let size = ByteSize(layer.size);
        let line = format!("layer {number} of {count}: {} {size} {state}", layer.digest);
        drop(layers);
        self.log.info(line);
    }

    fn warn(&self, text: &str) {
        self.log.info(format_args!("warning: {text}"));
    }

    fn before_tag(&self) -> BeforeTag<'_> {
        (self.before_tag)()
    }
}
