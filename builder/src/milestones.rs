//! How far a command is: the results that it has already, and what a stop may leave behind.
//! In: what a command tells. Out: results to print at once, and the words that a stop ends with.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    mpsc,
};

/// Told by the command, and asked by whoever stops it.
#[derive(Clone)]
pub(crate) struct Milestones {
    results: mpsc::Sender<Vec<u8>>,
    images_done: Arc<AtomicUsize>,
    is_tagging: Arc<AtomicBool>,
}

impl Milestones {
    /// At the start; the results come out at the other end.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Vec<u8>>) {
        let (results, printed) = mpsc::channel();
        let milestones = Self {
            results,
            images_done: Arc::default(),
            is_tagging: Arc::default(),
        };
        (milestones, printed)
    }

    /// A result that need not wait for the command's end. Whether anybody reads it is found out there.
    pub(crate) fn print(&self, result: Vec<u8>) {
        let _ = self.results.send(result);
    }

    /// One of several images is done, and this is its result.
    pub(crate) fn image_done(&self, result: Vec<u8>) {
        self.images_done.fetch_add(1, Relaxed);
        self.is_tagging.store(false, Relaxed);
        self.print(result);
    }

    /// From now on a stop may find some tags put and others not.
    pub(crate) fn tagging(&self) {
        self.is_tagging.store(true, Relaxed);
    }

    /// What became of tags, where the command is stopped now.
    pub(crate) fn after_stop(&self) -> &'static str {
        match (
            self.is_tagging.load(Relaxed),
            self.images_done.load(Relaxed),
        ) {
            (true, _) => "some of the tags may have been put; run the command again to put all",
            (false, 0) => "existing tags were not changed",
            (false, _) => "existing tags were not changed after the results above",
        }
    }
}
