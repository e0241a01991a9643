//! The work on one request, from facts to verdict. Knows all steps and their order.
//! In: the event and the state of earlier invocations. Out: the outcome. May be cancelled at any point and repeated: it finds
//! the results of its earlier steps again.

use std::time::{Duration, SystemTime};

use soci_format::{digest::Digest, oci::Selector};
use soci_index::run;
use soci_store::store::{self, ReadImages};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    app::App,
    build::{Builds, EndedBuild, State},
    call::{CallError, RetryClass, Retryable, with_retries},
    dispatch::{self, Dispatched},
    error::Error,
    event::{Kind, RawProperties},
    job::Job,
    pace::{Pauses, RetryWindow},
    physical_id::PhysicalId,
    plan,
    properties::{self, Builder, Input, Properties},
    removal,
    schedule::{RETRY_PERIOD, instant},
    start::{Found, find_or_start},
    stops::STOP_RETRY_PERIOD,
    verdict::{self, IndexResult},
};

/// Polling: the first pause, and the longest one, which bounds the delay between the build's end and the response.
const LOOK_FIRST: Duration = Duration::from_secs(1);
const LOOK_LONGEST: Duration = Duration::from_secs(4);
/// IAM permissions propagate within a minute. CloudFormation creates the policies before it sends the event.
const IAM_PROPAGATION: Duration = Duration::from_secs(60);
/// After this time access denied is not caused by propagation.
const EARLY_DENIAL_MAX: Duration = Duration::from_secs(120);
/// The event's time has a resolution of one second.
const SECOND: Duration = Duration::from_secs(1);
/// How long a Delete may take to stop builds.
const DELETE_TIMEOUT: Duration = Duration::from_secs(10);

/// The outcome of a request.
#[derive(Debug)]
pub enum Outcome {
    /// The index exists.
    Indexed(Box<IndexResult>),
    /// A background build was started; with a note.
    Started(Box<IndexResult>, String),
    /// Another invocation responds, or has responded; with a note.
    AnsweredElsewhere(String),
    /// The resource was deleted; with a note.
    Deleted(String),
}

/// Handles the request.
///
/// # Errors
/// Why it failed.
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
    let former = old.and_then(properties::project);
    match &properties.builder {
        Builder::Project(project) => {
            stop_in_former(app, job, former.filter(|former| former != project));
            index_in_project(app, job, &properties, &app.builds(project), old).await
        }
        Builder::Function(function) => {
            stop_in_former(app, job, former);
            index_in_function(app, job, &properties, function, old).await
        }
    }
}

/// Stops builds of older requests in a project that the resource no longer uses.
fn stop_in_former(app: &App, job: &Job, project: Option<&str>) {
    if let Some(project) = project {
        let (builds, request_key) = (app.builds(project), job.request_key.clone());
        job.stops
            .begin_in_former(app.pace, builds, request_key, job.log.clone());
    }
}

/// Leaves the index to the builder function, or responds in its place if it has failed.
async fn index_in_function(
    app: &App,
    job: &Job,
    properties: &Properties,
    function: &str,
    old: Option<&RawProperties>,
) -> Result<Outcome, Error> {
    if let Some(failed) = &job.resumed.failed {
        if !properties.waits {
            return Ok(Outcome::AnsweredElsewhere(failed.to_string()));
        }
        let done = dispatch::after_failure(app, job, properties, failed, old).await?;
        return Ok(Outcome::Indexed(done));
    }
    match dispatch::dispatch(app, job, properties, function, old).await? {
        Dispatched::Index(done) => Ok(Outcome::Indexed(done)),
        Dispatched::Invoked(build, _) if properties.waits => Ok(Outcome::AnsweredElsewhere(
            format!("the builder function responds (invocation {build})"),
        )),
        Dispatched::Invoked(build, image) => start_only(app, job, properties, build, image).await,
    }
}

async fn index_in_project(
    app: &App,
    job: &Job,
    properties: &Properties,
    builds: &Builds,
    old: Option<&RawProperties>,
) -> Result<Outcome, Error> {
    let mut attempt = 1;
    loop {
        let (build, image) = match job.build.get() {
            Some(known) => (known, None),
            None => match find_or_start(app, job, properties, builds, old, attempt).await? {
                Found::Index(done) => return Ok(Outcome::Indexed(done)),
                Found::Build(build, image) => (build, image),
            },
        };
        job.build.set(Some(build.clone()));
        if !properties.waits {
            return start_only(app, job, properties, build, image).await;
        }
        let ended = watch(app, job, builds, &build).await?;
        job.build.set(None);
        if should_retry_build(app, job, &ended) {
            job.log.info(format_args!(
                "build {build} failed with access denied, probably because new IAM permissions had not propagated yet; starting another build"
            ));
            sleep_until(job.request_key.made + app.pace.of(IAM_PROPAGATION)).await;
            attempt = 2;
            continue;
        }
        let done = verdict::from_build(properties, &build, &ended)?;
        return Ok(Outcome::Indexed(Box::new(done)));
    }
}

/// Whether a build failed because new IAM permissions had not propagated yet.
fn should_retry_build(app: &App, job: &Job, ended: &EndedBuild) -> bool {
    let at = ended.at.unwrap_or_else(SystemTime::now);
    let since = at.duration_since(job.request_key.made).unwrap_or_default();
    ended.attempt == 1 && ended.is_early_denial() && since <= app.pace.of(EARLY_DENIAL_MAX) + SECOND
}

async fn sleep_until(time: SystemTime) {
    tokio::time::sleep_until(instant(time)).await;
}

/// Responds without waiting for the build. The original image can be used until the index exists.
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
            let images = app.images(&properties.repository, job.retry_window, &job.log);
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
    let note = format!(
        "build {build} runs in the background (WaitForIndex is false); see its log for the result"
    );
    let done = verdict::from_start(properties, &build, image);
    Ok(Outcome::Started(Box::new(done), note))
}

/// Polls a build until it has ended.
async fn watch(app: &App, job: &Job, builds: &Builds, build: &str) -> Result<EndedBuild, Error> {
    let mut pauses = Pauses::new(app.pace, LOOK_FIRST, LOOK_LONGEST);
    let mut logged_phase = String::new();
    let mut failing_since: Option<Instant> = None;
    loop {
        let failed = match builds.look(build).await {
            Ok(State::Ended(ended)) => {
                job.log.info(format_args!(
                    "build {build} {}",
                    ended.describe_with_messages()
                ));
                return Ok(ended);
            }
            Ok(State::Running { phase }) => {
                failing_since = None;
                if phase != logged_phase {
                    job.log
                        .info(format_args!("build {build} is in phase {phase}"));
                    logged_phase = phase;
                }
                None
            }
            Ok(State::Unknown) => Some(CallError::new(
                "CodeBuild BatchGetBuilds",
                "build not found",
            )),
            // Throttling says nothing about the build; the deadline bounds this.
            Err(error) if error.retry_class() == RetryClass::Transient => None,
            Err(error) => Some(error),
        };
        if let Some(source) = failed {
            let since = *failing_since.get_or_insert_with(Instant::now);
            if since.elapsed() > app.pace.of(RETRY_PERIOD) {
                return Err(Error::Watch {
                    build: build.to_owned(),
                    source,
                });
            }
        }
        sleep(pauses.take()).await;
    }
}

/// Never fails: an incomplete clean-up must not block stack deletion. Returns a note on what was kept.
async fn delete(app: &App, job: &Job, raw: &RawProperties) -> String {
    if let Some(project) = properties::project(raw) {
        // Before the response: after it, CloudFormation deletes the IAM policies.
        let stopped = timeout(DELETE_TIMEOUT, stop_builds(app, job, project));
        if stopped.await.is_err() {
            job.log.info("timed out listing builds to stop");
        }
    }
    let id = job.event.context.physical_id.as_deref().unwrap_or_default();
    let Ok(id) = id.parse::<PhysicalId>() else {
        return "nothing to delete: the resource was never created".to_owned();
    };
    if !properties::is_destroyed(raw) {
        return "kept the index (RemovalPolicy is retain)".to_owned();
    }
    let repository =
        properties::repository(raw).filter(|repository| repository.name == id.repository());
    let Some(repository) = repository else {
        return format!("kept {id}: RepositoryUri does not match its repository");
    };
    let images = app.images(&repository, job.retry_window, &job.log);
    match removal::remove(&images, &id, properties::input(raw).as_ref()).await {
        Ok(did) => did,
        Err(error) => format!("cannot delete all of {id}: {}", run::chain(&error)),
    }
}

/// Stops the builds of older requests. A build that cannot be stopped does not block the stack.
async fn stop_builds(app: &App, job: &Job, project: &str) {
    let builds = app.builds(project);
    let retry_window = RetryWindow::new(app.pace, Instant::now() + app.pace.of(STOP_RETRY_PERIOD));
    match with_retries(&retry_window, &job.log, || builds.latest()).await {
        Ok(known) => {
            let outdated = plan::outdated_on_delete(&job.request_key, &known);
            job.stops.begin(app.pace, &builds, outdated, &job.log);
            job.stops.finish().await;
        }
        // Without the project there are no builds.
        Err(error) if error.is_not_found() => {}
        Err(error) => job
            .log
            .info(format_args!("cannot list builds to stop: {error}")),
    }
}
