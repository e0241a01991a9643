//! Runs of the builder's library in a function's own process. In: a request, and what stops the run. Out: the index in ECR, and the
//! run's report. Knows nothing of who asks.

mod progress;

use std::{future::Future, pin::pin, sync::Arc};

use soci_format::limits::Limits;
use soci_index::{
    report::Report,
    run::{self, Request},
};
use soci_store::registry::{Client, Environment, Mirror, Options, RetryPolicy};
use tokio::task::JoinError;

pub use progress::RunProgress;

use crate::{
    app::App,
    call::{RetryClass, Retryable, with_retries},
    log::Log,
    pace::RetryWindow,
};

/// Memory for the program, its connections and the buffers of eight layers; the rest is for what is collected of an image.
const PROGRAM_BYTES: u64 = 96 << 20;

/// Builds indexes with the function's own credentials.
pub struct Indexer {
    client: Client,
    limits: Limits,
}

impl Indexer {
    /// `memory_bytes` is the function's memory; `mirrors` redirect registry hosts, for tests.
    #[must_use]
    pub fn new(app: &App, memory_bytes: u64, mirrors: Vec<Mirror>) -> Self {
        let retry = RetryPolicy::default();
        let options = Options {
            mirrors,
            retry: RetryPolicy {
                initial_backoff: app.pace.of(retry.initial_backoff),
                max_backoff: app.pace.of(retry.max_backoff),
                ..retry
            },
            ..Options::default()
        };
        // The function's own role is the only one that it has credentials of.
        let environment = Environment {
            aws: Some(app.config.clone()),
            ..Environment::default()
        };
        Self {
            client: Client::with_environment(options, environment),
            limits: Limits::within_memory(memory_bytes.saturating_sub(PROGRAM_BYTES)),
        }
    }

    /// Builds the index and pushes it. Retries while access is denied: IAM changes may not have propagated.
    ///
    /// # Errors
    /// The run's own.
    pub async fn index(
        &self,
        request: Request,
        retry_window: &RetryWindow,
        log: &Log,
        progress: &Arc<RunProgress>,
    ) -> Result<Report, run::Error> {
        let request = Request {
            limits: self.limits,
            ..request
        };
        let run = || run::index(&request, &self.client, progress.clone());
        let report = with_retries(retry_window, log, run).await?;
        log.info(format_args!(
            "{}: {:?}, {:.1} s",
            request.image, report.outcome, report.seconds
        ));
        Ok(report)
    }
}

impl Retryable for run::Error {
    /// The registry client has retried whatever else may pass.
    fn retry_class(&self) -> RetryClass {
        match self.is_access_denied() {
            true => RetryClass::AccessDenied,
            false => RetryClass::Permanent,
        }
    }
}

/// Runs `work` on a task of its own until `stop` says why not. When this returns, the work has ended: it pushes nothing afterwards.
///
/// # Errors
/// Those of the work, or the reason to stop.
pub async fn unless_stopped<T, E>(
    work: impl Future<Output = Result<T, E>> + Send + 'static,
    stop: impl Future<Output = E>,
) -> Result<T, E>
where
    T: Send + 'static,
    E: From<JoinError> + Send + 'static,
{
    let mut work = tokio::spawn(work);
    let why = tokio::select! {
        // A completed run wins over whatever else happened at the same time.
        biased;
        ended = &mut work => return ended?,
        why = pin!(stop) => why,
    };
    work.abort();
    match work.await {
        Ok(Ok(done)) => Ok(done),
        _ => Err(why),
    }
}
