//! One request in one invocation: the event, its time limits, and the state to pass to the next invocation.

use std::{
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use crate::{
    call::CallError,
    event::{Event, Resumed},
    log::Log,
    pace::RetryWindow,
    plan::RequestKey,
    stops::Stops,
};

/// One request.
#[derive(Debug)]
pub struct Job {
    /// The event.
    pub event: Event,
    /// The state of earlier invocations.
    pub resumed: Resumed,
    /// Its ids and time.
    pub request_key: RequestKey,
    /// Until when failed calls are retried.
    pub retry_window: RetryWindow,
    /// The log.
    pub log: Log,
    /// The build that is watched, if any.
    pub build: Shared<Option<String>>,
    /// Until when a rejected StartBuild is retried while no build of the project runs.
    pub start_by: Shared<SystemTime>,
    /// Why CodeBuild rejected the last StartBuild, if it did.
    pub refused: Shared<Option<CallError>>,
    /// Whether an invocation of the builder function is in flight. If it were cancelled, its result would be unknown.
    pub invoking: Shared<bool>,
    /// Builds of older requests that are being stopped.
    pub stops: Stops,
}

/// State that the work shares with the guard, which needs it if the work is cancelled.
#[derive(Debug)]
pub struct Shared<T>(Mutex<T>);

impl<T: Clone> Shared<T> {
    /// Wraps the initial value.
    pub fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    /// Replaces the value.
    pub fn set(&self, value: T) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = value;
    }

    /// The value.
    #[must_use]
    pub fn get(&self) -> T {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
