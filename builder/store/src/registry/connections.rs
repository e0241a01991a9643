//! The connections that a run reads its layers over, all layers together.
//! In: how many there may be. Out: permissions to use one. A layer that waits for its first connection goes before one that could
//! use another.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many connections read layers at once.
#[derive(Clone, Debug)]
pub struct Connections(Arc<Semaphore>);

/// The permission to use one connection, until it is dropped.
#[derive(Debug)]
pub struct Connection {
    _permit: OwnedSemaphorePermit,
}

impl Connections {
    /// At most `max` at once.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self(Arc::new(Semaphore::new(max)))
    }

    /// A layer's first connection; waits until one is free.
    pub async fn first(&self) -> Connection {
        let permit = Arc::clone(&self.0).acquire_owned().await;
        Connection {
            _permit: permit.expect("the semaphore is never closed"),
        }
    }

    /// Another connection for a layer that has one; `None` where none is free.
    #[must_use]
    pub fn another(&self) -> Option<Connection> {
        let permit = Arc::clone(&self.0).try_acquire_owned().ok()?;
        Some(Connection { _permit: permit })
    }
}
