//! The cache of spans: uncompressed bytes by layer and span, the least recently used ones given up first, and last those that were
//! read ahead and not yet asked for.
//! Whoever fetches a span claims it before. Whoever asks for a claimed span waits for it, so that nothing is fetched twice at once.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use tokio::sync::watch;

/// A layer's number, and a span's in it.
pub(super) type Key = (usize, usize);

#[derive(Clone)]
pub(super) struct Cache {
    budget: u64,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    /// Of all spans that are there, and of those that are claimed.
    bytes: u64,
    /// Counts the uses.
    clock: u64,
    spans: HashMap<Key, Slot>,
}

struct Slot {
    /// `None` until it comes. The sender is gone where it never will.
    span: watch::Receiver<Option<Bytes>>,
    bytes: u64,
    /// Whether it was claimed since it was asked for last.
    is_ahead: bool,
    used: u64,
}

/// The duty to fetch a span. Dropped before it is kept, it leaves the span to whoever asks for it next.
pub(super) struct Claim {
    cache: Cache,
    key: Key,
    sender: watch::Sender<Option<Bytes>>,
}

enum Found {
    Span(Bytes),
    Claimed(watch::Receiver<Option<Bytes>>),
    Absent(Claim),
}

impl Cache {
    /// A cache of at most `budget` bytes, and the span that was asked for last.
    pub(super) fn new(budget: u64) -> Self {
        Self {
            budget,
            kept: Arc::default(),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The duty to fetch the span `key` of `bytes` bytes, which will be asked for; `None` where it is there or claimed.
    pub(super) fn claim(&self, key: Key, bytes: u64) -> Option<Claim> {
        match self.find(key, bytes, true) {
            Found::Absent(claim) => Some(claim),
            Found::Span(_) | Found::Claimed(_) => None,
        }
    }

    /// The span `key` of `bytes` bytes, which `fetch` gives where it is not there yet.
    pub(super) async fn get<E>(
        &self,
        key: Key,
        bytes: u64,
        fetch: impl Future<Output = Result<Bytes, E>>,
    ) -> Result<Bytes, E> {
        loop {
            match self.find(key, bytes, false) {
                Found::Span(span) => return Ok(span),
                Found::Claimed(mut span) => {
                    if let Ok(span) = span.wait_for(Option::is_some).await
                        && let Some(span) = &*span
                    {
                        return Ok(span.clone());
                    }
                }
                Found::Absent(claim) => {
                    let span = fetch.await?;
                    claim.keep(span.clone());
                    return Ok(span);
                }
            }
        }
    }

    fn find(&self, key: Key, bytes: u64, is_ahead: bool) -> Found {
        let mut kept = self.kept();
        kept.clock += 1;
        let used = kept.clock;
        if let Some(slot) = kept.spans.get_mut(&key) {
            (slot.used, slot.is_ahead) = (used, is_ahead);
            let span = slot.span.borrow().clone();
            return match span {
                Some(span) => Found::Span(span),
                None => Found::Claimed(slot.span.clone()),
            };
        }
        kept.make_room(bytes, self.budget);
        kept.bytes += bytes;
        let (sender, span) = watch::channel(None);
        let slot = Slot {
            span,
            bytes,
            is_ahead,
            used,
        };
        kept.spans.insert(key, slot);
        Found::Absent(Claim {
            cache: self.clone(),
            key,
            sender,
        })
    }
}

impl Claim {
    /// The span's number in its layer.
    pub(super) fn span(&self) -> usize {
        self.key.1
    }

    /// Gives the span to the cache, and to all who wait for it.
    pub(super) fn keep(&self, span: Bytes) {
        self.sender.send_replace(Some(span));
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.sender.borrow().is_none() {
            self.cache.kept().remove(self.key);
        }
    }
}

impl Kept {
    /// Gives spans up until `bytes` more may come. Claimed ones stay.
    fn make_room(&mut self, bytes: u64, budget: u64) {
        while self.bytes + bytes > budget {
            let there = self.spans.iter();
            let oldest = there
                .filter(|(_, slot)| slot.span.borrow().is_some())
                .min_by_key(|(_, slot)| (slot.is_ahead, slot.used))
                .map(|(&oldest, _)| oldest);
            match oldest {
                Some(oldest) => self.remove(oldest),
                None => break,
            }
        }
    }

    fn remove(&mut self, key: Key) {
        self.bytes -= self.spans.remove(&key).map_or(0, |slot| slot.bytes);
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
            cache.get((0, span), 100, async {
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
            cache.get((0, 0), 4, async move {
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

    #[tokio::test]
    async fn what_was_read_ahead_goes_last() {
        let cache = Cache::new(300);
        let get = async |span| {
            let fetch = async { Ok::<_, Infallible>(Bytes::new()) };
            cache.get((0, span), 100, fetch).await.unwrap();
        };
        let claim = |span| cache.claim((0, span), 100);
        claim(0).unwrap().keep(Bytes::new());
        for span in [1, 2, 3, 4] {
            get(span).await;
        }
        assert!(claim(0).is_none(), "it waits for its reader");
        get(0).await;
        for span in [1, 2, 3] {
            get(span).await;
        }
        assert!(claim(0).is_some(), "it was read, and is the oldest");
    }

    #[tokio::test]
    async fn claimed_spans_count_and_stay_until_they_come_or_are_left() {
        let cache = Cache::new(250);
        let bytes = || cache.kept().bytes;
        let [first, second] = [0, 1].map(|span| cache.claim((0, span), 100).unwrap());
        assert!(cache.claim((0, 0), 100).is_none());
        first.keep(Bytes::from_static(b"first"));
        assert_eq!(bytes(), 200);
        // The third takes the place of the first, which is there; the second is still to come.
        let third = cache.claim((0, 2), 100).unwrap();
        assert_eq!(bytes(), 200);
        assert!(cache.claim((0, 1), 100).is_none());
        let own = Bytes::from_static(b"own");
        let wait = cache.get((0, 1), 100, async { Ok::<_, Infallible>(own.clone()) });
        let leave = async { drop(second) };
        assert_eq!(futures_util::future::join(wait, leave).await.0, Ok(own));
        drop(third);
        assert_eq!(bytes(), 100);
    }
}
