//! What ties an index to its image: annotations, subjects, descriptors.

use soci_format::{
    digest::Digest,
    image::Image,
    index::{
        EMPTY_CONFIG, LAYER_DIGEST, LAYER_MEDIA_TYPE, MANIFEST_DIGEST, PREFETCH, Version,
        prefetched_spans,
    },
    oci::{Descriptor, ImageManifest, Platform},
    plural::bytes,
    ztoc::Ztoc,
};
use soci_index::run::chain;
use soci_store::store::{ReadImages, Store};

use super::is_ztoc;
use crate::reader::FoundIndex;

/// One platform's image.
type Of<'a> = (&'a Descriptor, &'a Platform, &'a ImageManifest);

/// Everything that is wrong with the links of `index`, which was found as an index of that image.
pub(super) async fn problems(
    store: &Store,
    image: &Image,
    (descriptor, platform, manifest): Of<'_>,
    index: &FoundIndex,
) -> Vec<String> {
    let mut all = Vec::new();
    let config = &index.manifest.config;
    let wanted = index.version.artifact_type();
    if config.media_type != wanted {
        all.push(format!(
            "its config has media type {:?}, expected {wanted:?}",
            config.media_type
        ));
    }
    if config.digest != Digest::of(EMPTY_CONFIG) {
        all.push(format!("its config is {}, not \"{{}}\"", config.digest));
    }
    if let Err(error) = store.blob(config).await {
        all.push(format!("its config: {}", chain(&error)));
    }
    match index.version {
        Version::V1 => subject(&mut all, descriptor, &index.manifest),
        Version::V2 => entry(&mut all, image, descriptor, platform, index),
    }
    for (number, blob) in index.manifest.layers.iter().enumerate() {
        if let Some(problem) = blob_problem(store, manifest, index, blob).await {
            all.push(format!("blob {} ({}): {problem}", number + 1, blob.digest));
        }
    }
    all
}

fn subject(all: &mut Vec<String>, image: &Descriptor, index: &ImageManifest) {
    match &index.subject {
        None => all.push("it has no subject".to_owned()),
        Some(subject) if subject.digest != image.digest || subject.size != image.size => {
            all.push(format!(
                "its subject is {} of {}, but the image's manifest is {} of {}",
                subject.digest,
                bytes(subject.size),
                image.digest,
                image.size
            ));
        }
        Some(_) => {}
    }
}

fn entry(
    all: &mut Vec<String>,
    image: &Image,
    descriptor: &Descriptor,
    platform: &Platform,
    index: &FoundIndex,
) {
    // Images with the same layers have the same SOCI index, which is listed for each of them.
    let link = descriptor.digest.to_string();
    let fits = |entry: &&Descriptor| {
        let of = entry.platform.as_ref();
        let is_same = of.is_some_and(|of| of.same_as(platform));
        (
            entry.annotations.get(MANIFEST_DIGEST) == Some(&link),
            is_same,
        )
    };
    let entries = image.entries.iter().map(|entry| &entry.descriptor);
    let listed = entries.filter(|entry| entry.digest == index.descriptor.digest);
    let Some(entry) = listed.max_by_key(fits) else {
        all.push("the image index does not list it".to_owned());
        return;
    };
    match &entry.platform {
        Some(of) if of.same_as(platform) => {}
        Some(of) => all.push(format!("the image index lists it for {of}, not {platform}")),
        None => all.push("the image index lists it without a platform".to_owned()),
    }
    let named = entry.annotations.get(MANIFEST_DIGEST).map(String::as_str);
    if named != Some(&descriptor.digest.to_string()) {
        all.push(format!(
            "its annotation {MANIFEST_DIGEST} is {}, but the image's manifest is {}",
            named.unwrap_or("absent"),
            descriptor.digest
        ));
    }
    if entry.size != index.descriptor.size {
        all.push(format!(
            "it has {}, but the image index says {}",
            bytes(index.descriptor.size),
            entry.size
        ));
    }
}

/// What is wrong with a ztoc's descriptor, or with a prefetch artifact.
async fn blob_problem(
    store: &Store,
    image: &ImageManifest,
    index: &FoundIndex,
    blob: &Descriptor,
) -> Option<String> {
    let says = |key: &str| blob.annotations.get(key).map(String::as_str);
    let named = says(LAYER_DIGEST).unwrap_or("nothing");
    let of = image
        .layers
        .iter()
        .find(|of| of.digest.to_string() == named);
    let Some(layer) = of else {
        return Some(format!(
            "its annotation {LAYER_DIGEST} says {named}, which is not a layer of the image"
        ));
    };
    if is_ztoc(blob) {
        let media_type = says(LAYER_MEDIA_TYPE).unwrap_or("nothing");
        return (media_type != layer.media_type).then(|| {
            format!(
                "its annotation {LAYER_MEDIA_TYPE} says {media_type}, but the layer is {}",
                layer.media_type
            )
        });
    }
    if blob.media_type != PREFETCH {
        return Some(format!("its media type {:?} is unknown", blob.media_type));
    }
    let spans = match index.ztoc_of(layer) {
        Some(ztoc) => spans_of(store, ztoc).await,
        None => return Some("it prefetches from a layer without a ztoc".to_owned()),
    };
    prefetch_problem(store, blob, spans).await
}

/// How many spans a ztoc has; none where it cannot be read, which is told of its layer.
async fn spans_of(store: &Store, ztoc: &Descriptor) -> Option<usize> {
    let bytes = store.blob(ztoc).await.ok()?;
    Some(Ztoc::parse(&bytes).ok()?.span_digests.len())
}

async fn prefetch_problem(
    store: &Store,
    blob: &Descriptor,
    spans: Option<usize>,
) -> Option<String> {
    let bytes = match store.blob(blob).await {
        Ok(bytes) => bytes,
        Err(error) => return Some(chain(&error)),
    };
    let prefetched = match prefetched_spans(&bytes) {
        Ok(spans) => spans,
        Err(error) => return Some(format!("not a prefetch artifact: {error}")),
    };
    let wrong = prefetched.into_iter().find(|range| {
        range.start_span > range.end_span
            || spans.is_some_and(|spans| range.end_span as usize >= spans)
    })?;
    Some(format!(
        "it prefetches the spans {} to {}, which the layer does not have",
        wrong.start_span, wrong.end_span
    ))
}
