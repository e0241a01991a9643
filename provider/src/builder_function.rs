//! The builder function: another Lambda function with the same program, which builds an index and responds to the request.
//! In: the provider's continuation. Out: the index in ECR, and one response before the invocation ends. If it is killed, Lambda tells the
//! provider, which responds.
//!
//! ```text
//! continuation ─▶ index (indexer) ─▶ verdict ─▶ response ─▶ delivery
//!                    └─ newer_request ─▶ stack_resource: is this still the newest request?
//! ```

mod index;
mod newer_request;
mod stack_resource;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde_json::Value;
use soci_index::{progress::BeforeTag, run::chain};
use soci_store::registry::Mirror;
use tokio::time::sleep_until;

pub use stack_resource::StackResources;

use crate::{
    app::App,
    delivery::{Undelivered, reject, send},
    error::Error,
    event::{Incoming, RequestContext},
    failed_invocation::build_id,
    indexer::{Indexer, RunProgress, unless_stopped},
    log::Log,
    properties,
    response::Response,
    schedule::{Schedule, first, instant},
    verdict::IndexResult,
};
use index::Task;
use newer_request::NewerRequest;

/// What every invocation of the builder function shares.
pub struct BuilderFunction {
    app: Arc<App>,
    indexer: Indexer,
    stack_resources: StackResources,
    /// Its log group and stream.
    log_place: Option<String>,
}

/// One invocation.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// Lambda's id of it.
    pub request_id: String,
    /// When it is over.
    pub deadline: SystemTime,
}

impl BuilderFunction {
    /// `memory_bytes` is the function's memory; `mirrors` redirect registry hosts, for tests.
    #[must_use]
    pub fn new(
        app: Arc<App>,
        memory_bytes: u64,
        mirrors: Vec<Mirror>,
        stack_resources: StackResources,
        log_place: Option<String>,
    ) -> Self {
        Self {
            indexer: Indexer::new(&app, memory_bytes, mirrors),
            app,
            stack_resources,
            log_place,
        }
    }
}

/// Handles an invocation.
///
/// # Errors
/// Only if the response could not be delivered, so that Lambda tells the provider.
pub async fn handle(
    function: &Arc<BuilderFunction>,
    payload: Value,
    invocation: Invocation,
) -> Result<(), Undelivered> {
    let now = SystemTime::now();
    let time = invocation.deadline.duration_since(now).unwrap_or_default();
    let schedule = Schedule::of(time);
    let app = &function.app;
    let incoming = match Incoming::parse(payload) {
        Ok(incoming) => incoming,
        Err(invalid) => {
            let log_place = function.log_place.as_deref();
            return reject(app, invalid, log_place, schedule.delivery_end).await;
        }
    };
    let resumed = incoming.resumed.clone();
    let task = Arc::new(Task {
        build_id: build_id(&app.function, &invocation.request_id),
        resumed: resumed.unwrap_or_else(|| first(app.pace, &incoming.event, now)),
        log: Log::of(&incoming.event.context.request_id),
        event: incoming.event,
        begun: now,
    });
    let context = &task.event.context;
    let outcome = guard(function, &task, schedule, time).await;
    if !properties::is_waited_for(task.event.properties()) {
        // The provider has responded.
        task.log.info(match &outcome {
            Ok(done) => format!("{}: {} {}", done.outcome, done.output_tag, done.output),
            Err(error) => format!("FAILED {}", chain(error)),
        });
        return Ok(());
    }
    let answer = match outcome {
        Ok(done) => Response::done(context, &done),
        Err(error) => failure(function, context, &error),
    };
    send(app, context, &answer, schedule.delivery_end, &task.log).await
}

/// Builds the index until it is done, the time is over or a newer request has come.
async fn guard(
    function: &Arc<BuilderFunction>,
    task: &Arc<Task>,
    schedule: Schedule,
    time: Duration,
) -> Result<IndexResult, Error> {
    let pace = function.app.pace;
    let newer = NewerRequest::new(function.stack_resources.clone(), task, pace);
    let before_tag = {
        let newer = newer.clone();
        move || -> BeforeTag<'static> {
            let newer = newer.clone();
            Box::pin(async move { newer.look().await.map_or(Ok(()), |why| Err(why.into())) })
        }
    };
    let progress = Arc::new(RunProgress::new(task.log.clone(), before_tag));
    let work = {
        let (function, task, progress) = (function.clone(), task.clone(), progress.clone());
        async move { index::index(&function, &task, &progress).await }
    };
    let end = schedule.hand_over.min(instant(task.resumed.respond_by));
    let stop = async {
        tokio::select! {
            why = newer.watch() => Error::Superseded(why),
            () = progress.log_periodically(pace) => Error::Panic("the progress log ended".to_owned()),
            () = sleep_until(end) => Error::NotFinished {
                image: task.image(),
                minutes: time.as_secs() / 60,
                so_far: progress.so_far(),
            },
        }
    };
    unless_stopped(work, stop).await
}

fn failure(function: &BuilderFunction, context: &RequestContext, error: &Error) -> Response {
    Response::failed(context, &chain(error), function.log_place.as_deref())
}
