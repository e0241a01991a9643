//! Work on threads, several at a time. In: items, and what is done with each. Out: nothing; what panics does so here.

use std::{
    sync::{Mutex, PoisonError},
    thread,
};

/// Does `work` for each item in their order, on so many threads. For work that is mostly waiting.
///
/// # Panics
/// Where `work` does, once all threads have ended.
pub fn side_by_side<T>(
    items: impl IntoIterator<IntoIter: Send, Item = T>,
    threads: usize,
    work: impl Fn(T) + Sync,
) {
    let items = Mutex::new(items.into_iter());
    let next = || items.lock().unwrap_or_else(PoisonError::into_inner).next();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(item) = next() {
                    work(item);
                }
            });
        }
    });
}
