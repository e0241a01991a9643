//! Waiting for what somebody else brings about, by looking again and again.

use std::time::{Duration, Instant};

/// What `look` finds, once it finds something; none where it does not within `limit`.
pub(crate) async fn found<T>(
    limit: Duration,
    pause: Duration,
    look: impl AsyncFn() -> Option<T>,
) -> Option<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = look().await {
            return Some(found);
        }
        if Instant::now() > end {
            return None;
        }
        tokio::time::sleep(pause).await;
    }
}
