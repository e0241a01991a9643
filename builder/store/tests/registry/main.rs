//! The registry client against a registry that misbehaves.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod auth;
mod blobs;
mod credentials;
mod layer_stream;
mod manifests;
mod referrers;
mod retries;
mod stream;
mod uploads;

use std::{error::Error as _, time::Duration};

use soci_store::registry::{Client, Environment, Error, Options, Repository, RetryPolicy};
use soci_testing::fake_registry::{FakeRegistry, QUERY_SECRET};

/// What no error may show: everything in these tests that is secret has one of these in it.
const SECRETS: [&str; 3] = [QUERY_SECRET, "X-Amz", "secret-"];

/// Pauses of a millisecond.
fn impatient() -> Options {
    Options {
        retry: RetryPolicy {
            initial_backoff: Duration::from_millis(1),
            max_backoff: Duration::from_millis(1),
            ..RetryPolicy::default()
        },
        ..Options::default()
    }
}

/// The repository `team/app` of `registry`, as a client without credentials sees it.
fn app(registry: &FakeRegistry) -> Repository {
    app_for(registry, Environment::default())
}

/// The same for a client with the credentials of `environment`.
fn app_for(registry: &FakeRegistry, environment: Environment) -> Repository {
    Client::with_environment(impatient(), environment)
        .repository(&registry.host(), "team/app")
        .unwrap()
}

/// An error and its causes in one line; checked for secrets, in both forms of printing.
fn told(error: &Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line = format!("{line}: {error}");
        cause = error.source();
    }
    for secret in SECRETS {
        assert!(!line.contains(secret), "{line}");
        assert!(!format!("{error:?}").contains(secret), "{error:?}");
    }
    line
}

/// Bytes that differ from place to place.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(length).collect()
}
