//! The work on one request, from facts to verdict. Knows every step and their order.
//! In: the event, and what earlier invocations knew. Out: what to answer. May be dropped at any point and done again: all that it
//! did is found again.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use soci_format::oci::Selector;
use soci_index::run;
use soci_store::store::{self, ReadImages};
use tokio::time::{Instant, sleep};

use crate::{
    app::App,
    build::{Builds, Ending, State},
    call::{CallError, Hope, patiently},
    error::Error,
    event::{Event, Kind, RawProperties},
    log::Log,
    pace::{Patience, Pauses},
    physical_id::PhysicalId,
    plan::{self, Asked, Step},
    properties::{self, Input, Properties},
    removal,
    schedule::PATIENCE,
    verdict::{self, Done},
};

/// The first look at a build, and the longest pause between two: an answer comes at most that long after the build's end.
const LOOK_FIRST: Duration = Duration::from_secs(1);
const LOOK_LONGEST: Duration = Duration::from_secs(4);

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
    /// The build that is watched.
    pub build: Watched,
}

/// The build of a request that has not ended as far as we know; the guard around the work needs it where the work ends early.
#[derive(Clone, Debug, Default)]
pub struct Watched(Arc<Mutex<Option<String>>>);

impl Watched {
    /// Remembers the build, or that there is none any more.
    pub fn set(&self, build: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = build;
    }

    /// The build.
    #[must_use]
    pub fn get(&self) -> Option<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

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
    let build = match job.build.get() {
        Some(known) => known,
        None => match find_or_start(app, job, &properties, &builds, old).await? {
            Found::Index(done) => return Ok(Outcome::Indexed(done)),
            Found::Build(build) => build,
        },
    };
    job.build.set(Some(build.clone()));
    if !properties.waits {
        return start_only(app, job, &properties, build).await;
    }
    let ending = watch(app, job, &builds, &build).await?;
    job.build.set(None);
    let done = verdict::on_build(&properties, &build, &ending)?;
    Ok(Outcome::Indexed(Box::new(done)))
}

/// Leaves the build to itself. The image as it is can be used until the index is there.
async fn start_only(
    app: &App,
    job: &Job,
    properties: &Properties,
    build: String,
) -> Result<Outcome, Error> {
    let image = match &properties.input {
        Input::Digest(digest) => *digest,
        Input::Tag(tag) => {
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

enum Found {
    Index(Box<Done>),
    Build(String),
}

async fn find_or_start(
    app: &App,
    job: &Job,
    properties: &Properties,
    builds: &Builds,
    old: Option<&RawProperties>,
) -> Result<Found, Error> {
    let image = properties.image();
    let request = properties.request();
    let images = app.images(&properties.repository, job.patience, &job.log);
    let (there, known) = tokio::join!(
        run::already_there(&request, &images),
        patiently(&job.patience, &job.log, || builds.latest()),
    );
    let project = || builds.project.clone();
    let known = known.map_err(|source| Error::Builds {
        project: project(),
        source,
    })?;
    let planned = plan::plan(&job.asked, &known, matches!(there, Ok(Some(_))));
    stop(job, builds, &planned.stop).await;
    if let Step::Watch(build) = planned.step {
        job.log.say(format_args!(
            "{image}: the build {build} is this request's own"
        ));
        return Ok(Found::Build(build));
    }
    let there = there.map_err(|source| Error::Image {
        image: image.clone(),
        source: Box::new(source),
    })?;
    if let Some(report) = there {
        job.log.say(format_args!(
            "{image}: there is nothing to build: {:?}",
            report.outcome
        ));
        let done = verdict::on_report(properties, report, None)?;
        return Ok(Found::Index(Box::new(done)));
    }
    if let Some(source) = images.denied() {
        return Err(Error::Rights { image, source });
    }
    let reuse_from = old.and_then(|old| properties.reuse_from(old));
    let arguments = properties.arguments(reuse_from.as_deref());
    let started = patiently(&job.patience, &job.log, || {
        builds.start(&job.event.sender, &arguments, properties.waits)
    });
    let build = started.await.map_err(|source| match source.hope() {
        Hope::Quota => Error::Quota {
            project: project(),
            source,
        },
        _ => Error::Start {
            project: project(),
            source,
        },
    })?;
    job.log
        .say(format_args!("{image}: started the build {build}"));
    Ok(Found::Build(build))
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

async fn stop(job: &Job, builds: &Builds, outdated: &[String]) {
    for build in outdated {
        let stopped = patiently(&job.patience, &job.log, || builds.stop(build)).await;
        // It ends by itself, if later; nothing waits for it.
        match stopped {
            Ok(()) => job.log.say(format_args!(
                "stopped the build {build} of an older request"
            )),
            Err(error) => job
                .log
                .say(format_args!("cannot stop the build {build}: {error}")),
        }
    }
}

/// Never fails: a stack must go, also where a part of the clean-up cannot be done. What is left is told.
async fn delete(app: &App, job: &Job, raw: &RawProperties) -> String {
    if let Some(project) = properties::project(raw) {
        let builds = app.builds(project);
        match patiently(&job.patience, &job.log, || builds.latest()).await {
            Ok(known) => stop(job, &builds, &plan::outdated_at_delete(&job.asked, &known)).await,
            // Without its project no build runs.
            Err(error) if error.is_not_found() => {}
            Err(error) => job
                .log
                .say(format_args!("cannot look for builds to stop: {error}")),
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
