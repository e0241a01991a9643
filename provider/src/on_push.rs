//! The on-push function: another Lambda function with the same program, which indexes images that anybody pushes to ECR.
//! In: ECR's events, backfills, and events that failed before. Out: the index under the image's output tag, and a record of each image.
//! An event that fails is run again by Lambda, and then lies in a queue.
//!
//! ```text
//! event ─▶ decision ─▶ image: indexer ─▶ tag still there? ─▶ output tag ─▶ record
//!     │       ▲ settings: filters, pattern; catalog: what ECR says of the image
//!     └─▶ backfill: catalog: all images ─▶ one invocation each
//! ```

mod backfill;
mod catalog;
mod decision;
mod error;
mod event;
mod filters;
mod image;
mod pattern;
mod record;
mod settings;
mod time;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde_json::{Value, json};
use soci_index::run::chain;
use soci_store::registry::Mirror;
use tokio::sync::OnceCell;

pub use error::Error;
pub use event::{Backfill, Incoming, Other, Pushed, Resumed};
pub use filters::{Filters, InvalidFilter};
pub use pattern::Pattern;
pub use settings::{InvalidSettings, Settings, VARIABLE};

use crate::{
    app::App, builder_function::Invocation, indexer::Indexer, log::Log, metrics::Metrics,
    pace::RetryWindow,
};
use catalog::{Catalog, Registry};
use decision::Skip;
use record::{Done, Subject};
use time::Time;

/// What every invocation of the on-push function shares.
pub struct OnPush {
    app: Arc<App>,
    indexer: Indexer,
    settings: Settings,
    metrics: Metrics,
    registry: OnceCell<Registry>,
}

impl OnPush {
    /// `memory_bytes` is the function's memory; `mirrors` redirect registry hosts, for tests.
    #[must_use]
    pub fn new(
        app: Arc<App>,
        memory_bytes: u64,
        mirrors: Vec<Mirror>,
        settings: Settings,
        metrics: Metrics,
    ) -> Self {
        Self {
            indexer: Indexer::new(&app, memory_bytes, mirrors),
            app,
            settings,
            metrics,
            registry: OnceCell::new(),
        }
    }

    fn catalog(&self, retry_window: RetryWindow, log: &Log) -> Catalog {
        Catalog {
            ecr: self.app.ecr.clone(),
            retry_window,
            log: log.clone(),
        }
    }

    /// The account's registry; the address is asked for once.
    async fn registry(&self, catalog: &Catalog) -> Result<&Registry, Error> {
        let asked = self.registry.get_or_try_init(|| catalog.registry());
        asked.await.map_err(Error::Registry)
    }
}

/// Handles an invocation. Gives the summary of a backfill.
///
/// # Errors
/// If the event is to be run again.
pub async fn handle(
    function: &Arc<OnPush>,
    payload: Value,
    invocation: Invocation,
) -> Result<Value, Error> {
    let now = SystemTime::now();
    let budget = invocation.deadline.duration_since(now).unwrap_or_default();
    let time = Time::of(function.app.pace, budget);
    let log = Log::of(&invocation.request_id);
    let handled = match Incoming::parse(payload) {
        // Boxed: the compiler counts how deep futures of futures go, and has a limit.
        Ok(incoming) => Box::pin(one(function, incoming, time, &log)).await,
        Err(why) => Err(Error::Event(why)),
    };
    if let Err(error) = &handled {
        log.info(format_args!("FAILED {}", chain(error)));
    }
    handled
}

async fn one(
    function: &Arc<OnPush>,
    incoming: Incoming,
    time: Time,
    log: &Log,
) -> Result<Value, Error> {
    match incoming {
        Incoming::Image(pushed) => image::index(function, pushed, time, log)
            .await
            .map(|()| Value::Null),
        Incoming::Other(other) => {
            let subject = Subject {
                repository: other.repository,
                ..Subject::default()
            };
            let skipped = Done::Skipped(Skip(other.why));
            subject.record(&function.metrics, Ok(&skipped), Duration::ZERO);
            Ok(Value::Null)
        }
        Incoming::Backfill(backfill) => {
            let summary = backfill::backfill(function, &backfill, time, log).await?;
            Ok(json!(summary))
        }
        Incoming::Redrive(all) => redrive(function, all, time, log).await,
    }
}

/// Runs the events of a batch, one after the other. If any fails, the batch does: the others' indexes are there then, and no work.
async fn redrive(
    function: &Arc<OnPush>,
    all: Vec<Incoming>,
    time: Time,
    log: &Log,
) -> Result<Value, Error> {
    let count = all.len();
    let mut failures = Vec::new();
    for incoming in all {
        failures.extend(Box::pin(one(function, incoming, time, log)).await.err());
    }
    let failed = failures.len();
    match failures.into_iter().next() {
        None => Ok(Value::Null),
        Some(error) if count == 1 => Err(error),
        Some(error) => Err(Error::Batch {
            failed,
            all: count,
            first: chain(&error),
        }),
    }
}
