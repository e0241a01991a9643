//! The earlier index that has the most of an image's layers. In: the image, and the suffix of output tags. Out: a tag, or none. In a repository
//! of many images, as that of CDK's assets, the newest index is often that of another one. It saves time, no more: failures are none, and
//! `SOCI_DEBUG` tells of them.

use std::collections::HashMap;

use futures_util::{StreamExt, stream};
use soci_format::{
    digest::Digest,
    image::{Image, Role},
    oci::{RegistryImage, Selector},
};
use soci_store::{
    load::load,
    registry::Client,
    store::{REQUESTS_AT_ONCE, ReadImages, Store},
};

/// How many of the newest indexes are looked at, each with a few small requests.
const CANDIDATES: usize = 20;

/// The tag whose index has most bytes of the image's layers, the newest of those that have as many.
pub(super) async fn best(
    client: &Client,
    store: &Store,
    image: &RegistryImage,
    suffix: &str,
) -> Option<String> {
    let newest = client.newest_tags(&image.host, &image.repository, suffix);
    let newest = newest.await.ok().filter(|tags| !tags.is_empty())?;
    let own = layers(&read(store, &image.selector()).await?);
    let candidates = stream::iter(newest.into_iter().take(CANDIDATES)).map(async |tag| {
        let image = read(store, &Selector::Tag(tag.clone())).await?;
        let mut entries = image.entries.iter();
        let has_index = entries.any(|entry| matches!(entry.role, Role::SociIndex));
        let mut shared = layers(&image);
        shared.retain(|digest, _| own.contains_key(digest));
        let shared: u64 = shared.values().sum();
        (has_index && shared > 0).then_some((shared, tag))
    });
    let found: Vec<_> = candidates.buffered(REQUESTS_AT_ONCE).collect().await;
    let best = found
        .into_iter()
        .flatten()
        .reduce(|best, next| if next.0 > best.0 { next } else { best });
    best.map(|(_, tag)| tag)
}

async fn read(store: &Store, selector: &Selector) -> Option<Image> {
    let root = store.select(selector).await.ok().flatten()?;
    load(store, root).await.ok()
}

/// Sizes of the layers of all platforms.
fn layers(image: &Image) -> HashMap<Digest, u64> {
    let manifests = image.entries.iter().filter_map(|entry| match &entry.role {
        Role::Platform { manifest, .. } => Some(manifest),
        _ => None,
    });
    let layers = manifests.flat_map(|manifest| &manifest.layers);
    layers.map(|layer| (layer.digest, layer.size)).collect()
}
