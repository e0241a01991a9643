//! Progress on stderr: a bar per layer on a terminal, plain lines elsewhere.

use std::{
    io::{self, IsTerminal, Write},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use bytesize::ByteSize;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use soci_builder::{digest::Digest, printable::printable, progress::Progress, report::LayerState};

/// How often bars move.
const BAR_PERIOD: Duration = Duration::from_millis(100);
/// How often a log says that the run is alive.
const LINE_PERIOD: Duration = Duration::from_secs(10);

/// Shows progress as fits stderr.
pub(crate) struct Shown {
    state: Mutex<State>,
    bars: Option<MultiProgress>,
    started: Instant,
    /// Dropped to end the thread that looks at the counters.
    alive: Mutex<Option<mpsc::Sender<()>>>,
}

#[derive(Default)]
struct State {
    layers: Vec<LayerProgress>,
}

struct LayerProgress {
    digest: Digest,
    size: u64,
    read: Option<Arc<AtomicU64>>,
    is_done: bool,
    bar: Option<ProgressBar>,
}

/// Starts to show progress.
pub(crate) fn start() -> Arc<Shown> {
    let bars = io::stderr().is_terminal().then(MultiProgress::new);
    let period = if bars.is_some() {
        BAR_PERIOD
    } else {
        LINE_PERIOD
    };
    let (alive, ended) = mpsc::channel();
    let shown = Arc::new(Shown {
        state: Mutex::default(),
        bars,
        started: Instant::now(),
        alive: Mutex::new(Some(alive)),
    });
    let ticker = Arc::downgrade(&shown);
    thread::spawn(move || {
        while ended.recv_timeout(period) == Err(mpsc::RecvTimeoutError::Timeout) {
            match ticker.upgrade() {
                Some(shown) => shown.tick(),
                None => break,
            }
        }
    });
    shown
}

/// Stops, and leaves the terminal clean.
pub(crate) fn stop(shown: &Arc<Shown>) {
    drop(
        shown
            .alive
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take(),
    );
    if let Some(bars) = &shown.bars {
        // A terminal that cannot be cleared does no harm.
        let _ = bars.clear();
    }
}

impl Shown {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn line(&self, text: &str) {
        match &self.bars {
            Some(bars) => drop(bars.println(text)),
            // Nobody is left to tell where stderr is gone.
            None => drop(writeln!(io::stderr(), "{text}")),
        }
    }

    fn tick(&self) {
        let state = self.state();
        for layer in &state.layers {
            if let (Some(bar), Some(read)) = (&layer.bar, &layer.read) {
                bar.set_position(read.load(Ordering::Relaxed));
            }
        }
        if self.bars.is_none() && !state.layers.is_empty() {
            let text = state.summary(self.started.elapsed());
            drop(state);
            self.line(&text);
        }
    }
}

impl State {
    /// How far the run is: bytes, rate, time left.
    fn summary(&self, elapsed: Duration) -> String {
        let total: u64 = self.layers.iter().map(|layer| layer.size).sum();
        let read_of = |layer: &LayerProgress| match (&layer.read, layer.is_done) {
            (_, true) => layer.size,
            (Some(read), false) => read.load(Ordering::Relaxed).min(layer.size),
            (None, false) => 0,
        };
        let read: u64 = self.layers.iter().map(read_of).sum();
        let done = self.layers.iter().filter(|layer| layer.is_done).count();
        let rate = read / elapsed.as_secs().max(1);
        let left = (total - read)
            .checked_div(rate)
            .map_or("unknown".to_owned(), |seconds| format!("{seconds} s"));
        format!(
            "{done} of {} layers done, {} of {} read, {}/s, time left {left}",
            self.layers.len(),
            ByteSize(read),
            ByteSize(total),
            ByteSize(rate),
        )
    }
}

impl Progress for Shown {
    fn layers(&self, layers: &[(Digest, u64)]) {
        let total: u64 = layers.iter().map(|(_, size)| size).sum();
        self.state().layers = layers
            .iter()
            .map(|&(digest, size)| LayerProgress {
                digest,
                size,
                read: None,
                is_done: false,
                bar: None,
            })
            .collect();
        if !layers.is_empty() {
            self.line(&format!(
                "{} layers to index, {}",
                layers.len(),
                ByteSize(total)
            ));
        }
    }

    fn started(&self, layer: usize, bytes: Arc<AtomicU64>) {
        let mut state = self.state();
        let layer = &mut state.layers[layer];
        layer.read = Some(bytes);
        if let Some(bars) = &self.bars {
            let style = "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
            let style = ProgressStyle::with_template(style)
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            let bar = bars.add(ProgressBar::new(layer.size).with_style(style));
            bar.set_message(layer.digest.to_string()[..19].to_owned());
            layer.bar = Some(bar);
        }
    }

    fn finished(&self, layer: usize, state: &LayerState) {
        let mut all = self.state();
        let count = all.layers.len();
        let number = all.layers.iter().filter(|layer| layer.is_done).count() + 1;
        let layer = &mut all.layers[layer];
        layer.is_done = true;
        if let Some(bar) = layer.bar.take() {
            bar.finish_and_clear();
        }
        let state = match state {
            LayerState::Indexed => "indexed",
            LayerState::Reused => "reused",
            LayerState::Skipped { .. } => "left out",
        };
        let text = format!(
            "{number}/{count} {} {} {state}",
            layer.digest,
            ByteSize(layer.size)
        );
        drop(all);
        self.line(&text);
    }

    fn warn(&self, text: &str) {
        self.line(&format!("warning: {}", printable(text)));
    }
}
