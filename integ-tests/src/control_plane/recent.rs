//! What the emulator said a moment ago. It is asked for a repository and for a role's policies at every request to ECR, which would take most of its time.
//! In: what it said. Out: the same for a second. What was not found, or what policies refuse, is asked again at once.

use std::{
    collections::BTreeMap,
    sync::Mutex,
    time::{Duration, Instant},
};

use crate::lock::lock;

const KEPT: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Recent<T>(Mutex<BTreeMap<String, (Instant, T)>>);

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Recent<T> {
    pub(super) fn keep(&self, name: &str, value: &T) {
        lock(&self.0).insert(name.to_owned(), (Instant::now(), value.clone()));
    }

    pub(super) fn recent(&self, name: &str) -> Option<T> {
        let known = lock(&self.0);
        let (at, value) = known.get(name)?;
        (at.elapsed() < KEPT).then(|| value.clone())
    }
}
