//! The functions of one account, by name, and how many events they have in hand.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

use tokio::{sync::watch, time::timeout};

use super::Shared;
use crate::lock::lock;

/// The functions of one account.
#[derive(Default)]
pub(super) struct Service {
    functions: Mutex<BTreeMap<String, Weak<Shared>>>,
    pending: watch::Sender<usize>,
}

/// An event that is not done with: it waits, or is worked on.
pub(super) struct Pending(Arc<Service>);

impl Service {
    pub(super) fn add(&self, name: String, function: &Arc<Shared>) {
        lock(&self.functions).insert(name, Arc::downgrade(function));
    }

    /// A function by its name or its ARN.
    pub(super) fn find(&self, called: &str) -> Option<Arc<Shared>> {
        let name = called.rsplit(':').next().unwrap_or(called);
        let found = lock(&self.functions).get(name)?.upgrade()?;
        let is_it = called == name || called == found.function().arn();
        is_it.then_some(found)
    }

    pub(super) fn pending(self: &Arc<Self>) -> Pending {
        self.pending.send_modify(|pending| *pending += 1);
        Pending(Arc::clone(self))
    }

    pub(super) async fn quiet(&self, limit: Duration) -> Result<(), Busy> {
        let mut pending = self.pending.subscribe();
        let quiet = timeout(limit, pending.wait_for(|pending| *pending == 0)).await;
        quiet.map(drop).map_err(|_| Busy {
            limit,
            pending: *self.pending.borrow(),
            printed: String::new(),
        })
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.0.pending.send_modify(|pending| *pending -= 1);
    }
}

/// Something is still going on.
#[derive(Debug, thiserror::Error)]
#[error("{pending} events still pending after {limit:?}; printed so far: {printed}")]
pub struct Busy {
    limit: Duration,
    pending: usize,
    printed: String,
}

impl Busy {
    pub(super) fn printed(self, printed: String) -> Self {
        Self { printed, ..self }
    }
}
