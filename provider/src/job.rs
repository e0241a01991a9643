//! One request in one invocation: what it is about, until when, and what the next invocation will have to know.

use std::{
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use crate::{call::CallError, event::Event, log::Log, pace::Patience, plan::Asked, stops::Stops};

/// One request.
#[derive(Debug)]
pub struct Job {
    /// The event.
    pub event: Event,
    /// Its names and time.
    pub asked: Asked,
    /// Until when to be patient.
    pub patience: Patience,
    /// Tells of steps.
    pub log: Log,
    /// The build that is watched: one that has not ended as far as we know.
    pub build: Noted<Option<String>>,
    /// Until when to ask for a build that is refused, while none of the project runs.
    pub start_by: Noted<SystemTime>,
    /// Why there is no build yet, where CodeBuild has refused one.
    pub refused: Noted<Option<CallError>>,
    /// Builds of older requests that are being stopped.
    pub stops: Stops,
}

/// What the work notes for the guard around it, which needs it where the work ends early.
#[derive(Debug)]
pub struct Noted<T>(Mutex<T>);

impl<T: Clone> Noted<T> {
    /// Notes a first value.
    pub fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    /// Notes another value.
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
