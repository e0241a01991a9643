//! Progress on stderr: a bar per layer on a terminal, plain lines elsewhere. A thread of its own writes them, so that a run never waits for a
//! terminal or a pipe.

use std::{
    future::ready,
    io::{self, IsTerminal, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use bytesize::ByteSize;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use soci_format::{digest::Digest, oci::Reference, plural::counted, printable::printable};
use soci_index::{
    progress::{BeforeTag, Progress},
    report::LayerState,
    run::Request,
};
use tokio::sync::oneshot;

use crate::milestones::Milestones;

/// How often bars move.
const BAR_PERIOD: Duration = Duration::from_millis(100);
/// How often a log says that the run is alive.
const LINE_PERIOD: Duration = Duration::from_secs(10);

/// Progress that is being shown.
pub(crate) struct Display {
    events: mpsc::Sender<Event>,
    /// Dropped when the last line is out.
    ended: oneshot::Receiver<()>,
}

/// Hears what a run tells, and passes it on.
struct Listener {
    events: mpsc::Sender<Event>,
    is_copied: bool,
    /// Where the run will put several tags that do not come all at once.
    tagging: Option<Milestones>,
}

enum Event {
    /// What is done with the layers, and those.
    Layers(&'static str, Vec<(Digest, u64)>),
    Started(usize, Arc<AtomicU64>),
    /// A layer, and what became of it.
    Finished(usize, &'static str),
    Warning(String),
    Line(String),
    Closed,
}

/// Shows progress as fits stderr.
struct Shown {
    layers: Vec<LayerProgress>,
    bars: Option<MultiProgress>,
    started: Instant,
}

struct LayerProgress {
    digest: Digest,
    size: u64,
    read: Option<Arc<AtomicU64>>,
    is_done: bool,
    bar: Option<ProgressBar>,
}

impl Display {
    /// Starts to show progress.
    pub(crate) fn start() -> Self {
        let (events, heard) = mpsc::channel();
        let (out, ended) = oneshot::channel();
        thread::spawn(move || {
            Shown::new().follow(&heard);
            drop(out);
        });
        Self { events, ended }
    }

    /// What a run tells its progress to.
    pub(crate) fn listener(&self, request: &Request, milestones: &Milestones) -> Arc<dyn Progress> {
        let is_layout = matches!(request.image, Reference::Layout(_));
        let is_copied = request.copy_to.is_some();
        let is_at_once = !is_copied && (is_layout || request.output_tags.len() < 2);
        Arc::new(Listener {
            events: self.events.clone(),
            is_copied,
            tagging: (!is_at_once).then(|| milestones.clone()),
        })
    }

    /// Shows a line of its own.
    pub(crate) fn line(&self, text: String) {
        // Fails where nothing is shown any more.
        let _ = self.events.send(Event::Line(text));
    }

    /// Waits until all is shown, and leaves the terminal clean.
    pub(crate) async fn close(self) {
        // Fails where nothing is shown any more.
        let _ = self.events.send(Event::Closed);
        // An error is the sign: the other end was dropped.
        let _ = self.ended.await;
    }
}

impl Shown {
    fn new() -> Self {
        Self {
            layers: Vec::new(),
            bars: io::stderr().is_terminal().then(MultiProgress::new),
            started: Instant::now(),
        }
    }

    /// Shows what is heard, until that ends.
    fn follow(mut self, heard: &mpsc::Receiver<Event>) {
        let period = if self.bars.is_some() {
            BAR_PERIOD
        } else {
            LINE_PERIOD
        };
        let mut next = Instant::now() + period;
        loop {
            match heard.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(Event::Layers(what, layers)) => self.layers(what, layers),
                Ok(Event::Started(layer, bytes)) => self.started(layer, bytes),
                Ok(Event::Finished(layer, state)) => self.finished(layer, state),
                Ok(Event::Warning(text)) => self.line(&format!("warning: {}", printable(&text))),
                Ok(Event::Line(text)) => self.line(&printable(&text)),
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    self.tick();
                    next = Instant::now() + period;
                }
                Ok(Event::Closed) | Err(mpsc::RecvTimeoutError::Disconnected) => break,
            }
        }
        if let Some(bars) = &self.bars {
            // A terminal that cannot be cleared does no harm.
            let _ = bars.clear();
        }
    }

    fn line(&self, text: &str) {
        match &self.bars {
            Some(bars) => drop(bars.println(text)),
            // Nobody is left to tell where stderr is gone.
            None => drop(writeln!(io::stderr(), "{text}")),
        }
    }

    fn tick(&self) {
        for layer in &self.layers {
            if let (Some(bar), Some(read)) = (&layer.bar, &layer.read) {
                bar.set_position(read.load(Ordering::Relaxed));
            }
        }
        if self.bars.is_none() && !self.layers.is_empty() {
            self.line(&self.summary(self.started.elapsed()));
        }
    }

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
            "{done} of {} done, {} of {} read, {}/s, time left {left}",
            counted(self.layers.len(), "layer", "layers"),
            ByteSize(read),
            ByteSize(total),
            ByteSize(rate),
        )
    }

    fn layers(&mut self, what: &str, layers: Vec<(Digest, u64)>) {
        self.started = Instant::now();
        let total: u64 = layers.iter().map(|(_, size)| size).sum();
        self.layers = layers
            .into_iter()
            .map(|(digest, size)| LayerProgress {
                digest,
                size,
                read: None,
                is_done: false,
                bar: None,
            })
            .collect();
        if !self.layers.is_empty() {
            self.line(&format!(
                "{} to {what}, {}",
                counted(self.layers.len(), "layer", "layers"),
                ByteSize(total)
            ));
        }
    }

    fn started(&mut self, layer: usize, bytes: Arc<AtomicU64>) {
        let layer = &mut self.layers[layer];
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

    fn finished(&mut self, layer: usize, state: &str) {
        let count = self.layers.len();
        let number = self.layers.iter().filter(|layer| layer.is_done).count() + 1;
        let layer = &mut self.layers[layer];
        layer.is_done = true;
        if let Some(bar) = layer.bar.take() {
            bar.finish_and_clear();
        }
        let text = format!(
            "{number}/{count} {} {} {}",
            layer.digest,
            ByteSize(layer.size),
            state
        );
        self.line(&text);
    }
}

impl Listener {
    fn tell(&self, event: Event) {
        // Fails where nothing is shown any more.
        let _ = self.events.send(event);
    }
}

impl Progress for Listener {
    fn layers(&self, layers: &[(Digest, u64)]) {
        let what = match self.is_copied {
            true => "copy or index",
            false => "index",
        };
        self.tell(Event::Layers(what, layers.to_vec()));
    }

    fn started(&self, layer: usize, bytes: Arc<AtomicU64>) {
        self.tell(Event::Started(layer, bytes));
    }

    fn finished(&self, layer: usize, state: &LayerState) {
        self.tell(Event::Finished(layer, state.word()));
    }

    fn copied(&self, layer: usize) {
        self.tell(Event::Finished(layer, "copied"));
    }

    fn warn(&self, text: &str) {
        self.tell(Event::Warning(text.to_owned()));
    }

    fn before_tag(&self) -> BeforeTag<'_> {
        if let Some(milestones) = &self.tagging {
            milestones.tagging();
        }
        Box::pin(ready(Ok(())))
    }
}
