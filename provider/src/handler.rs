//! The guard: one invocation in, one answer or one hand-over out, whatever happens inside.
//! In: a payload and when the invocation's time is over. Out: nothing, once the answer is delivered or the next invocation started.

use std::{
    any::Any,
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde_json::Value;
use soci_builder::run::chain;
use tokio::{
    task::JoinError,
    time::{Instant, timeout, timeout_at},
};

use crate::{
    answer::Answer,
    app::App,
    call::CallError,
    delivery::{Undelivered, deliver},
    error::Error,
    event::{Incoming, Resumed, Sender},
    hand_over::hand_over,
    log::Log,
    pace::Patience,
    plan::{self, Asked},
    properties,
    response_url::LIFETIME,
    work::{Job, Outcome, PATIENCE, Watched, work},
};

/// CloudFormation waits for 3,600 s; a queue, a cold start and some tries to deliver fit in between.
const ANSWER_DEADLINE: Duration = Duration::from_secs(3_300);
/// What an event gets in any case that comes late, which is enough to find its build or its index again. CloudFormation waits
/// that much longer than until our deadline.
const LATE_GRACE: Duration = Duration::from_secs(240);
/// What a resumed event gets in any case to find its build again.
const RESUMED_PATIENCE: Duration = Duration::from_secs(5);
/// Kept free at an invocation's end for the hand-over and, where that fails, for stopping the build and answering.
const HAND_OVER_MARGIN: Duration = Duration::from_secs(60);
/// Kept free at an invocation's very end, to return from it.
const ANSWER_MARGIN: Duration = Duration::from_secs(1);
/// For stopping a build that nobody watches any more.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// The moments of an invocation.
#[derive(Clone, Copy, Debug)]
struct Schedule {
    /// The work ends, and is handed over.
    hand_over: Instant,
    /// The hand-over is given up.
    hand_over_end: Instant,
    /// The delivery is given up.
    delivery_end: Instant,
}

impl Schedule {
    /// Of an invocation that may take `budget` from now.
    fn of(budget: Duration) -> Self {
        let end = Instant::now() + budget;
        let margin = HAND_OVER_MARGIN.min(budget / 3);
        Self {
            hand_over: end - margin,
            hand_over_end: end - margin / 2,
            delivery_end: end - ANSWER_MARGIN.min(budget / 20),
        }
    }
}

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
        .unwrap_or_else(|| first(app, &incoming, now));
    let job = Arc::new(job(app, incoming, &resumed, log));
    let sender = &job.event.sender;
    let answer = match run(app, &job, &resumed, schedule).await {
        Some(answer) => answer,
        None => {
            let known = Resumed {
                build_id: job.build.get(),
                ..resumed
            };
            match hand_over(app, &job.event, &known, schedule.hand_over_end, &job.log).await {
                Ok(()) => {
                    job.log.say("handed over to the next invocation");
                    return Ok(());
                }
                Err(error) => {
                    stop_own(app, &job, true).await;
                    failure(sender, &Error::HandOver(error))
                }
            }
        }
    };
    send(app, sender, &answer, schedule, &job.log).await
}

/// What is known of an event that comes for the first time.
fn first(app: &App, incoming: &Incoming, now: SystemTime) -> Resumed {
    let made = incoming.event.sender.response_url.made();
    // An address that has expired belongs to an event that nobody waits for, or to another clock.
    let is_sound = |made: &SystemTime| {
        let age = now.duration_since(*made).unwrap_or_default();
        *made <= now && age <= LIFETIME
    };
    let made = made.filter(is_sound).unwrap_or(now);
    Resumed {
        build_id: None,
        made,
        answer_by: (made + app.pace.of(ANSWER_DEADLINE)).max(now + app.pace.of(LATE_GRACE)),
        patient_until: now + app.pace.of(PATIENCE),
    }
}

fn job(app: &App, incoming: Incoming, resumed: &Resumed, log: Log) -> Job {
    let sender = &incoming.event.sender;
    let asked = Asked {
        request_id: sender.request_id.clone(),
        resource: sender.resource(),
        made: resumed.made,
    };
    let patient_until =
        instant(resumed.patient_until).max(Instant::now() + app.pace.of(RESUMED_PATIENCE));
    let build = Watched::default();
    build.set(resumed.build_id.clone());
    Job {
        asked,
        patience: Patience::new(app.pace, patient_until),
        log,
        build,
        event: incoming.event,
    }
}

/// Does the work and gives the answer; `None` where the invocation's time was too short for it.
async fn run(
    app: &Arc<App>,
    job: &Arc<Job>,
    resumed: &Resumed,
    schedule: Schedule,
) -> Option<Answer> {
    let sender = &job.event.sender;
    let answer_by = instant(resumed.answer_by);
    let mut task = {
        let (app, job) = (Arc::clone(app), Arc::clone(job));
        tokio::spawn(async move { work(&app, &job).await })
    };
    let error = match timeout_at(schedule.hand_over.min(answer_by), &mut task).await {
        Ok(Ok(Ok(Outcome::Indexed(done)))) => return Some(Answer::done(sender, &done)),
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
            let build = job.build.get();
            let stopped = build.map(|build| format!("; the build {build} was stopped"));
            Error::OutOfTime {
                minutes: since.as_secs() / 60,
                stopped: stopped.unwrap_or_default(),
            }
        }
    };
    let was_dropped = matches!(error, Error::Panic(_) | Error::OutOfTime { .. });
    stop_own(app, job, was_dropped).await;
    Some(failure(sender, &error))
}

/// Stops the request's build, known or not, where it may still run: nobody will watch it.
async fn stop_own(app: &App, job: &Job, was_dropped: bool) {
    let Some(project) = properties::project(job.event.properties()) else {
        return;
    };
    let builds = app.builds(project);
    let stopped = timeout(STOP_TIMEOUT, async {
        let own = match job.build.get() {
            Some(known) => vec![known],
            // It may have been started in the moment that the work was dropped.
            None if was_dropped => plan::own_running(&job.asked, &builds.latest().await?),
            None => Vec::new(),
        };
        for build in own {
            job.log.say(format_args!("stopping the build {build}"));
            builds.stop(&build).await?;
        }
        Ok::<_, CallError>(())
    });
    match stopped.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => job.log.say(format_args!("cannot stop the build: {error}")),
        Err(_) => job.log.say("stopping the build takes too long"),
    }
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

fn instant(time: SystemTime) -> Instant {
    let now = Instant::now();
    match time.duration_since(SystemTime::now()) {
        Ok(ahead) => now + ahead,
        Err(_) => now,
    }
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
