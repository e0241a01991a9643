//! The guard: one invocation in, one answer or one hand-over out, whatever happens inside.
//! In: a payload and when the invocation's time is over. Out: nothing, once the answer is delivered or the next invocation started.

use std::{any::Any, sync::Arc, time::SystemTime};

use serde_json::Value;
use soci_index::run::chain;
use tokio::{
    task::JoinError,
    time::{Instant, timeout, timeout_at},
};

use crate::{
    answer::Answer,
    app::App,
    call::patiently,
    delivery::{Undelivered, deliver},
    error::Error,
    event::{Incoming, Resumed, Sender},
    hand_over::hand_over,
    job::{Job, Noted},
    log::Log,
    pace::Patience,
    plan::{self, Asked},
    properties,
    schedule::{RESUMED_PATIENCE, Schedule, first, instant},
    start::refused,
    stops::{STOP_TIMEOUT, Stops, said, stop},
    work::{Outcome, work},
};

/// Handles an invocation that may run until `deadline`.
///
/// # Errors
/// Only where nobody takes the answer until then: so that Lambda runs the event once more.
pub async fn handle(
    app: &Arc<App>,
    payload: Value,
    deadline: SystemTime,
) -> Result<(), Undelivered> {
    let now = SystemTime::now();
    let schedule = Schedule::of(deadline.duration_since(now).unwrap_or_default());
    let incoming = match Incoming::parse(payload) {
        Ok(incoming) => incoming,
        Err(unreadable) => {
            let Some(sender) = unreadable.sender else {
                Log::of("-").say(format_args!(
                    "{}; there is nobody to answer",
                    unreadable.why
                ));
                return Ok(());
            };
            let log = Log::of(&sender.request_id);
            let error = Error::Event(unreadable.why);
            return send(app, &sender, &failure(&sender, &error), schedule, &log).await;
        }
    };
    let log = Log::of(&incoming.event.sender.request_id);
    let resumed = incoming
        .resumed
        .clone()
        .unwrap_or_else(|| first(app.pace, &incoming.event, now));
    let job = Arc::new(job(app, incoming, &resumed, log));
    let sender = &job.event.sender;
    let work = {
        let (app, job) = (Arc::clone(app), Arc::clone(&job));
        async move { work(&app, &job).await }
    };
    let answer = match guard(app, &job, &resumed, schedule, work).await {
        Some(answer) => answer,
        None => {
            let known = Resumed {
                build_id: job.build.get(),
                start_by: job.start_by.get(),
                ..resumed
            };
            match hand_over(app, &job.event, &known, schedule.hand_over_end, &job.log).await {
                Ok(()) => {
                    job.log.say("handed over to the next invocation");
                    finish_stops(&job, schedule).await;
                    return Ok(());
                }
                Err(error) => {
                    stop_own(app, &job, true).await;
                    failure(sender, &Error::HandOver(error))
                }
            }
        }
    };
    let sent = send(app, sender, &answer, schedule, &job.log).await;
    finish_stops(&job, schedule).await;
    sent
}

/// What is begun beside the work ends with the invocation.
async fn finish_stops(job: &Job, schedule: Schedule) {
    if timeout_at(schedule.delivery_end, job.stops.finish())
        .await
        .is_err()
    {
        job.log.say("stopping older builds takes too long");
    }
}

fn job(app: &App, incoming: Incoming, resumed: &Resumed, log: Log) -> Job {
    let sender = &incoming.event.sender;
    let asked = Asked {
        request_id: sender.request_id.clone(),
        resource: sender.resource(),
        made: resumed.made,
        attempt: 1,
    };
    let patient_until =
        instant(resumed.patient_until).max(Instant::now() + app.pace.of(RESUMED_PATIENCE));
    Job {
        asked,
        patience: Patience::new(app.pace, patient_until),
        log,
        build: Noted::new(resumed.build_id.clone()),
        start_by: Noted::new(resumed.start_by),
        refused: Noted::new(None),
        stops: Stops::default(),
        event: incoming.event,
    }
}

/// Does the work and gives the answer; `None` where the invocation's time was too short for it.
async fn guard(
    app: &App,
    job: &Job,
    resumed: &Resumed,
    schedule: Schedule,
    work: impl Future<Output = Result<Outcome, Error>> + Send + 'static,
) -> Option<Answer> {
    let sender = &job.event.sender;
    let answer_by = instant(resumed.answer_by);
    let mut task = tokio::spawn(work);
    let error = match timeout_at(schedule.hand_over.min(answer_by), &mut task).await {
        Ok(Ok(Ok(Outcome::Indexed(done)))) => return Some(Answer::done(sender, &done)),
        Ok(Ok(Ok(Outcome::Started(done, note)))) => {
            return Some(Answer::started(sender, &done, &note));
        }
        Ok(Ok(Ok(Outcome::Deleted(note)))) => {
            job.log.say(&note);
            return Some(Answer::deleted(sender, &note));
        }
        Ok(Ok(Err(error))) => error,
        Ok(Err(died)) => Error::Panic(story(died)),
        Err(_) => {
            task.abort();
            // Dropped before the state is read.
            let _ = task.await;
            if Instant::now() < answer_by {
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
            return Some(failure(sender, &error));
        }
    };
    stop_own(app, job, matches!(error, Error::Panic(_))).await;
    Some(failure(sender, &error))
}

/// Stops the request's build, known or not, where it may still run: nobody will watch it. Says what became of it, to follow a
/// sentence.
async fn stop_own(app: &App, job: &Job, was_dropped: bool) -> String {
    let Some(project) = properties::project(job.event.properties()) else {
        return String::new();
    };
    let builds = app.builds(project);
    let own = match job.build.get() {
        Some(known) => vec![known],
        // It may have been started in the moment that the work was dropped.
        None if was_dropped => {
            let patience = Patience::new(app.pace, Instant::now() + STOP_TIMEOUT);
            let known = patiently(&patience, &job.log, || builds.latest());
            match timeout(STOP_TIMEOUT, known).await {
                Ok(Ok(known)) => plan::own_running(&job.asked, &known),
                Ok(Err(error)) => {
                    job.log
                        .say(format_args!("cannot look for a build to stop: {error}"));
                    Vec::new()
                }
                Err(_) => {
                    job.log.say("looking for a build to stop takes too long");
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
        let sentence = format!("the build {build} {what}");
        job.log.say(&sentence);
        all += &format!("; {sentence}");
    }
    all
}

fn failure(sender: &Sender, error: &Error) -> Answer {
    Answer::failed(sender, &chain(error), error.log_link())
}

async fn send(
    app: &App,
    sender: &Sender,
    answer: &Answer,
    schedule: Schedule,
    log: &Log,
) -> Result<(), Undelivered> {
    log.say(format_args!("{} {}", answer.status(), answer.reason()));
    let to = &sender.response_url;
    deliver(
        &app.http,
        to,
        answer.body(),
        app.pace,
        schedule.delivery_end,
        log,
    )
    .await
}

/// What a panic said.
fn story(died: JoinError) -> String {
    let Ok(panic) = died.try_into_panic() else {
        return "the work was dropped".to_owned();
    };
    let text = |panic: &(dyn Any + Send)| {
        let fixed = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        fixed.or_else(|| panic.downcast_ref::<String>().cloned())
    };
    text(&*panic).unwrap_or_else(|| "a panic without words".to_owned())
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
    async fn a_panic_is_an_answer() {
        let (app, job, resumed) = set();
        let work = async { panic!("index out of bounds") };
        let answer = guard(&app, &job, &resumed, long(), work).await.unwrap();
        assert_eq!(answer.status(), "FAILED");
        assert!(
            answer
                .reason()
                .contains("this is a bug: index out of bounds"),
            "{}",
            answer.reason()
        );
    }

    #[tokio::test]
    async fn the_end_of_the_invocation_is_a_hand_over() {
        let (app, job, resumed) = set();
        let schedule = Schedule::of(Duration::ZERO);
        let answer = guard(&app, &job, &resumed, schedule, std::future::pending()).await;
        assert!(answer.is_none());
    }

    #[tokio::test]
    async fn the_deadline_is_an_answer() {
        let (app, job, resumed) = set();
        let resumed = Resumed {
            answer_by: SystemTime::now(),
            ..resumed
        };
        let answer = guard(&app, &job, &resumed, long(), std::future::pending())
            .await
            .unwrap();
        assert!(
            answer.reason().contains("CloudFormation waits no longer"),
            "{}",
            answer.reason()
        );
    }
}
