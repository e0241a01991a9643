//! Passes: tokens of the registry host and signed addresses of the storage. Both are random, stand for something, and expire.
//! In: what a pass stands for. Out: passes, and what they stood for. Knows neither hosts nor addresses.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Why a pass does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Never made.
    Unknown,
    /// Too old.
    Expired,
}

/// Passes for things of one kind.
pub(crate) struct Passes<T> {
    lifetime: Duration,
    /// Until when, and what for.
    made: Mutex<BTreeMap<String, (Instant, T)>>,
}

impl<T: Clone> Passes<T> {
    pub(crate) fn new(lifetime: Duration) -> Self {
        Self {
            lifetime,
            made: Mutex::default(),
        }
    }

    pub(crate) fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// A new pass.
    pub(crate) fn issue(&self, what: T) -> String {
        let pass = format!("{:032x}{:032x}", fastrand::u128(..), fastrand::u128(..));
        let until = Instant::now() + self.lifetime;
        self.made().insert(pass.clone(), (until, what));
        pass
    }

    pub(crate) fn redeem(&self, pass: &str) -> Result<T, Refusal> {
        match self.made().get(pass) {
            None => Err(Refusal::Unknown),
            Some((until, _)) if *until <= Instant::now() => Err(Refusal::Expired),
            Some((_, what)) => Ok(what.clone()),
        }
    }

    /// Lets one pass expire.
    pub(crate) fn expire(&self, pass: &str) {
        if let Some((until, _)) = self.made().get_mut(pass) {
            *until = Instant::now();
        }
    }

    /// Lets all passes made so far expire.
    pub(crate) fn expire_all(&self) {
        let now = Instant::now();
        for (until, _) in self.made().values_mut() {
            *until = now;
        }
    }

    /// All passes made so far: for a search for secrets in logs.
    pub(crate) fn all(&self) -> Vec<String> {
        self.made().keys().cloned().collect()
    }

    fn made(&self) -> MutexGuard<'_, BTreeMap<String, (Instant, T)>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_ends() {
        let passes = Passes::new(Duration::from_secs(1_000));
        let pass = passes.issue("me");
        assert_eq!(passes.redeem(&pass), Ok("me"));
        assert_eq!(passes.redeem("other"), Err(Refusal::Unknown));
        let second = passes.issue("you");
        passes.expire(&pass);
        assert_eq!(passes.redeem(&pass), Err(Refusal::Expired));
        assert_eq!(passes.redeem(&second), Ok("you"));
        passes.expire_all();
        assert_eq!(passes.redeem(&second), Err(Refusal::Expired));
        let short = Passes::new(Duration::ZERO);
        assert_eq!(short.redeem(&short.issue(())), Err(Refusal::Expired));
    }
}
