//! The build of a request, or an index that needs none. A build that CodeBuild refuses is asked for again: the account's quota is a
//! queue, and CodeBuild's own queue is only its first part.
//! In: the request and what is there. Out: a build to watch, or what is to be answered.

use std::time::{Duration, SystemTime};

use soci_format::digest::Digest;
use soci_index::run;
use tokio::time::{Instant, sleep};

use crate::{
    app::App,
    arguments,
    build::{Builds, Order},
    call::{CallError, Hope, patiently},
    error::Error,
    event::RawProperties,
    image::Images,
    job::Job,
    kept::{NotKept, is_gone, kept},
    pace::{Patience, Pauses},
    plan::{self, Asked, KnownBuild, Step},
    properties::Properties,
    schedule::{PATIENCE, START_PATIENCE},
    verdict::{self, Done},
};

/// Pauses between two questions for a build. A build takes a minute, and a place in the queue is gone soon.
const ASK_FIRST: Duration = Duration::from_secs(2);
const ASK_LONGEST: Duration = Duration::from_secs(15);

/// What there is for a request.
#[derive(Debug)]
pub enum Found {
    /// The answer.
    Index(Box<Done>),
    /// Its build, and the image that was read, where it was.
    Build(String, Option<Digest>),
}

/// What a round came to.
enum Round {
    Found(Found),
    Refused {
        why: CallError,
        /// Whether a build of the project runs or waits, which will make room.
        is_ours: bool,
    },
}

/// Finds the request's build or index, or starts the build as soon as CodeBuild takes one.
///
/// # Errors
/// Why there is none: at the deadline, or earlier where none of our builds is what the refusals come from.
pub async fn find_or_start(
    app: &App,
    job: &Job,
    properties: &Properties,
    old: Option<&RawProperties>,
    attempt: u8,
) -> Result<Found, Error> {
    let asked = Asked {
        attempt,
        ..job.asked.clone()
    };
    let builds = app.builds(&properties.project);
    let mut patience = job.patience;
    let mut pauses = Pauses::new(app.pace, ASK_FIRST, ASK_LONGEST);
    let mut is_told = false;
    loop {
        let request = Request {
            app,
            job,
            properties,
            builds: &builds,
            asked: &asked,
            patience,
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
            job.start_by.set(now + app.pace.of(START_PATIENCE));
        }
        let pause = pauses.take();
        // The deadline is the guard's.
        if now + pause > job.start_by.get() {
            return Err(refused(&builds.project, why));
        }
        job.refused.set(Some(why.clone()));
        if !is_told {
            job.log.say(format_args!(
                "{}: {why}; asking again until there is room for the build or it is time to answer",
                properties.image()
            ));
            is_told = true;
        }
        sleep(pause).await;
        // What must be known to go on may fail for a moment after an hour as well as at the beginning.
        patience = Patience::new(app.pace, Instant::now() + app.pace.of(PATIENCE));
    }
}

/// The build was not started, for this reason.
#[must_use]
pub fn refused(project: &str, source: CallError) -> Error {
    let project = project.to_owned();
    match source.hope() {
        Hope::Quota => Error::Quota { project, source },
        _ => Error::Start { project, source },
    }
}

/// A request, and what is at hand for it.
struct Request<'a> {
    app: &'a App,
    job: &'a Job,
    properties: &'a Properties,
    builds: &'a Builds,
    asked: &'a Asked,
    patience: Patience,
    old: Option<&'a RawProperties>,
}

impl Request<'_> {
    async fn round(&self) -> Result<Round, Error> {
        let (app, job, properties, builds) = (self.app, self.job, self.properties, self.builds);
        let image = properties.image();
        let request = properties.request();
        let images = app.images(&properties.repository, self.patience, &job.log);
        let (there, known) = tokio::join!(
            run::already_there(&request, &images),
            patiently(&self.patience, &job.log, || builds.latest()),
        );
        let known = known.map_err(|source| Error::Builds {
            project: builds.project.clone(),
            source,
        })?;
        let planned = plan::plan(self.asked, &known, matches!(there, Ok(Some(_))));
        job.stops.begin(app.pace, builds, planned.stop, &job.log);
        if let Step::Watch(build) = planned.step {
            job.log.say(format_args!(
                "{image}: the build {build} is this request's own"
            ));
            return Ok(self.build(build, &images));
        }
        let there = match there {
            Ok(there) => there,
            Err(error) => return self.without_image(&images, error).await,
        };
        if let Some(report) = there {
            job.log.say(format_args!(
                "{image}: there is nothing to build: {:?}",
                report.outcome
            ));
            let done = verdict::on_report(properties, report, None)?;
            return Ok(Round::Found(Found::Index(Box::new(done))));
        }
        if let Some(source) = images.denied() {
            return Err(Error::Rights { image, source });
        }
        self.start(&images, &known).await
    }

    /// Asks for the build.
    async fn start(&self, images: &Images, known: &[KnownBuild]) -> Result<Round, Error> {
        let (job, properties, builds) = (self.job, self.properties, self.builds);
        let reuse_from = self.old.and_then(|old| properties.reuse_from(old));
        let arguments = arguments::encode(&properties.arguments(reuse_from.as_deref()));
        let order = Order {
            sender: &job.event.sender,
            arguments: &arguments,
            attempt: self.asked.attempt,
            is_waited_for: properties.waits,
        };
        let started = patiently(&self.patience, &job.log, || async {
            match builds.start(&order).await {
                // Waited for elsewhere, and longer.
                Err(why) if why.is_refused_for_now() => Ok(Err(why)),
                Ok(build) => Ok(Ok(build)),
                Err(why) => Err(why),
            }
        });
        match started.await {
            Ok(Ok(build)) => {
                let image = properties.image();
                job.log
                    .say(format_args!("{image}: started the build {build}"));
                Ok(self.build(build, images))
            }
            Ok(Err(why)) => Ok(Round::Refused {
                why,
                is_ours: known.iter().any(|build| build.is_running),
            }),
            Err(why) => Err(refused(&builds.project, why)),
        }
    }

    fn build(&self, build: String, images: &Images) -> Round {
        let tag = self.properties.input_tag();
        Round::Found(Found::Build(
            build,
            tag.and_then(|tag| images.digest_of(tag)),
        ))
    }

    /// The image that the output tag was put for until now, where that is another one: an Update to an image that is not there is
    /// no rollback.
    fn index_of_another(&self, tag: &str) -> Option<String> {
        let old = Properties::parse(self.old?).ok()?;
        let is_here = old.repository == self.properties.repository;
        let is_other = old.output_tag.as_deref() == Some(tag) && old.input != self.properties.input;
        (is_here && is_other).then(|| old.image())
    }

    /// The image cannot be read. Where it is gone, its index may still be there: a rollback needs no more.
    async fn without_image(&self, images: &Images, error: run::Error) -> Result<Round, Error> {
        let image = self.properties.image();
        let source = Box::new(error);
        let tag = self.properties.output_tag.as_deref();
        let Some(tag) = tag.filter(|_| is_gone(&source)) else {
            return Err(Error::Image { image, source });
        };
        let kept = match self.index_of_another(tag) {
            Some(image) => {
                let tag = tag.to_owned();
                Err(NotKept::Another { tag, image })
            }
            None => kept(images, tag).await,
        };
        match kept {
            Ok(kept) => {
                self.job.log.say(format_args!(
                    "{image} is gone ({}); its index under {tag} is complete",
                    run::chain(&*source)
                ));
                let done = verdict::on_kept(self.properties, tag, &kept);
                Ok(Round::Found(Found::Index(Box::new(done))))
            }
            Err(why) => Err(Error::Gone {
                image,
                why: Box::new(why),
                source,
            }),
        }
    }
}
