//! Builds one request's index. In: its properties. Out: the content of the response.

use std::{sync::Arc, time::SystemTime};

use soci_index::run;
use tokio::time::Instant;

use super::BuilderFunction;
use crate::{
    error::Error,
    event::{Event, Kind, Resumed},
    indexer::RunProgress,
    log::Log,
    pace::RetryWindow,
    properties::Properties,
    schedule::{RESUMED_RETRY_PERIOD, instant},
    verdict::{self, IndexResult},
};

/// One request, in one invocation.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) event: Event,
    pub(super) resumed: Resumed,
    /// This invocation.
    pub(super) build_id: String,
    pub(super) log: Log,
    /// When the invocation began.
    pub(super) begun: SystemTime,
}

impl Task {
    /// The image, if the properties are valid.
    pub(super) fn image(&self) -> String {
        let properties = Properties::parse(self.event.properties());
        properties.map_or_else(|_| "the image".to_owned(), |properties| properties.image())
    }
}

/// Builds the index and pushes it.
pub(super) async fn index(
    function: &BuilderFunction,
    task: &Task,
    progress: &Arc<RunProgress>,
) -> Result<IndexResult, Error> {
    let (new, old) = match &task.event.kind {
        Kind::Create(new) => (new, None),
        Kind::Update { new, old } => (new, Some(old)),
        Kind::Delete(_) => {
            let why = "the builder function handles Create and Update only";
            return Err(Error::Event(why.to_owned()));
        }
    };
    let properties = Properties::parse(new)?;
    let mut request = properties.request();
    request.reuse_from = old.and_then(|old| properties.reuse_from(old));
    let pace = function.app.pace;
    let least = Instant::now() + pace.of(RESUMED_RETRY_PERIOD);
    let retry_window = RetryWindow::new(pace, instant(task.resumed.retry_until).max(least));
    let run = function
        .indexer
        .index(request, &retry_window, &task.log, progress);
    match run.await {
        Ok(report) => verdict::from_report(&properties, report, Some(&task.build_id)),
        Err(run::Error::Stopped(why)) => Err(Error::Superseded(why.to_string())),
        Err(error) => Err(Error::Index {
            image: properties.image(),
            source: Box::new(error),
        }),
    }
}
