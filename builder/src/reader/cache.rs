//! The cache of spans: uncompressed bytes by layer and span, the least recently used ones given up first.
//! Whoever asks for a span that is on its way waits for it, so that nothing is fetched twice at once.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use tokio::sync::OnceCell;

/// A layer's number, and a span's in it.
pub(super) type Key = (usize, usize);

pub(super) struct Cache {
    budget: u64,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    bytes: u64,
    /// Counts the uses.
    clock: u64,
    spans: HashMap<Key, Slot>,
}

struct Slot {
    span: Arc<OnceCell<Bytes>>,
    used: u64,
}

impl Cache {
    /// A cache of at most `budget` bytes, and the span that was asked for last.
    pub(super) fn new(budget: u64) -> Self {
        Self {
            budget,
            kept: Mutex::default(),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The span `key`, which `fetch` gives where it is not there yet.
    pub(super) async fn get<E>(
        &self,
        key: Key,
        fetch: impl Future<Output = Result<Bytes, E>>,
    ) -> Result<Bytes, E> {
        let span = self.kept().use_slot(key);
        let mut is_fresh = false;
        let fetched = span.get_or_try_init(|| async {
            is_fresh = true;
            fetch.await
        });
        let bytes = fetched.await?.clone();
        if is_fresh {
            self.kept().make_room(key, bytes.len() as u64, self.budget);
        }
        Ok(bytes)
    }
}

impl Kept {
    fn use_slot(&mut self, key: Key) -> Arc<OnceCell<Bytes>> {
        self.clock += 1;
        let used = self.clock;
        let slot = self.spans.entry(key).or_insert_with(|| Slot {
            span: Arc::default(),
            used,
        });
        slot.used = used;
        Arc::clone(&slot.span)
    }

    /// Counts a span that came, and gives others up for it.
    fn make_room(&mut self, key: Key, bytes: u64, budget: u64) {
        self.bytes += bytes;
        while self.bytes > budget {
            let there = self.spans.iter();
            let oldest = there
                .filter(|(other, slot)| **other != key && slot.span.initialized())
                .min_by_key(|(_, slot)| slot.used)
                .map(|(&oldest, _)| oldest);
            let Some(slot) = oldest.and_then(|oldest| self.spans.remove(&oldest)) else {
                break;
            };
            self.bytes -= slot.span.get().map_or(0, |span| span.len() as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    #[tokio::test]
    async fn the_least_recently_used_span_goes_first() {
        let (cache, fetched) = (Cache::new(250), AtomicUsize::new(0));
        let get = |span| {
            cache.get((0, span), async {
                fetched.fetch_add(1, Ordering::Relaxed);
                Ok::<_, Infallible>(Bytes::from(vec![0; 100]))
            })
        };
        for (span, count) in [(0, 1), (1, 2), (0, 2), (2, 3), (0, 3), (1, 4), (2, 5)] {
            get(span).await.unwrap();
            assert_eq!(fetched.load(Ordering::Relaxed), count, "span {span}");
            assert!(cache.kept().bytes <= 250);
        }
    }

    #[tokio::test]
    async fn what_is_on_its_way_is_not_fetched_again_and_a_failure_is() {
        let (cache, fetched) = (Cache::new(250), AtomicUsize::new(0));
        let get = |result: Result<Bytes, ()>| {
            let fetched = &fetched;
            cache.get((0, 0), async move {
                fetched.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                result
            })
        };
        let span = Bytes::from_static(b"span");
        assert_eq!(get(Err(())).await, Err(()));
        let both = futures_util::future::join(get(Ok(span.clone())), get(Err(()))).await;
        assert_eq!(both, (Ok(span.clone()), Ok(span)));
        assert_eq!(fetched.load(Ordering::Relaxed), 2);
    }
}
