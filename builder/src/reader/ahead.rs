//! Reading ahead: the spans of several files in the order in which they are read. Neighbours come with one request, several requests
//! at once, as far ahead as there is memory for.
//! In: the spans, in order. Out: each of them in its turn. A span that could not be fetched is fetched again by whoever needs it.

use std::{
    collections::{HashMap, VecDeque},
    pin::pin,
    sync::Arc,
};

use soci_store::store::ReadImages;
use tokio::task::JoinSet;

use super::{
    Error, Shared,
    layer::{Layer, Plain},
    runs::{Need, Run, runs_of},
};

/// Of the bytes that are kept, the share that is read ahead, as a divisor. The rest is for what was read and is needed again.
const AHEAD_SHARE: u64 = 2;
/// Of the bytes that are read ahead, the share of one request: two spans of 4 MiB and a bit, which is what most are. Fewer requests at
/// once leave the line idle while one is inflated.
const RUN_SHARE: u64 = 3;

pub(super) struct ReadAhead {
    shared: Arc<Shared>,
    layers: HashMap<usize, Arc<Layer>>,
    /// Those that were not started yet.
    runs: VecDeque<Run>,
    /// Those that were, until all their spans were needed.
    started: Vec<Run>,
    fetching: JoinSet<()>,
    /// How many spans were asked for.
    at: usize,
}

impl ReadAhead {
    /// For spans that will be asked for in this order.
    pub(super) fn new<'a>(
        shared: &Arc<Shared>,
        spans: impl Iterator<Item = (&'a Arc<Layer>, usize)>,
    ) -> Self {
        let limits = shared.store.limits();
        let ahead = limits.cached_bytes / AHEAD_SHARE;
        let mut layers = HashMap::new();
        let needs = spans.map(|(layer, span)| {
            let number = layer.number();
            layers.entry(number).or_insert_with(|| Arc::clone(layer));
            Need {
                layer: number,
                span,
                bytes: layer.span_bytes(span),
            }
        });
        let kept = limits.cached_bytes - ahead;
        let runs = runs_of(needs, limits.span_bytes, ahead / RUN_SHARE, kept).into();
        Self {
            shared: Arc::clone(shared),
            layers,
            runs,
            started: Vec::new(),
            fetching: JoinSet::new(),
            at: 0,
        }
    }

    /// The next span, which must be the one that was announced.
    pub(super) async fn next(&mut self, layer: &Arc<Layer>, span: usize) -> Result<Plain, Error> {
        self.started.retain(|run| run.last_need >= self.at);
        self.start_runs();
        let shared = Arc::clone(&self.shared);
        let mut span = pin!(layer.uncompressed_span(&shared, span));
        let span = loop {
            tokio::select! {
                biased;
                span = &mut span => break span,
                Some(_) = self.fetching.join_next() => self.start_runs(),
            }
        };
        self.at += 1;
        span
    }

    /// Starts as many runs as there are connections and memory for.
    fn start_runs(&mut self) {
        let ahead = self.shared.store.limits().cached_bytes / AHEAD_SHARE;
        while let Some(next) = self.runs.front() {
            let started: u64 = self.started.iter().map(|run| run.bytes).sum();
            if !self.started.is_empty() && started + next.bytes > ahead {
                return;
            }
            let Some(connection) = self.shared.connections.another() else {
                return;
            };
            let run = self.runs.pop_front().expect("it was just looked at");
            let (layer, shared) = (
                Arc::clone(&self.layers[&run.layer]),
                Arc::clone(&self.shared),
            );
            let claims = layer.claim(&shared, run.spans.clone());
            self.fetching.spawn_blocking(move || {
                // Dropped claims leave an error to whoever needs the span.
                let _ = layer.read_claimed(&shared, &claims);
                drop(connection);
            });
            self.started.push(run);
        }
    }
}
