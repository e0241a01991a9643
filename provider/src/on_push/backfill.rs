//! Backfill: indexes images that are there already. In: patterns. Out: one asynchronous invocation of this function for each image, at a pace
//! that leaves ECR room for pushes, and a summary. When the invocation's time runs short, another one continues.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::Serialize;
use serde_json::Value;
use soci_format::{digest::Digest, plural::counted};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use super::{
    OnPush,
    catalog::{Catalog, Described, Registry},
    decision,
    error::Error,
    event::{Backfill, Pushed, Resumed},
    image::image_name,
    pattern::Pattern,
    settings::Settings,
    time::Time,
};
use crate::{hand_over::invoke, log::Log};

/// Two images each second. An index of one platform takes three PutImage calls, one of two platforms five, and ECR allows ten a second in an
/// account and region by default: <https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html>. Lambda starts up to 1,000
/// environments of a function within 10 s: <https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html>.
const PERIOD: Duration = Duration::from_millis(500);
/// So many images are named in the summary of a dry run; a response has at most 6 MB.
const LISTED_MAX: usize = 10_000;

/// What a backfill did.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Summary {
    /// How many images are being indexed, or would be; with those of the invocations before.
    images: usize,
    /// In how many repositories this invocation found some.
    repositories: usize,
    dry_run: bool,
    /// Whether these are all. Otherwise another invocation continues, except with a dry run.
    complete: bool,
    /// The images, in a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    would_index: Option<Vec<String>>,
}

/// Lists the images and invokes the function for each.
pub(super) async fn backfill(
    function: &OnPush,
    backfill: &Backfill,
    time: Time,
    log: &Log,
) -> Result<Summary, Error> {
    let catalog = function.catalog(time.retry_window, log);
    let registry = function.registry(&catalog).await?;
    let mut run = Run::new(function, backfill, time, log);
    for name in repositories(&catalog, registry, backfill, &function.settings).await? {
        let Some(repository) = registry.repository(&name) else {
            continue;
        };
        if run.is_short() {
            return run.end(Some((name, None))).await;
        }
        let images = catalog.images(&repository).await.map_err(Error::List)?;
        let images = select(images, &name, run.begun, backfill, &function.settings);
        if let Some(tag) = run.repository(&name, images).await? {
            return run.end(Some((name, Some(tag)))).await;
        }
    }
    run.end(None).await
}

/// A backfill in one invocation.
struct Run<'a> {
    function: &'a OnPush,
    backfill: &'a Backfill,
    time: Time,
    log: &'a Log,
    begun: u64,
    turns: Interval,
    /// Every invocation does something, however short it is: otherwise none would come further.
    has_work_done: bool,
    summary: Summary,
}

impl<'a> Run<'a> {
    fn new(function: &'a OnPush, backfill: &'a Backfill, time: Time, log: &'a Log) -> Self {
        let resumed = backfill.resumed.as_ref();
        let mut turns = interval(function.app.pace.of(PERIOD));
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            function,
            backfill,
            time,
            log,
            begun: resumed.map_or_else(now_millis, |resumed| resumed.begun),
            turns,
            has_work_done: false,
            summary: Summary {
                images: resumed.map_or(0, |resumed| resumed.images),
                repositories: 0,
                dry_run: backfill.dry_run,
                complete: true,
                would_index: backfill.dry_run.then(Vec::new),
            },
        }
    }

    fn is_short(&self) -> bool {
        self.has_work_done && Instant::now() >= self.time.hand_over
    }

    /// Invokes the function for each image of a repository. Gives the last tag where there was no time for the others.
    async fn repository(
        &mut self,
        name: &str,
        images: BTreeMap<String, Digest>,
    ) -> Result<Option<String>, Error> {
        self.summary.repositories += usize::from(!images.is_empty());
        let mut last = None;
        for (tag, digest) in images {
            if self.is_short() {
                return Ok(last);
            }
            match &mut self.summary.would_index {
                Some(listed) if listed.len() == LISTED_MAX => {}
                Some(listed) => listed.push(image_name(name, Some(&tag), &digest)),
                None => {
                    self.turns.tick().await;
                    let payload = Pushed::backfill_image(name, &tag, &digest);
                    self.invoke(&payload, &format!("{name}:{tag}")).await?;
                }
            }
            self.has_work_done = true;
            self.summary.images += 1;
            last = Some(tag);
        }
        Ok(None)
    }

    /// The summary; `rest` is where another invocation is to continue.
    async fn end(mut self, rest: Option<(String, Option<String>)>) -> Result<Summary, Error> {
        self.summary.complete = rest.is_none();
        let images = counted(self.summary.images, "image", "images");
        let how = match (self.backfill.dry_run, self.summary.complete) {
            (true, _) => "would be indexed",
            (false, true) => "in all",
            (false, false) => "up to now; another invocation continues",
        };
        if let Some((repository, tag)) = rest
            && !self.backfill.dry_run
        {
            let resumed = Resumed {
                begun: self.begun,
                repository,
                tag,
                images: self.summary.images,
            };
            let payload = self.backfill.continuation(resumed);
            self.invoke(&payload, "the rest of the backfill").await?;
        }
        self.log.info(format_args!("backfill: {images} {how}"));
        Ok(self.summary)
    }

    async fn invoke(&self, payload: &Value, what: &str) -> Result<(), Error> {
        let (app, window) = (&self.function.app, &self.time.retry_window);
        let invoked = invoke(app, &app.function, payload, window, self.log).await;
        invoked.map(drop).map_err(|source| Error::Invoke {
            function: app.function.clone(),
            what: what.to_owned(),
            source,
        })
    }
}

/// The repositories that may have such images, sorted, from the one on that an earlier invocation came to. The others' images are not listed:
/// the function has no permission to.
async fn repositories(
    catalog: &Catalog,
    registry: &Registry,
    backfill: &Backfill,
    settings: &Settings,
) -> Result<Vec<String>, Error> {
    let pattern = Pattern::new(&*backfill.repository);
    let known = match pattern.literal() {
        Some(name) => Some([name].into()),
        None => settings.filters.repositories(),
    };
    let mut names: Vec<String> = match known {
        Some(known) => known.into_iter().map(str::to_owned).collect(),
        None => catalog.repositories(registry).await.map_err(Error::List)?,
    };
    let resumed = backfill.resumed.as_ref();
    let first = resumed.map_or("", |resumed| &resumed.repository);
    names.retain(|name| {
        pattern.matches(name) && settings.filters.matches_repository(name) && &**name >= first
    });
    Ok(names)
}

/// The images of a repository that are to be indexed, by tag; those after the tag that an earlier invocation came to. Whether the index is there
/// already, their own invocation finds out.
fn select(
    images: Vec<Described>,
    repository: &str,
    begun: u64,
    backfill: &Backfill,
    settings: &Settings,
) -> BTreeMap<String, Digest> {
    let pattern = Pattern::new(&*backfill.tags);
    let mut found: Vec<(u64, String, Digest)> = images
        .into_iter()
        .filter(|image| image.pushed_at <= begun && decision::by_kind(image).is_ok())
        .flat_map(|image| {
            let of = move |tag| (image.pushed_at, tag, image.digest);
            image.tags.into_iter().map(of)
        })
        .filter(|(_, tag, _)| {
            pattern.matches(tag) && decision::by_name(repository, tag, settings).is_ok()
        })
        .collect();
    if let Some(newest) = backfill.newest {
        found.sort_unstable_by(|one, other| other.cmp(one));
        found.truncate(newest);
    }
    let resumed = backfill.resumed.as_ref();
    let resumed = resumed.filter(|resumed| resumed.repository == repository);
    let last = resumed.and_then(|resumed| resumed.tag.as_deref());
    found
        .into_iter()
        .filter(|(_, tag, _)| last.is_none_or(|last| &**tag > last))
        .map(|(_, tag, digest)| (tag, digest))
        .collect()
}

fn now_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(tags: &[&str], pushed_at: u64) -> Described {
        Described {
            digest: Digest::of(&pushed_at.to_be_bytes()),
            tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
            manifest_media_type: None,
            artifact_media_type: None,
            has_subject: false,
            is_archived: false,
            pushed_at,
        }
    }

    fn selected(changed: impl FnOnce(&mut Backfill)) -> Vec<String> {
        let mut backfill = Backfill {
            repository: "*".to_owned(),
            tags: "*".to_owned(),
            newest: None,
            dry_run: false,
            resumed: None,
        };
        changed(&mut backfill);
        let settings = Settings::parse(Some(r#"{"Filters": ["app:v*", "app:latest"]}"#)).unwrap();
        let images = vec![
            image(&["v1", "v1-soci"], 1),
            image(&["v3", "latest"], 3),
            image(&["v2", "dev"], 2),
            image(&["v4"], 9),
            Described {
                is_archived: true,
                ..image(&["v5"], 1)
            },
        ];
        select(images, "app", 5, &backfill, &settings)
            .into_keys()
            .collect()
    }

    #[test]
    fn what_fits_both_patterns_and_filters_is_indexed_once() {
        assert_eq!(selected(|_| {}), ["latest", "v1", "v2", "v3"]);
        assert_eq!(
            selected(|backfill| backfill.tags = "v*".to_owned()),
            ["v1", "v2", "v3"]
        );
    }

    #[test]
    fn the_newest_are_those_that_were_pushed_last() {
        let newest = |newest| selected(|backfill| backfill.newest = Some(newest));
        assert_eq!(newest(1), ["v3"]);
        assert_eq!(newest(3), ["latest", "v2", "v3"]);
        assert_eq!(newest(99).len(), 4);
    }

    #[test]
    fn another_invocation_continues_after_the_last_tag() {
        let after = |repository: &str, tag: Option<&str>| {
            selected(|backfill| {
                backfill.resumed = Some(Resumed {
                    begun: 5,
                    repository: repository.to_owned(),
                    tag: tag.map(str::to_owned),
                    images: 2,
                });
            })
        };
        assert_eq!(after("app", Some("v1")), ["v2", "v3"]);
        assert_eq!(after("app", None).len(), 4);
        assert_eq!(after("aaa", Some("v1")).len(), 4);
    }
}
