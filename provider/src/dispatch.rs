//! Indexes that the builder function builds: invokes it, and determines the result if it failed.
//! In: the request. Out: the existing index, or the invocation that builds it. Does not wait for it.

use soci_format::digest::Digest;

use crate::{
    app::App,
    error::Error,
    event::{RawProperties, Resumed},
    existing::Existing,
    failed_invocation::{FailedInvocation, build_id},
    hand_over::hand_over,
    job::Job,
    properties::Properties,
    verdict::IndexResult,
};

/// An existing index, or an invocation.
#[derive(Debug)]
pub enum Dispatched {
    /// The existing index.
    Index(Box<IndexResult>),
    /// The invocation, and the image's digest if it was read.
    Invoked(String, Option<Digest>),
}

/// Finds the existing index, or invokes `function` (an ARN).
///
/// # Errors
/// Why neither is possible.
pub async fn dispatch(
    app: &App,
    job: &Job,
    properties: &Properties,
    function: &str,
    old: Option<&RawProperties>,
) -> Result<Dispatched, Error> {
    let existing = Existing::new(app, job, properties, old, job.retry_window);
    let looked = existing.look().await;
    if let Some(done) = existing.settle(looked).await? {
        return Ok(Dispatched::Index(done));
    }
    let known = Resumed {
        build_id: None,
        ..job.resumed.clone()
    };
    job.invoking.set(true);
    let invoked = hand_over(
        app,
        function,
        &job.event,
        &known,
        &job.retry_window,
        &job.log,
    )
    .await;
    job.invoking.set(false);
    let request_id = invoked.map_err(|source| Error::Invoke {
        function: function.to_owned(),
        source,
    })?;
    let name = function.split(':').nth(6).unwrap_or_default();
    let build = build_id(name, &request_id);
    job.log.info(format_args!(
        "{}: invoked the builder function: {build}",
        properties.image()
    ));
    Ok(Dispatched::Invoked(build, existing.image()))
}

/// The index that the builder function pushed before it failed.
///
/// # Errors
/// The failure, if there is none.
pub async fn after_failure(
    app: &App,
    job: &Job,
    properties: &Properties,
    failed: &FailedInvocation,
    old: Option<&RawProperties>,
) -> Result<Box<IndexResult>, Error> {
    let existing = Existing::new(app, job, properties, old, job.retry_window);
    let looked = existing.look().await;
    match existing.settle(looked).await {
        Ok(Some(mut done)) => {
            job.log.info(format_args!("{failed}; but the index exists"));
            done.build_id = Some(failed.build_id());
            Ok(done)
        }
        Ok(None) => Err(Error::Function(failed.clone())),
        // The function failed for the same reason.
        Err(error @ (Error::Image { .. } | Error::Gone { .. } | Error::NoIndex(_))) => {
            job.log.info(failed);
            Err(error)
        }
        Err(error) => {
            job.log.info(soci_index::run::chain(&error));
            Err(Error::Function(failed.clone()))
        }
    }
}
