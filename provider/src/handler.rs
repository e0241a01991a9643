//! The guard: each invocation ends with exactly one response or one hand-over, even after a panic.
//! In: a payload and the invocation's deadline. Out: nothing, once the response is delivered or the next invocation has started.

use std::{any::Any, sync::Arc, time::SystemTime};

use serde_json::Value;
use soci_index::run::chain;
use tokio::{
    task::JoinError,
    time::{Instant, timeout, timeout_at},
};

use crate::{
    app::App,
    call::with_retries,
    delivery::{Undelivered, deliver},
    error::Error,
    event::{Incoming, RequestContext, Resumed},
    hand_over::hand_over,
    job::{Job, Shared},
    log::Log,
    pace::RetryWindow,
    plan::{self, RequestKey},
    properties,
    response::Response,
    schedule::{RESUMED_RETRY_PERIOD, Schedule, first, instant},
    start::refused,
    stops::{STOP_TIMEOUT, Stops, said, stop},
    work::{Outcome, work},
};

/// Handles an invocation that may run until `deadline`.
///
/// # Errors
/// Only if the response could not be delivered, so that Lambda retries the event.
pub async fn handle(
    app: &Arc<App>,
    payload: Value,
    deadline: SystemTime,
) -> Result<(), Undelivered> {
    let now = SystemTime::now();
    let schedule = Schedule::of(deadline.duration_since(now).unwrap_or_default());
    let incoming = match Incoming::parse(payload) {
        Ok(incoming) => incoming,
        Err(invalid) => {
            let Some(context) = invalid.context else {
                Log::of("-").info(format_args!(
                    "{}; cannot respond without a response URL",
                    invalid.why
                ));
                return Ok(());
            };
            let log = Log::of(&context.request_id);
            let error = Error::Event(invalid.why);
            return send(app, &context, &failure(&context, &error), schedule, &log).await;
        }
    };
    let log = Log::of(&incoming.event.context.request_id);
    let resumed = incoming
        .resumed
        .clone()
        .unwrap_or_else(|| first(app.pace, &incoming.event, now));
    let job = Arc::new(job(app, incoming, &resumed, log));
    let context = &job.event.context;
    let work = {
        let (app, job) = (Arc::clone(app), Arc::clone(&job));
        async move { work(&app, &job).await }
    };
    let response = match guard(app, &job, &resumed, schedule, work).await {
        Some(response) => response,
        None => {
            let known = Resumed {
                build_id: job.build.get(),
                start_by: job.start_by.get(),
                ..resumed
            };
            match hand_over(app, &job.event, &known, schedule.hand_over_end, &job.log).await {
                Ok(()) => {
                    job.log.info("handed over to the next invocation");
                    finish_stops(&job, schedule).await;
                    return Ok(());
                }
                Err(error) => {
                    stop_own(app, &job, true).await;
                    failure(context, &Error::HandOver(error))
                }
            }
        }
    };
    let sent = send(app, context, &response, schedule, &job.log).await;
    finish_stops(&job, schedule).await;
    sent
}

/// Waits for the background stops; nothing may outlive the invocation.
async fn finish_stops(job: &Job, schedule: Schedule) {
    if timeout_at(schedule.delivery_end, job.stops.finish())
        .await
        .is_err()
    {
        job.log.info("timed out stopping older builds");
    }
}

fn job(app: &App, incoming: Incoming, resumed: &Resumed, log: Log) -> Job {
    let context = &incoming.event.context;
    let request_key = RequestKey {
        request_id: context.request_id.clone(),
        resource: context.resource(),
        made: resumed.made,
        attempt: 1,
    };
    let retry_until =
        instant(resumed.retry_until).max(Instant::now() + app.pace.of(RESUMED_RETRY_PERIOD));
    Job {
        request_key,
        retry_window: RetryWindow::new(app.pace, retry_until),
        log,
        build: Shared::new(resumed.build_id.clone()),
        start_by: Shared::new(resumed.start_by),
        refused: Shared::new(None),
        stops: Stops::default(),
        event: incoming.event,
    }
}

/// Does the work and returns the response; `None` if the invocation's time was too short.
async fn guard(
    app: &App,
    job: &Job,
    resumed: &Resumed,
    schedule: Schedule,
    work: impl Future<Output = Result<Outcome, Error>> + Send + 'static,
) -> Option<Response> {
    let context = &job.event.context;
    let respond_by = instant(resumed.respond_by);
    let mut task = tokio::spawn(work);
    let error = match timeout_at(schedule.hand_over.min(respond_by), &mut task).await {
        Ok(Ok(Ok(Outcome::Indexed(done)))) => return Some(Response::done(context, &done)),
        Ok(Ok(Ok(Outcome::Started(done, note)))) => {
            return Some(Response::started(context, &done, &note));
        }
        Ok(Ok(Ok(Outcome::Deleted(note)))) => {
            job.log.info(&note);
            return Some(Response::deleted(context, &note));
        }
        Ok(Ok(Err(error))) => error,
        Ok(Err(error)) => Error::Panic(panic_message(error)),
        Err(_) => {
            task.abort();
            // The task must have ended before its state is read.
            let _ = task.await;
            if Instant::now() < respond_by {
                return None;
            }
            let since = SystemTime::now()
                .duration_since(resumed.made)
                .unwrap_or_default();
            let stopped = stop_own(app, job, true).await;
            let project = properties::project(job.event.properties());
            let error = match job.refused.get() {
                Some(why) => refused(project.unwrap_or_default(), why),
                None => Error::OutOfTime {
                    minutes: since.as_secs() / 60,
                    stopped,
                },
            };
            return Some(failure(context, &error));
        }
    };
    stop_own(app, job, matches!(error, Error::Panic(_))).await;
    Some(failure(context, &error))
}

/// Stops the request's build, because nothing will watch it any longer. Returns what happened to it, as text to append to a
/// message.
async fn stop_own(app: &App, job: &Job, was_dropped: bool) -> String {
    let Some(project) = properties::project(job.event.properties()) else {
        return String::new();
    };
    let builds = app.builds(project);
    let own = match job.build.get() {
        Some(known) => vec![known],
        // The build may have been started just before the task was cancelled.
        None if was_dropped => {
            let retry_window = RetryWindow::new(app.pace, Instant::now() + STOP_TIMEOUT);
            let known = with_retries(&retry_window, &job.log, || builds.latest());
            match timeout(STOP_TIMEOUT, known).await {
                Ok(Ok(known)) => plan::own_running(&job.request_key, &known),
                Ok(Err(error)) => {
                    job.log
                        .info(format_args!("cannot list builds to stop: {error}"));
                    Vec::new()
                }
                Err(_) => {
                    job.log.info("timed out listing builds to stop");
                    Vec::new()
                }
            }
        }
        None => Vec::new(),
    };
    let mut all = String::new();
    for build in own {
        let what = match stop(app.pace, &builds, &build, &job.log).await {
            Ok(state) => said(&state),
            Err(error) => format!("could not be stopped and may still run: {error}"),
        };
        let sentence = format!("build {build} {what}");
        job.log.info(&sentence);
        all += &format!("; {sentence}");
    }
    all
}

fn failure(context: &RequestContext, error: &Error) -> Response {
    Response::failed(context, &chain(error), error.log_link())
}

async fn send(
    app: &App,
    context: &RequestContext,
    response: &Response,
    schedule: Schedule,
    log: &Log,
) -> Result<(), Undelivered> {
    log.info(format_args!("{} {}", response.status(), response.reason()));
    let to = &context.response_url;
    deliver(
        &app.http,
        to,
        response.body(),
        app.pace,
        schedule.delivery_end,
        log,
    )
    .await
}

/// The panic's message.
fn panic_message(error: JoinError) -> String {
    let Ok(panic) = error.try_into_panic() else {
        return "the task was cancelled".to_owned();
    };
    let text = |panic: &(dyn Any + Send)| {
        let fixed = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        fixed.or_else(|| panic.downcast_ref::<String>().cloned())
    };
    text(&*panic).unwrap_or_else(|| "panic without a message".to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aws_config::{BehaviorVersion, SdkConfig};

    use super::*;
    use crate::pace::Pace;

    /// An app that calls nobody, and a Create without a project whose build could be stopped.
    fn set() -> (App, Job, Resumed) {
        let config = SdkConfig::builder().behavior_version(BehaviorVersion::latest());
        let pace = Pace::parse(Some("0.01")).unwrap();
        let app = App::new(
            config.build(),
            reqwest::Client::new(),
            "provider".to_owned(),
            pace,
        );
        let mut event: Value =
            serde_json::from_str(include_str!("../tests/events/create.json")).unwrap();
        event["ResourceProperties"]["ProjectName"].take();
        let incoming = Incoming::parse(event).unwrap();
        let resumed = first(pace, &incoming.event, SystemTime::now());
        let job = job(&app, incoming, &resumed, Log::of("test"));
        (app, job, resumed)
    }

    fn long() -> Schedule {
        Schedule::of(Duration::from_secs(900))
    }

    #[tokio::test]
    async fn a_panic_gets_a_response() {
        let (app, job, resumed) = set();
        let work = async { panic!("index out of bounds") };
        let response = guard(&app, &job, &resumed, long(), work).await.unwrap();
        assert_eq!(response.status(), "FAILED");
        assert!(
            response
                .reason()
                .contains("please report it: index out of bounds"),
            "{}",
            response.reason()
        );
    }

    #[tokio::test]
    async fn the_end_of_the_invocation_causes_a_hand_over() {
        let (app, job, resumed) = set();
        let schedule = Schedule::of(Duration::ZERO);
        let response = guard(&app, &job, &resumed, schedule, std::future::pending()).await;
        assert!(response.is_none());
    }

    #[tokio::test]
    async fn the_deadline_gets_a_response() {
        let (app, job, resumed) = set();
        let resumed = Resumed {
            respond_by: SystemTime::now(),
            ..resumed
        };
        let response = guard(&app, &job, &resumed, long(), std::future::pending())
            .await
            .unwrap();
        assert!(
            response.reason().contains("waiting for the index"),
            "{}",
            response.reason()
        );
    }
}
