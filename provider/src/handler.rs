//! The guard: each invocation ends with exactly one response or one hand-over, even after a panic.
//! In: a payload and the invocation's deadline. Out: nothing, once the response is delivered or the next invocation has started.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde_json::Value;
use soci_index::run::chain;
use tokio::time::{Instant, timeout, timeout_at};

use crate::{
    app::App,
    call::with_retries,
    delivery::{Undelivered, reject, send},
    error::Error,
    event::{Event, Incoming, RequestContext, Resumed},
    hand_over::hand_over,
    job::{Job, Shared},
    log::Log,
    pace::RetryWindow,
    plan::{self, RequestKey},
    properties,
    response::Response,
    schedule::{RESUMED_RETRY_PERIOD, RETRY_PERIOD, Schedule, first, instant},
    start::refused,
    stops::{STOP_TIMEOUT, Stops, said, stop},
    work::{Outcome, work},
};

/// How long an invocation of the builder function that is in flight may delay the end.
const INVOKE_TIMEOUT: Duration = Duration::from_secs(5);

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
        Err(invalid) => return reject(app, invalid, None, schedule.delivery_end).await,
    };
    let log = Log::of(&incoming.event.context.request_id);
    let resumed = incoming.resumed.clone();
    let resumed = resumed.unwrap_or_else(|| first(app.pace, &incoming.event, now));
    let job = Arc::new(job(app, incoming.event, resumed, log));
    let context = &job.event.context;
    let work = {
        let (app, job) = (Arc::clone(app), Arc::clone(&job));
        async move { work(&app, &job).await }
    };
    let response = match guard(app, &job, schedule, work).await {
        Next::Respond(response) => response,
        Next::Nothing(why) => {
            job.log.info(why);
            finish_stops(&job, schedule).await;
            return Ok(());
        }
        Next::HandOver => {
            let known = Resumed {
                build_id: job.build.get(),
                start_by: job.start_by.get(),
                ..job.resumed.clone()
            };
            let retry_window = RetryWindow::new(app.pace, schedule.hand_over_end);
            let own = &app.function;
            match hand_over(app, own, &job.event, &known, &retry_window, &job.log).await {
                Ok(_) => {
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
    let sent = send(app, context, &response, schedule.delivery_end, &job.log).await;
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

fn job(app: &App, event: Event, resumed: Resumed, log: Log) -> Job {
    let context = &event.context;
    let request_key = RequestKey {
        request_id: context.request_id.clone(),
        resource: context.resource(),
        made: resumed.made,
        attempt: 1,
    };
    // A failed invocation is reported up to half an hour later, and this is the only check that follows.
    let least = match resumed.failed {
        Some(_) => RETRY_PERIOD,
        None => RESUMED_RETRY_PERIOD,
    };
    let retry_until = instant(resumed.retry_until).max(Instant::now() + app.pace.of(least));
    Job {
        request_key,
        retry_window: RetryWindow::new(app.pace, retry_until),
        log,
        build: Shared::new(resumed.build_id.clone()),
        start_by: Shared::new(resumed.start_by),
        refused: Shared::new(None),
        invoking: Shared::new(false),
        stops: Stops::default(),
        event,
        resumed,
    }
}

/// How an invocation ends.
enum Next {
    Respond(Response),
    /// Its time was too short.
    HandOver,
    /// Another invocation responds; with a note.
    Nothing(String),
}

/// Does the work.
async fn guard(
    app: &App,
    job: &Job,
    schedule: Schedule,
    work: impl Future<Output = Result<Outcome, Error>> + Send + 'static,
) -> Next {
    let (context, resumed) = (&job.event.context, &job.resumed);
    let respond_by = instant(resumed.respond_by);
    let mut task = tokio::spawn(work);
    let mut ended = timeout_at(schedule.hand_over.min(respond_by), &mut task).await;
    if ended.is_err() && job.invoking.get() {
        let until = (Instant::now() + INVOKE_TIMEOUT).min(schedule.hand_over_end);
        ended = timeout_at(until, &mut task).await;
    }
    let error = match ended {
        Ok(Ok(Ok(Outcome::Indexed(done)))) => {
            return Next::Respond(Response::done(context, &done));
        }
        Ok(Ok(Ok(Outcome::Started(done, note)))) => {
            return Next::Respond(Response::started(context, &done, &note));
        }
        Ok(Ok(Ok(Outcome::AnsweredElsewhere(note)))) => return Next::Nothing(note),
        Ok(Ok(Ok(Outcome::Deleted(note)))) => {
            job.log.info(&note);
            return Next::Respond(Response::deleted(context, &note));
        }
        Ok(Ok(Err(error))) => error,
        Ok(Err(error)) => error.into(),
        Err(_) => {
            task.abort();
            // The task must have ended before its state is read.
            let _ = task.await;
            if Instant::now() < respond_by {
                return Next::HandOver;
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
            return Next::Respond(failure(context, &error));
        }
    };
    stop_own(app, job, matches!(error, Error::Panic(_))).await;
    Next::Respond(failure(context, &error))
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

#[cfg(test)]
mod tests {
    use aws_config::{BehaviorVersion, SdkConfig};

    use super::*;
    use crate::pace::Pace;

    /// An app that calls nobody, and a Create without a project whose build could be stopped.
    fn set() -> (App, Job) {
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
        let job = job(&app, incoming.event, resumed, Log::of("test"));
        (app, job)
    }

    fn long() -> Schedule {
        Schedule::of(Duration::from_secs(900))
    }

    #[tokio::test]
    async fn a_panic_gets_a_response() {
        let (app, job) = set();
        let work = async { panic!("index out of bounds") };
        let Next::Respond(response) = guard(&app, &job, long(), work).await else {
            panic!("no response")
        };
        let line = response.log_line();
        assert!(
            line.starts_with("FAILED ") && line.contains("please report it: index out of bounds"),
            "{line}"
        );
    }

    #[tokio::test]
    async fn the_end_of_the_invocation_causes_a_hand_over() {
        let (app, job) = set();
        let schedule = Schedule::of(Duration::ZERO);
        let next = guard(&app, &job, schedule, std::future::pending()).await;
        assert!(matches!(next, Next::HandOver));
    }

    #[tokio::test]
    async fn the_deadline_gets_a_response() {
        let (app, mut job) = set();
        job.resumed.respond_by = SystemTime::now();
        let Next::Respond(response) = guard(&app, &job, long(), std::future::pending()).await
        else {
            panic!("no response")
        };
        assert!(
            response.reason().contains("waiting for the index"),
            "{}",
            response.reason()
        );
    }
}
