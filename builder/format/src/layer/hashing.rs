//! The digests of a layer and of its spans, made where there is time for it: on the thread of the pass, or on one of its own
//! as soon as a core has nothing else to do. In: compressed bytes and cuts, in order. Out: digests, the same wherever.

use std::{
    mem,
    panic::resume_unwind,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::{self, JoinHandle},
};

use super::SpareCore;
use crate::digest::{Digest, DualHasher};

/// After so many bytes a pass asks for a spare core again. A thread costs less than to hash a tenth of that.
const ASK_EVERY: usize = 1 << 20;
/// What is handed over at once; fewer and larger pieces would leave the second-level cache before they are hashed.
const PIECE: usize = 256 * 1024;
/// Pieces that wait at most: whoever is slower makes the other one wait, and memory does not grow.
const QUEUE: usize = 4;

/// Takes bytes and cuts.
pub(super) struct Hashing<'a> {
    spare: &'a mut dyn FnMut() -> Option<SpareCore>,
    /// Bytes since a spare core was asked for.
    unasked: usize,
    location: HashLocation,
}

enum HashLocation {
    Inline(Hashes),
    Thread(HashThread),
}

#[derive(Default)]
struct Hashes {
    hashed: DualHasher,
    spans: Vec<Digest>,
}

/// The thread, and what it is to do next.
struct HashThread {
    next: Vec<u8>,
    queue: SyncSender<Piece>,
    thread: JoinHandle<Hashes>,
}

struct Piece {
    bytes: Vec<u8>,
    /// Whether a span begins behind them.
    cut: Option<Cut>,
}

/// Where a span begins, with the byte that it shares with what is before, if there is one.
#[derive(Clone, Copy)]
pub(super) enum Cut {
    /// The first span begins here: what is before belongs to none.
    Begin(Option<u8>),
    /// The next span begins, and one ends.
    Next(Option<u8>),
}

impl<'a> Hashing<'a> {
    pub(super) fn new(spare: &'a mut dyn FnMut() -> Option<SpareCore>) -> Self {
        Self {
            spare,
            unasked: 0,
            location: HashLocation::Inline(Hashes::default()),
        }
    }

    /// Takes the next bytes.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.unasked += bytes.len();
        if self.unasked >= ASK_EVERY {
            self.unasked = 0;
            self.move_to_thread();
        }
        match &mut self.location {
            HashLocation::Inline(hashes) => hashes.hashed.update(bytes),
            HashLocation::Thread(thread) => thread.update(bytes),
        }
    }

    /// Begins a span.
    pub(super) fn cut(&mut self, cut: Cut) {
        match &mut self.location {
            HashLocation::Inline(hashes) => hashes.cut(cut),
            HashLocation::Thread(thread) => thread.hand_over(Some(cut)),
        }
    }

    /// The digest of the layer, and of every span; the last one ends here.
    pub(super) fn finish(self) -> (Digest, Vec<Digest>) {
        let hashes = match self.location {
            HashLocation::Inline(hashes) => hashes,
            HashLocation::Thread(thread) => thread.finish(),
        };
        let (layer, last) = hashes.hashed.finish();
        let mut spans = hashes.spans;
        spans.push(last);
        (layer, spans)
    }

    /// Goes on with a thread of its own, where a core is spare.
    fn move_to_thread(&mut self) {
        if let HashLocation::Inline(hashes) = &mut self.location
            && let Some(core) = (self.spare)()
            && let Some(thread) = HashThread::start(core, hashes)
        {
            self.location = HashLocation::Thread(thread);
        }
    }
}

impl Hashes {
    fn cut(&mut self, cut: Cut) {
        match cut {
            Cut::Begin(shared) => {
                self.hashed.cut(shared.as_slice());
                self.spans.clear();
            }
            Cut::Next(shared) => self.spans.push(self.hashed.cut(shared.as_slice())),
        }
    }

    /// Takes what is queued, until nothing more can come.
    fn take_all(mut self, queue: &Receiver<Piece>) -> Self {
        for Piece { bytes, cut } in queue {
            self.hashed.update(&bytes);
            if let Some(cut) = cut {
                self.cut(cut);
            }
        }
        self
    }
}

impl HashThread {
    /// Takes `hashes` over; leaves them where the system has no thread to give.
    fn start(core: SpareCore, hashes: &mut Hashes) -> Option<Self> {
        let (queue, pieces) = sync_channel(QUEUE);
        let (begin, begun) = sync_channel(1);
        let thread = thread::Builder::new().name("hashing".to_owned());
        let thread = thread.spawn(move || {
            let _until_the_end = core;
            let hashes: Hashes = begun.recv().unwrap_or_default();
            hashes.take_all(&pieces)
        });
        let thread = thread.ok()?;
        // It is listening: its end of the channel lives as long as it does.
        let _ = begin.send(mem::take(hashes));
        Some(Self {
            next: Vec::with_capacity(PIECE),
            queue,
            thread,
        })
    }

    fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(PIECE - self.next.len()));
            self.next.extend_from_slice(now);
            if self.next.len() == PIECE {
                self.hand_over(None);
            }
            bytes = later;
        }
    }

    fn hand_over(&mut self, cut: Option<Cut>) {
        let bytes = mem::replace(&mut self.next, Vec::with_capacity(PIECE));
        // Refused only by a thread that has panicked, which `finish` finds out.
        let _ = self.queue.send(Piece { bytes, cut });
    }

    fn finish(mut self) -> Hashes {
        self.hand_over(None);
        drop(self.queue);
        self.thread
            .join()
            .unwrap_or_else(|panic| resume_unwind(panic))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// Hashes `bytes` with a cut after each of `cuts`; a core becomes spare at the ask of that number. The core is back afterwards.
    fn hash(bytes: &[u8], cuts: &[(usize, Cut)], spare_at: usize) -> (Digest, Vec<Digest>) {
        let (core, mut asks) = (Arc::new(()), 0);
        let mut spare = || {
            asks += 1;
            (asks > spare_at).then(|| Box::new(Arc::clone(&core)) as SpareCore)
        };
        let mut hashing = Hashing::new(&mut spare);
        let mut at = 0;
        for &(end, cut) in cuts {
            // As inflate gives them: some ten thousand bytes at once.
            bytes[at..end]
                .chunks(30_001)
                .for_each(|piece| hashing.update(piece));
            hashing.cut(cut);
            at = end;
        }
        bytes[at..]
            .chunks(700_000)
            .for_each(|piece| hashing.update(piece));
        let is_aside = matches!(hashing.location, HashLocation::Thread(_));
        if spare_at == 0 {
            assert_eq!(is_aside, bytes.len() >= ASK_EVERY);
        }
        let digests = hashing.finish();
        assert_eq!(Arc::strong_count(&core), 1, "the core was given back");
        digests
    }

    #[test]
    fn wherever_they_are_made_the_digests_are_the_same() {
        let mut bytes = vec![0; 5 << 20];
        let mut random = fastrand::Rng::with_seed(3);
        random.fill(&mut bytes);
        for round in 0..20 {
            let mut ends: Vec<_> = (0..round).map(|_| random.usize(..bytes.len())).collect();
            // Two cuts in one location, one at the very start, and one at the end of a piece.
            ends.extend([0, PIECE, 2 << 20, 2 << 20]);
            ends.sort_unstable();
            let mut cut = |end: usize| {
                let shared = random.bool().then(|| bytes[end.saturating_sub(1)]);
                match random.u8(..4) {
                    0 => Cut::Begin(shared),
                    _ => Cut::Next(shared),
                }
            };
            let cuts: Vec<_> = ends
                .iter()
                .copied()
                .zip(ends.iter().copied().map(&mut cut))
                .collect();
            let here = hash(&bytes, &cuts, usize::MAX);
            assert_eq!(here.0, Digest::of(&bytes));
            for spare_at in 0..5 {
                assert_eq!(hash(&bytes, &cuts, spare_at), here, "at ask {spare_at}");
            }
        }
    }

    #[test]
    fn little_is_hashed_where_it_is() {
        let bytes = vec![7; ASK_EVERY - 1];
        let (layer, spans) = hash(&bytes, &[], 0);
        assert_eq!((layer, &spans[..]), (Digest::of(&bytes), &[layer][..]));
    }
}
