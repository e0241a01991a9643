//! The work on one request, from facts to verdict. Knows every step and their order.
//! In: the event, and what earlier invocations knew. Out: what to answer. May be dropped at any point and done again: all that it
//! did is found again.

use std::time::{Duration, SystemTime};

use soci_format::{digest::Digest, oci::Selector};
use soci_index::run;
use soci_store::store::{self, ReadImages};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    app::App,
    build::{Builds, Ending, State},
    call::{CallError, Hope, patiently},
    error::Error,
    event::{Kind, RawProperties},
    job::Job,
    pace::{Patience, Pauses},
    physical_id::PhysicalId,
    plan,
    properties::{self, Input, Properties},
    removal,
    schedule::{PATIENCE, instant},
    start::{Found, find_or_start},
    stops::STOP_PATIENCE,
    verdict::{self, Done},
};

/// The first look at a build, and the longest pause between two: an answer comes at most that long after the build's end.
const LOOK_FIRST: Duration = Duration::from_secs(1);
const LOOK_LONGEST: Duration = Duration::from_secs(4);
/// Rights are known everywhere within a minute of the event, which comes after the policies that give them.
const RIGHTS_KNOWN: Duration = Duration::from_secs(60);
/// A denial that comes this long after the event is one.
const DENIALS_LAST: Duration = Duration::from_secs(120);
/// An event's time is known to the second.
const SECOND: Duration = Duration::from_secs(1);
/// How long a Delete looks for builds to stop, where the calls hang.
const DELETE_TIMEOUT: Duration = Duration::from_secs(10);

/// What became of a request.
#[derive(Debug)]
pub enum Outcome {
    /// The index is there.
    Indexed(Box<Done>),
    /// A build was started that nobody waits for; a sentence on it.
    Started(Box<Done>, String),
    /// The resource is gone; a sentence on it.
    Deleted(String),
}

/// Does what the event asks for.
///
/// # Errors
/// Why it cannot be done.
pub async fn work(app: &App, job: &Job) -> Result<Outcome, Error> {
    match &job.event.kind {
        Kind::Create(new) => index(app, job, new, None).await,
        Kind::Update { new, old } => index(app, job, new, Some(old)).await,
        Kind::Delete(properties) => Ok(Outcome::Deleted(delete(app, job, properties).await)),
    }
}

async fn index(
    app: &App,
    job: &Job,
    new: &RawProperties,
    old: Option<&RawProperties>,
) -> Result<Outcome, Error> {
    let properties = Properties::parse(new)?;
    let builds = app.builds(&properties.project);
    let mut attempt = 1;
    loop {
        let (build, image) = match job.build.get() {
            Some(known) => (known, None),
            None => match find_or_start(app, job, &properties, old, attempt).await? {
                Found::Index(done) => return Ok(Outcome::Indexed(done)),
                Found::Build(build, image) => (build, image),
            },
        };
        job.build.set(Some(build.clone()));
        if !properties.waits {
            return start_only(app, job, &properties, build, image).await;
        }
        let ending = watch(app, job, &builds, &build).await?;
        job.build.set(None);
        if is_to_be_started_again(app, job, &ending) {
            job.log.say(format_args!(
                "the build {build} was denied what its role may do by now; starting another one"
            ));
            sleep_until(job.asked.made + app.pace.of(RIGHTS_KNOWN)).await;
            attempt = 2;
            continue;
        }
        let done = verdict::on_build(&properties, &build, &ending)?;
        return Ok(Outcome::Indexed(Box::new(done)));
    }
}

/// Whether a build died only because the rights of its role, made or changed a moment before the event, were not known everywhere.
fn is_to_be_started_again(app: &App, job: &Job, ending: &Ending) -> bool {
    let at = ending.at.unwrap_or_else(SystemTime::now);
    let since = at.duration_since(job.asked.made).unwrap_or_default();
    ending.attempt == 1 && ending.is_early_denial() && since <= app.pace.of(DENIALS_LAST) + SECOND
}

async fn sleep_until(time: SystemTime) {
    tokio::time::sleep_until(instant(time)).await;
}

/// Leaves the build to itself. The image as it is can be used until the index is there.
async fn start_only(
    app: &App,
    job: &Job,
    properties: &Properties,
    build: String,
    image: Option<Digest>,
) -> Result<Outcome, Error> {
    let image = match (&properties.input, image) {
        (_, Some(digest)) => digest,
        (Input::Digest(digest), None) => *digest,
        (Input::Tag(tag), None) => {
            let images = app.images(&properties.repository, job.patience, &job.log);
            let found = images.select(&Selector::Tag(tag.clone())).await;
            let found = found.and_then(|found| {
                found.ok_or_else(|| store::Error::NoManifest(properties.image()))
            });
            let image = found.map_err(|source| Error::Image {
                image: properties.image(),
                source: Box::new(source.into()),
            })?;
            image.descriptor.digest
        }
    };
    job.build.set(None);
    let note = format!("nobody waits for the build {build}: whether it ends well is in its log");
    let done = verdict::on_start(properties, &build, image);
    Ok(Outcome::Started(Box::new(done), note))
}

/// Looks at a build until it has ended.
async fn watch(app: &App, job: &Job, builds: &Builds, build: &str) -> Result<Ending, Error> {
    let mut pauses = Pauses::new(app.pace, LOOK_FIRST, LOOK_LONGEST);
    let mut phase_said = String::new();
    let mut blind_since: Option<Instant> = None;
    loop {
        let failed = match builds.look(build).await {
            Ok(State::Ended(ending)) => {
                job.log
                    .say(format_args!("the build {build} {}", ending.how_and_why()));
                return Ok(ending);
            }
            Ok(State::Running { phase }) => {
                blind_since = None;
                if phase != phase_said {
                    job.log
                        .say(format_args!("the build {build} is in the phase {phase}"));
                    phase_said = phase;
                }
                None
            }
            Ok(State::Unknown) => Some(CallError::new(
                "CodeBuild BatchGetBuilds",
                "there is no such build",
            )),
            // For as long as CodeBuild only has no time, the build may be well; the deadline bounds this.
            Err(error) if error.hope() == Hope::Calm => None,
            Err(error) => Some(error),
        };
        if let Some(source) = failed {
            let since = *blind_since.get_or_insert_with(Instant::now);
            if since.elapsed() > app.pace.of(PATIENCE) {
                return Err(Error::Watch {
                    build: build.to_owned(),
                    source,
                });
            }
        }
        sleep(pauses.take()).await;
    }
}

/// Never fails: a stack must go, also where a part of the clean-up cannot be done. What is left is told.
async fn delete(app: &App, job: &Job, raw: &RawProperties) -> String {
    if let Some(project) = properties::project(raw) {
        // Before the answer: with it, CloudFormation takes the rights away.
        let stopped = timeout(DELETE_TIMEOUT, stop_builds(app, job, project));
        if stopped.await.is_err() {
            job.log.say("looking for builds to stop takes too long");
        }
    }
    let id = job.event.sender.physical_id.as_deref().unwrap_or_default();
    let Ok(id) = id.parse::<PhysicalId>() else {
        return "there is nothing to delete: it was never created".to_owned();
    };
    if !properties::is_destroyed(raw) {
        return "the index stays, as the removal policy says".to_owned();
    }
    let repository =
        properties::repository(raw).filter(|repository| repository.name == id.repository());
    let Some(repository) = repository else {
        return format!("{id} stays: the properties do not name its repository");
    };
    let images = app.images(&repository, job.patience, &job.log);
    match removal::remove(&images, &id, properties::input(raw).as_ref()).await {
        Ok(did) => did,
        Err(error) => format!("{id} stays, or a part of it: {}", run::chain(&error)),
    }
}

/// Has the builds of older requests stopped. A stack does not wait for one that cannot be stopped.
async fn stop_builds(app: &App, job: &Job, project: &str) {
    let builds = app.builds(project);
    let patience = Patience::new(app.pace, Instant::now() + app.pace.of(STOP_PATIENCE));
    match patiently(&patience, &job.log, || builds.latest()).await {
        Ok(known) => {
            let outdated = plan::outdated_at_delete(&job.asked, &known);
            job.stops.begin(app.pace, &builds, outdated, &job.log);
            job.stops.finish().await;
        }
        // Without its project no build runs.
        Err(error) if error.is_not_found() => {}
        Err(error) => job
            .log
            .say(format_args!("cannot look for builds to stop: {error}")),
    }
}
