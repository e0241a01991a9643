//! All that an image consists of, for whoever copies it. In: the image. Out: its manifests, those that others name before these, and
//! its blobs. Reads manifests, but no blob.

use std::collections::HashSet;

use soci_format::{
    digest::Digest,
    image::Image,
    oci::{Descriptor, Manifest, Selector, StoredManifest, is_foreign, media_type},
};

use super::Error;
use crate::store::{ReadImages, missing_after_retry};

/// What an image consists of besides its root.
#[derive(Default)]
pub struct Contents {
    /// The manifests, each behind those that it names.
    pub manifests: Vec<StoredManifest>,
    /// Configs, layers and whatever else the manifests and the root name, each once; without foreign layers, which registries of
    /// others need not have.
    pub blobs: Vec<Descriptor>,
    /// What is named and is not there.
    pub missing: Vec<Digest>,
}

/// What is to be done next.
enum Step {
    /// Fetch it, and then what it names.
    Open(Box<Descriptor>, usize),
    /// All that it names is done.
    Close(Box<StoredManifest>),
}

/// Reads all manifests of an image. Of images that are not complete in the store nothing is taken.
///
/// # Errors
/// Where a manifest cannot be read, or there are more than the limits allow.
pub async fn contents(store: &impl ReadImages, image: &Image) -> Result<Contents, Error> {
    let limits = store.limits();
    let incomplete = image
        .missing()
        .into_iter()
        .map(|missing| missing.manifest_digest);
    let mut seen: HashSet<Digest> = incomplete.collect();
    let mut contents = Contents::default();
    let (mut room, mut listed) = (limits.manifests_bytes, 0);
    let mut steps = contents.take(&image.root.manifest, 1);
    while let Some(step) = steps.pop() {
        let (descriptor, depth) = match step {
            Step::Close(manifest) => {
                contents.manifests.push(*manifest);
                continue;
            }
            Step::Open(descriptor, depth) => (descriptor, depth),
        };
        if !seen.insert(descriptor.digest) {
            continue;
        }
        listed += 1;
        if listed > limits.manifests {
            return Err(Error::Manifests(limits.manifests));
        }
        if depth > limits.nested {
            return Err(Error::Nested(limits.nested, descriptor.digest));
        }
        if !media_type::MANIFESTS.contains(&descriptor.media_type.as_str()) {
            contents.add_blob(&descriptor);
            continue;
        }
        let selector = Selector::Digest(descriptor.digest);
        let Some(found) = missing_after_retry(|| store.select(&selector)).await? else {
            contents.missing.push(descriptor.digest);
            continue;
        };
        let left = room.checked_sub(found.descriptor.size);
        room = left.ok_or(Error::ManifestsSize(limits.manifests_bytes))?;
        let named = contents.take(&found.manifest, depth + 1);
        steps.push(Step::Close(Box::new(found)));
        steps.extend(named);
    }
    Ok(contents)
}

impl Contents {
    /// Takes the blobs that a manifest names; gives the manifests that it names.
    fn take(&mut self, manifest: &Manifest, depth: usize) -> Vec<Step> {
        match manifest {
            Manifest::Image(manifest) => {
                manifest
                    .required_blobs()
                    .for_each(|blob| self.add_blob(blob));
                Vec::new()
            }
            Manifest::Index(index) => {
                let named = index.manifests.iter().rev();
                let open = |named: &Descriptor| Step::Open(Box::new(named.clone()), depth);
                named.map(open).collect()
            }
        }
    }

    fn add_blob(&mut self, blob: &Descriptor) {
        let is_known = self.blobs.iter().any(|known| known.digest == blob.digest);
        if !is_known && !is_foreign(&blob.media_type) {
            self.blobs.push(blob.clone());
        }
    }
}
