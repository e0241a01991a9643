//! Indexes one pushed image. In: the event. Out: the index under its output tag, or why there is none, and a record of it. The tag is put only
//! while the image's own tag still names the same image.

use std::sync::Arc;

use soci_format::{digest::Digest, index::Version, oci::RegistryImage};
use soci_index::{
    progress::{BeforeTag, StopReason},
    report::{Outcome, Report},
    run::{self, FallbackAction, Request, chain},
};
use soci_store::load;
use tokio::time::{Instant, sleep_until};

use super::{
    OnPush,
    catalog::{Catalog, Described},
    decision::{self, Skip},
    error::Error,
    event::Pushed,
    record::{Done, Subject, without_index},
    time::Time,
};
use crate::{
    call::CallError,
    indexer::{RunProgress, unless_stopped},
    log::Log,
    repository::Repository,
};

/// One image.
struct Task {
    function: Arc<OnPush>,
    pushed: Pushed,
    time: Time,
    log: Log,
}

/// Indexes the image, or passes it over, and writes a record. If the tag was moved while its index was put, so that the newer image's index
/// may have been put before, the newer image is indexed as well.
pub(super) async fn index(
    function: &Arc<OnPush>,
    pushed: Pushed,
    time: Time,
    log: &Log,
) -> Result<(), Error> {
    let mut next = Some(pushed);
    while let Some(pushed) = next.take() {
        let begun = Instant::now();
        let subject = Subject {
            repository: Some(pushed.repository.clone()),
            tag: pushed.tag.clone(),
            digest: Some(pushed.digest.to_string()),
        };
        let task = Arc::new(Task {
            function: Arc::clone(function),
            pushed,
            time,
            log: log.clone(),
        });
        let done = task.guarded().await;
        let ended = done.as_ref().map(|(done, _)| done);
        subject.record(&function.metrics, ended, begun.elapsed());
        next = done?.1;
    }
    Ok(())
}

impl Task {
    /// What became of it, and the image that the tag names afterwards, if that is another one.
    async fn guarded(self: &Arc<Self>) -> Result<(Done, Option<Pushed>), Error> {
        let pace = self.function.app.pace;
        let before_tag = {
            let task = Arc::clone(self);
            move || -> BeforeTag<'static> {
                let task = Arc::clone(&task);
                Box::pin(async move { task.check_tag().await })
            }
        };
        let progress = Arc::new(RunProgress::new(self.log.clone(), before_tag));
        let work = {
            let (task, progress) = (Arc::clone(self), Arc::clone(&progress));
            async move { task.run(&progress).await }
        };
        let stop = async {
            tokio::select! {
                () = progress.log_periodically(pace) => Error::Panic("the progress log ended".to_owned()),
                () = sleep_until(self.time.stop_at) => Error::NotFinished {
                    image: self.image(),
                    seconds: self.time.budget.as_secs(),
                    so_far: progress.so_far(),
                },
            }
        };
        unless_stopped(work, stop).await
    }

    async fn run(&self, progress: &Arc<RunProgress>) -> Result<(Done, Option<Pushed>), Error> {
        let (repository, tag, described) = match self.look().await? {
            Ok(found) => found,
            Err(skip) => return Ok((Done::Skipped(skip), None)),
        };
        let request = self.request(&repository, &tag, &described).await?;
        let window = &self.time.retry_window;
        let indexed = self
            .function
            .indexer
            .index(request, window, &self.log, progress)
            .await;
        let report = match indexed {
            Ok(report) => report,
            Err(error) => {
                return self
                    .without_report(error)
                    .map(|skip| (Done::Skipped(skip), None));
            }
        };
        self.check_fallback(&report)?;
        let next = match report.outcome {
            Outcome::AlreadyThere => None,
            _ => self.newer(&repository, &tag).await?,
        };
        Ok((Done::Ran(Box::new(report)), next))
    }

    /// Whether the image is to be indexed, and what ECR says of it.
    async fn look(&self) -> Result<Result<(Repository, String, Described), Skip>, Error> {
        let tag = match decision::by_event(&self.pushed, &self.function.settings) {
            Ok(tag) => tag,
            Err(skip) => return Ok(Err(skip)),
        };
        let registry = self.function.registry(&self.catalog()).await?;
        if let Err(skip) = decision::by_place(&self.pushed, registry) {
            return Ok(Err(skip));
        }
        let name = &self.pushed.repository;
        let repository = registry
            .repository(name)
            .ok_or_else(|| Error::Event(format!("{name:?} is not the name of a repository")))?;
        let described = self.describe(&repository, tag).await?;
        Ok(
            decision::by_image(&self.pushed.digest, described.as_ref()).and_then(|()| {
                let described = described.ok_or_else(|| Skip("the tag was deleted".to_owned()))?;
                Ok((repository, tag.to_owned(), described))
            }),
        )
    }

    /// What to build.
    async fn request(
        &self,
        repository: &Repository,
        tag: &str,
        described: &Described,
    ) -> Result<Request, Error> {
        let settings = &self.function.settings;
        let output_tag = decision::output_tag(tag, settings);
        let output_tag = output_tag.map_err(|output_tag| Error::OutputTag {
            image: self.image(),
            output_tag,
        })?;
        let reuse_from = match &output_tag {
            Some(output_tag) => {
                self.reuse_from(repository, output_tag, tag, described)
                    .await
            }
            None => Ok(None),
        };
        let reuse_from = reuse_from.unwrap_or_else(|error| {
            let what = "cannot look for indexes with the same layers";
            self.log
                .info(format_args!("{what}: {error}; all layers are read"));
            None
        });
        let image = RegistryImage {
            host: repository.host().to_owned(),
            repository: repository.name.clone(),
            tag: Some(tag.to_owned()),
            digest: Some(self.pushed.digest),
        };
        Ok(Request {
            output_tags: output_tag.into_iter().collect(),
            reuse_from,
            ..settings.options.request(image, settings.version)
        })
    }

    /// An output tag whose index may have ztocs of the same layers, so that these are not read again: that of another tag of the same image, or
    /// else the newest in the repository. If the image's own output tag exists, that is the index of an earlier image, which is looked at anyway.
    async fn reuse_from(
        &self,
        repository: &Repository,
        output_tag: &str,
        tag: &str,
        described: &Described,
    ) -> Result<Option<String>, CallError> {
        let settings = &self.function.settings;
        let catalog = self.catalog();
        let others = decision::other_output_tags(tag, &described.tags, settings);
        if let Some(other) = catalog.first_existing(repository, &others).await? {
            return Ok(Some(other));
        }
        if catalog.describe(repository, output_tag).await?.is_some() {
            return Ok(None);
        }
        let suffix = &settings.output_suffix;
        catalog.newest_with_suffix(repository, suffix).await
    }

    /// A run that stopped because the tag moved on, or that found no image, is none that failed.
    fn without_report(&self, error: run::Error) -> Result<Skip, Error> {
        match error {
            run::Error::Stopped(why) => match why.downcast::<Skip>() {
                Ok(skip) => Ok(*skip),
                Err(why) => Err(Error::Unchecked {
                    image: self.image(),
                    why: chain(&*why),
                }),
            },
            run::Error::Image(why @ (load::Error::NotAnImage(_) | load::Error::NoImages(_))) => {
                Ok(Skip(why.to_string()))
            }
            error => Err(Error::index(self.image(), error)),
        }
    }

    /// Without an index, the output tag is on the original image, or there is none. Only where the settings ask for it this is a failure.
    fn check_fallback(&self, report: &Report) -> Result<(), Error> {
        let options = &self.function.settings.options;
        let asked = match report.outcome {
            Outcome::NothingToIndex => options.when_too_small,
            Outcome::Unsupported => options.when_unsupported,
            _ => None,
        };
        match (asked, without_index(report.outcome)) {
            (Some(FallbackAction::Fail), Some(why)) => Err(Error::NoIndex {
                image: self.image(),
                why: why.to_owned(),
            }),
            _ => Ok(()),
        }
    }

    /// The image that the tag names now, if it is another one.
    async fn newer(&self, repository: &Repository, tag: &str) -> Result<Option<Pushed>, Error> {
        // Version 1 indexes belong to the image, not to a tag.
        if self.function.settings.version == Version::V1 {
            return Ok(None);
        }
        let now = self.describe(repository, tag).await?;
        let newer = now.filter(|now| now.digest != self.pushed.digest);
        Ok(newer.map(|newer| Pushed {
            digest: newer.digest,
            ..self.pushed.clone()
        }))
    }

    /// Just before the output tag is put.
    async fn check_tag(&self) -> Result<(), StopReason> {
        match self.look().await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(skip)) => Err(Box::new(skip)),
            Err(error) => Err(Box::new(error)),
        }
    }

    async fn describe(
        &self,
        repository: &Repository,
        tag: &str,
    ) -> Result<Option<Described>, Error> {
        let described = self.catalog().describe(repository, tag).await;
        described.map_err(|source| Error::LookUp {
            image: self.image(),
            source,
        })
    }

    fn catalog(&self) -> Catalog {
        self.function.catalog(self.time.retry_window, &self.log)
    }

    fn image(&self) -> String {
        let Pushed {
            repository,
            tag,
            digest,
            ..
        } = &self.pushed;
        image_name(repository, tag.as_deref(), digest)
    }
}

/// `team/app:v1@sha256:…`
pub(super) fn image_name(repository: &str, tag: Option<&str>, digest: &Digest) -> String {
    let tag = tag.map(|tag| format!(":{tag}")).unwrap_or_default();
    format!("{repository}{tag}@{digest}")
}
