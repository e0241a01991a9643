//! Finds an existing index or build, or starts a build. A rejected StartBuild is retried: CodeBuild's own queue is limited by the
//! account's quota.
//! In: the request and the known facts. Out: a build to watch, or the result.

use std::time::{Duration, SystemTime};

use soci_format::digest::Digest;
use tokio::time::{Instant, sleep};

use crate::{
    app::App,
    arguments,
    build::{BuildRequest, Builds},
    call::{CallError, RetryClass, Retryable, with_retries},
    error::Error,
    event::RawProperties,
    existing::Existing,
    job::Job,
    pace::{Pauses, RetryWindow},
    plan::{self, KnownBuild, RequestKey, Step},
    properties::Properties,
    schedule::{RETRY_PERIOD, START_RETRY_PERIOD},
    verdict::IndexResult,
};

/// Pauses between two StartBuild calls. Builds take about a minute, and free capacity is taken quickly.
const ASK_FIRST: Duration = Duration::from_secs(2);
const ASK_LONGEST: Duration = Duration::from_secs(15);

/// An existing index, or a build.
#[derive(Debug)]
pub enum Found {
    /// The existing index.
    Index(Box<IndexResult>),
    /// The build, and the image's digest if it was read.
    Build(String, Option<Digest>),
}

/// The result of one attempt.
enum Round {
    Found(Found),
    Refused {
        why: CallError,
        /// Whether a build of the project is running or queued and will free capacity.
        is_ours: bool,
    },
}

/// Finds the request's build or index, or starts a build as soon as CodeBuild accepts it.
///
/// # Errors
/// Why no build could be started.
pub async fn find_or_start(
    app: &App,
    job: &Job,
    properties: &Properties,
    builds: &Builds,
    old: Option<&RawProperties>,
    attempt: u8,
) -> Result<Found, Error> {
    let request_key = RequestKey {
        attempt,
        ..job.request_key.clone()
    };
    let mut retry_window = job.retry_window;
    let mut pauses = Pauses::new(app.pace, ASK_FIRST, ASK_LONGEST);
    let mut is_logged = false;
    loop {
        let request = Request {
            app,
            job,
            properties,
            builds,
            request_key: &request_key,
            retry_window,
            old,
        };
        let (why, is_ours) = match request.round().await? {
            Round::Found(found) => {
                job.refused.set(None);
                return Ok(found);
            }
            Round::Refused { why, is_ours } => (why, is_ours),
        };
        let now = SystemTime::now();
        if is_ours {
            job.start_by.set(now + app.pace.of(START_RETRY_PERIOD));
        }
        let pause = pauses.take();
        // The guard enforces the deadline.
        if now + pause > job.start_by.get() {
            return Err(refused(&builds.project, why));
        }
        job.refused.set(Some(why.clone()));
        if !is_logged {
            job.log.info(format_args!(
                "{}: {why}; retrying until CodeBuild accepts the build or the deadline is reached",
                properties.image()
            ));
            is_logged = true;
        }
        sleep(pause).await;
        // Each attempt may retry its calls for the full period.
        retry_window = RetryWindow::new(app.pace, Instant::now() + app.pace.of(RETRY_PERIOD));
    }
}

/// The error for a build that could not be started.
#[must_use]
pub fn refused(project: &str, source: CallError) -> Error {
    let project = project.to_owned();
    match source.retry_class() {
        RetryClass::Quota => Error::Quota { project, source },
        _ => Error::Start { project, source },
    }
}

/// A request and its environment.
struct Request<'a> {
    app: &'a App,
    job: &'a Job,
    properties: &'a Properties,
    builds: &'a Builds,
    request_key: &'a RequestKey,
    retry_window: RetryWindow,
    old: Option<&'a RawProperties>,
}

impl Request<'_> {
    async fn round(&self) -> Result<Round, Error> {
        let (app, job, properties, builds) = (self.app, self.job, self.properties, self.builds);
        let existing = Existing::new(app, job, properties, self.old, self.retry_window);
        let (there, known) = tokio::join!(
            existing.look(),
            with_retries(&self.retry_window, &job.log, || builds.latest()),
        );
        let known = known.map_err(|source| Error::Builds {
            project: builds.project.clone(),
            source,
        })?;
        let planned = plan::plan(self.request_key, &known, matches!(there, Ok(Some(_))));
        job.stops.begin(app.pace, builds, planned.stop, &job.log);
        if let Step::Watch(build) = planned.step {
            job.log.info(format_args!(
                "{}: build {build} was already started for this request",
                properties.image()
            ));
            return Ok(Round::Found(Found::Build(build, existing.image())));
        }
        match existing.settle(there).await? {
            Some(done) => Ok(Round::Found(Found::Index(done))),
            None => self.start(&existing, &known).await,
        }
    }

    /// Starts the build.
    async fn start(&self, existing: &Existing<'_>, known: &[KnownBuild]) -> Result<Round, Error> {
        let (job, properties, builds) = (self.job, self.properties, self.builds);
        let reuse_from = self.old.and_then(|old| properties.reuse_from(old));
        let arguments = arguments::encode(&properties.arguments(reuse_from.as_deref()));
        let build_request = BuildRequest {
            context: &job.event.context,
            arguments: &arguments,
            attempt: self.request_key.attempt,
            is_waited_for: properties.waits,
        };
        let started = with_retries(&self.retry_window, &job.log, || async {
            match builds.start(&build_request).await {
                // The caller retries this, for longer.
                Err(why) if why.is_temporary() => Ok(Err(why)),
                Ok(build) => Ok(Ok(build)),
                Err(why) => Err(why),
            }
        });
        match started.await {
            Ok(Ok(build)) => {
                let image = properties.image();
                job.log.info(format_args!("{image}: started build {build}"));
                Ok(Round::Found(Found::Build(build, existing.image())))
            }
            Ok(Err(why)) => Ok(Round::Refused {
                why,
                is_ours: known.iter().any(|build| build.is_running),
            }),
            Err(why) => Err(refused(&builds.project, why)),
        }
    }
}
