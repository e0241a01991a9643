//! One run: an image reference in, a pushed and checked index out. Knows every stage and their order.
//!
//! ```text
//! image ─▶ plan ─▶ there already? ─▶ layers (reused or read) ─▶ indexes ─▶ push ─▶ read back ─▶ tag
//! ```
//!
//! A run may copy the image into another repository meanwhile: whatever is read of a layer goes into both.

mod copy;
mod cores;
mod error;
mod existing;
mod jobs;
mod known;
mod layers;
mod names;
mod naming;
mod prefetch;
mod publish;
mod request;
mod target;
mod work;

use std::{borrow::Cow, sync::Arc, time::Instant};

use soci_format::{index::Version, oci::Reference};
use soci_store::{
    load::{KeptManifests, load},
    registry::Client,
    store::{self, ReadImages, Store, Transaction},
};

pub use error::{Error, LayerError, chain};
pub use known::KnownZtocs;
pub use request::{FallbackAction, InvalidFallbackAction, Request};

use crate::{
    progress::Progress,
    report::{Outcome, Report},
};
use copy::Copy;
use existing::Existing;
use work::{Places, Run, Worked};

/// Builds the index of an image and pushes it.
///
/// # Errors
/// One chain that says what was tried and why it failed. Nothing incomplete is ever under the output tag.
pub async fn index(
    request: &Request,
    client: &Client,
    progress: Arc<dyn Progress>,
) -> Result<Report, Error> {
    index_sharing(request, client, progress, &KnownZtocs::default()).await
}

/// The same, one of several runs: layers whose ztocs are known from earlier ones are not read again.
///
/// # Errors
/// As [`index`].
pub async fn index_sharing(
    request: &Request,
    client: &Client,
    progress: Arc<dyn Progress>,
    known: &KnownZtocs,
) -> Result<Report, Error> {
    let started = Instant::now();
    naming::check(request)?;
    let source = Store::open(&request.image, client, request.limits)?;
    naming::check_store(request, &source)?;
    let mut root = source.image(&request.image).await?;
    let manifests = KeptManifests::of(&source);
    let mut request = Cow::Borrowed(request);
    let own = naming::own(&request, &source)?;
    let output_tags = naming::output(&request, own.as_deref())?;
    if request.copy_to.is_some() && !request.platforms.is_empty() {
        root = copy::narrowed(&manifests, root, &request).await?;
        request.to_mut().platforms.clear();
    }
    let request = &*request;
    let image = load(&manifests, root).await?;
    let (image, mut presence) = target::complete(&source, image, request).await?;
    for missing in image.missing() {
        progress.warn(&format!("kept unchanged in the image index: {missing}"));
    }
    let copy = match &request.copy_to {
        Some(to) => {
            // Under a tag that is for the indexed image, the original is not put.
            let tag =
                own.filter(|own| !output_tags.contains(own) || request.version == Version::V1);
            let copy = Copy::plan(&manifests, &image, request, (to, tag), client).await?;
            copy.warn(&*progress);
            copy.leave_out_foreign(&image, &mut presence);
            Some(copy)
        }
        None => None,
    };
    let run = Run::new(request, &image, &presence, output_tags, started)?;
    let run = run.copying(copy.as_ref());
    let store = copy.as_ref().map_or(&source, |copy| &copy.store);
    // What is there already saves work, no more: where it cannot be looked at, the work is done.
    let existing = existing::find(store, &run).await.unwrap_or_else(|error| {
        let reason = chain(&error);
        progress.warn(&format!("cannot check for existing indexes: {reason}"));
        Existing::default()
    });
    if let Some(report) = run.without_work(store, &existing).await? {
        prefetch::report_missing(&report.prefetch_not_found, request.strict, &*progress)?;
        known.keep(store, &request.options, existing.ztocs(&request.options));
        return Ok(report);
    }

    let work = async |transaction: &Transaction| {
        let places = Places {
            source: &source,
            store,
            transaction,
        };
        run.work(places, &existing, known, progress).await
    };
    let (worked, has_changed) = store.write(work).await?;
    let Worked {
        report,
        published,
        ztocs,
    } = worked;
    if let Some(published) = published {
        published.check(store).await?;
    }
    known.keep(store, &request.options, ztocs);
    Ok(match report.outcome {
        Outcome::Indexed if !has_changed => Report {
            outcome: Outcome::AlreadyThere,
            ..report
        },
        _ => report,
    })
}

/// What a run would end with, where it would neither read a layer nor push anything: the wanted index is there and complete, or
/// there is nothing to index and nothing to do about it. `None` where a run is needed.
///
/// # Errors
/// As a run's own: the image is not there, is none, or does not have a platform that was asked for.
pub async fn already_there(
    request: &Request,
    images: &impl ReadImages,
) -> Result<Option<Report>, Error> {
    let started = Instant::now();
    // Layouts have no selectors, and nobody asks about them, or about copies, from elsewhere.
    let (Reference::Registry(reference), None) = (&request.image, &request.copy_to) else {
        return Ok(None);
    };
    let root = images.select(&reference.selector()).await?;
    let root = root.ok_or_else(|| store::Error::NoManifest(request.image.to_string()))?;
    let output_tags = naming::output(request, request.image.tag())?;
    let image = load(images, root).await?;
    let (image, presence) = target::complete(images, image, request).await?;
    let run = Run::new(request, &image, &presence, output_tags, started)?;
    let existing = existing::find(images, &run).await?;
    run.without_work(images, &existing).await
}
