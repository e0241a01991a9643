//! The index of an image that was pushed. In: the push and the options. Out: the index in the repository, and a line that says so; or a
//! warning. Whatever goes wrong, the push stays as it is.

use std::{future::pending, sync::Arc, time::Duration};

use bytesize::ByteSize;
use soci_format::{
    index::Version,
    limits::Limits,
    oci::{Reference, RegistryImage, is_tag},
    plural::counted,
};
use soci_index::{
    progress::{BeforeTag, Progress},
    report::{Outcome, Report},
    run::{self, Request, chain},
};
use soci_store::{
    registry::{self, Client},
    store::Store,
};
use tokio::{runtime::Handle, time};

use super::{
    command_line::Push,
    engine::Engine,
    login,
    message::{say, warn},
    options::{Arguments, Options},
    output_tag, reuse,
};
use crate::{cli::index::prefetch_files, exit_status::Error};

/// How long what was begun has to be taken back after a stop.
const GRACE: Duration = Duration::from_millis(500);

/// Indexes what was pushed, if it was pushed to ECR. `Err` says that it has no index; the reason is printed.
pub(super) async fn index(
    push: &Push,
    options: Options,
    engine: &Engine,
    threads: &Handle,
    stop: impl Future<Output = String>,
) -> Result<(), ()> {
    let Some(image) = ecr_image(push) else {
        return Ok(());
    };
    let name = match push.all_tags {
        true => push.destination.display().to_string(),
        false => Reference::Registry(image.clone()).to_string(),
    };
    let repository = image.repository.clone();
    let result = match options.arguments {
        _ if push.all_tags => {
            Err("--all-tags pushes several images; index each with soci-builder index".into())
        }
        Err(invalid) => Err(invalid.into()),
        Ok(arguments) => {
            let environment = login::environment(push, engine, &image.host);
            let client = Client::with_environment(arguments.registry.options(), environment);
            let late = late(arguments.registry.timeout);
            let work = threads.spawn(run(image, arguments, client));
            until_stopped(work, late, stop).await
        }
    };
    match result.and_then(|report| line(&repository, &report)) {
        Ok(line) => {
            say(&line);
            Ok(())
        }
        Err(error) => {
            let reason = chain(&*error);
            warn(&format!("{name} was pushed, but has no index: {reason}"));
            Err(())
        }
    }
}

/// The image in ECR that was pushed to; `None` where that is elsewhere.
pub(super) fn ecr_image(push: &Push) -> Option<RegistryImage> {
    let text = push.destination.to_str()?;
    let text = text.strip_prefix("docker://").unwrap_or(text);
    let (host, name) = text.split_once('/')?;
    if !registry::is_ecr(host) {
        return None;
    }
    let has_tag = name.contains([':', '@']);
    let latest = if has_tag { "" } else { ":latest" };
    match format!("{text}{latest}").parse() {
        Ok(Reference::Registry(image)) => Some(image),
        _ => None,
    }
}

/// Ends when an index takes too long (`SOCI_TIMEOUT`).
async fn late(timeout: Option<Duration>) -> String {
    match timeout {
        Some(timeout) => {
            time::sleep(timeout).await;
            format!("timed out after {} s (SOCI_TIMEOUT)", timeout.as_secs_f64())
        }
        None => pending().await,
    }
}

/// Waits for the work of other threads, or until something says stop.
async fn until_stopped(
    mut work: tokio::task::JoinHandle<Result<Report, Error>>,
    late: impl Future<Output = String>,
    stop: impl Future<Output = String>,
) -> Result<Report, Error> {
    let reason = tokio::select! {
        done = &mut work => return done.unwrap_or_else(|died| {
            Err(format!("internal error, please report it: {died}").into())
        }),
        reason = stop => reason,
        reason = late => reason,
    };
    // What was begun and not committed is taken back as its owners are dropped.
    work.abort();
    match time::timeout(GRACE, work).await {
        // It came to its end in the same moment.
        Ok(Ok(done)) => done,
        _ => Err(reason.into()),
    }
}

/// Indexes the image that has the tag now. The output tag is put only while it still has it.
async fn run(
    mut image: RegistryImage,
    arguments: Arguments,
    client: Client,
) -> Result<Report, Error> {
    let store = Store::open(
        &Reference::Registry(image.clone()),
        &client,
        Limits::default(),
    )?;
    if let (Some(tag), None) = (&image.tag, image.digest) {
        let digest = store.resolve(tag).await?;
        image.digest = Some(digest.ok_or("the tag is not in the repository any more")?);
    }
    let request = request_for(&image, arguments, &client, &store).await?;
    let progress = Arc::new(Listener { store, image });
    Ok(run::index(&request, &client, progress).await?)
}

/// What the construct asks for, where its options are the same.
async fn request_for(
    image: &RegistryImage,
    arguments: Arguments,
    client: &Client,
    store: &Store,
) -> Result<Request, Error> {
    let mut index = arguments.index;
    if let Some(list) = index.prefetch_files_from.take() {
        index.prefetch_files.extend(prefetch_files(list).await?);
    }
    let mut request = index.request(Reference::Registry(image.clone()), Limits::default());
    if request.version == Version::V1 {
        return Ok(request);
    }
    let suffix = output_tag::suffix(&arguments.platforms, &request.options);
    if request.output_tags.is_empty() {
        let tag = output_tag::name_of(image) + &suffix;
        if !is_tag(&tag) {
            let length = tag.len();
            return Err(format!(
                "its output tag would have {length} characters, more than 128; set SOCI_OUTPUT_TAG"
            )
            .into());
        }
        request.output_tags.push(tag);
    }
    if request.reuse_from.is_none() {
        request.reuse_from = reuse::best(client, store, image, &suffix).await;
    }
    Ok(request)
}

/// Listens to the run of one image.
struct Listener {
    store: Store,
    image: RegistryImage,
}

impl Progress for Listener {
    fn warn(&self, text: &str) {
        warn(text);
    }

    fn before_tag(&self) -> BeforeTag<'_> {
        Box::pin(async {
            let Some(tag) = &self.image.tag else {
                return Ok(());
            };
            match self.store.resolve(tag).await? {
                found if found == self.image.digest => Ok(()),
                Some(other) => Err(format!("{tag} names another image now: {other}").into()),
                None => Err(format!("{tag} was deleted").into()),
            }
        })
    }
}

/// What became of the image, in a line; `Err` where the options say that there is none to use.
fn line(repository: &str, report: &Report) -> Result<String, Error> {
    let tag = report.output_tag.as_deref().unwrap_or_default();
    let output = format!("{repository}:{tag}");
    let why = match report.outcome {
        Outcome::Indexed => {
            let layers = report.layers;
            return Ok(format!(
                "indexed {output}: {} indexed, {} reused, {} read, {:.1} s",
                counted(layers.indexed, "layer", "layers"),
                layers.reused,
                ByteSize(report.bytes_read),
                report.seconds
            ));
        }
        Outcome::AlreadyThere | Outcome::Started => {
            return Ok(format!("already indexed: {output}"));
        }
        Outcome::NothingToIndex => "every layer is smaller than SOCI_MIN_LAYER_SIZE",
        Outcome::Unsupported => "no layer can be indexed",
    };
    match report.output_digest {
        Some(_) => Ok(format!(
            "nothing to index: {why}; {output} is the original image"
        )),
        None => Err(why.into()),
    }
}
