//! A walk through an image index and the indexes within it. In: the index. Out: its entries, flat and in order, with their roles.

use serde::Deserialize;
use soci_format::{
    digest::Digest,
    image::{Entry, Role},
    index::{V2, is_soci_index},
    limits::Limits,
    oci::{
        Descriptor, ImageIndex, ImageManifest, LayerEncoding, Manifest, Platform, Selector,
        StoredManifest, media_type,
    },
};

use super::{Error, is_image};
use crate::store::{ReadImages, missing_after_retry};

/// What BuildKit says on the entry of an attestation, also where a tool has dropped its platform.
const REFERENCE_TYPE: &str = "vnd.docker.reference.type";

pub(super) struct Walk<'s, S> {
    store: &'s S,
    /// Bytes of manifests that may still come.
    room: u64,
    /// What is still to be looked at; the next one is the last.
    open: Vec<Listed>,
    /// How many descriptors were listed so far.
    listed: usize,
    entries: Vec<Entry>,
}

/// A descriptor in an index, and where that index is.
struct Listed {
    descriptor: Descriptor,
    /// What the entry of the index itself says.
    outer: Option<Platform>,
    depth: usize,
}

impl<'s, S: ReadImages> Walk<'s, S> {
    pub(super) fn new(store: &'s S) -> Self {
        Self {
            store,
            room: store.limits().manifests_bytes,
            open: Vec::new(),
            listed: 0,
            entries: Vec::new(),
        }
    }

    /// The entries of `root`, those of the indexes within it in the place of these.
    pub(super) async fn entries(mut self, root: &ImageIndex) -> Result<Vec<Entry>, Error> {
        self.list(root, None, 1)?;
        let mut is_nested = false;
        while let Some(listed) = self.open.pop() {
            if let Some(index) = self.nested(&listed).await? {
                is_nested = true;
                let outer = listed.descriptor.platform.or(listed.outer);
                self.list(&index, outer, listed.depth + 1)?;
                continue;
            }
            let entry = self.entry(listed).await?;
            if !self.has(&entry, is_nested) {
                self.entries.push(entry);
            }
        }
        Ok(self.entries)
    }

    /// Opens what `index` lists.
    fn list(
        &mut self,
        index: &ImageIndex,
        outer: Option<Platform>,
        depth: usize,
    ) -> Result<(), Error> {
        self.listed += index.manifests.len();
        let limit = self.store.limits().manifests;
        if self.listed > limit {
            return Err(Error::Manifests(limit));
        }
        let entries = index.manifests.iter().rev();
        self.open.extend(entries.map(|descriptor| Listed {
            descriptor: descriptor.clone(),
            outer: outer.clone(),
            depth,
        }));
        Ok(())
    }

    /// An index within the index; `None` where `listed` is none, or is missing.
    async fn nested(&mut self, listed: &Listed) -> Result<Option<Box<ImageIndex>>, Error> {
        let descriptor = &listed.descriptor;
        let is_index = [media_type::OCI_INDEX, media_type::DOCKER_LIST]
            .contains(&descriptor.media_type.as_str());
        // An index of artifacts belongs to whoever made it.
        if !is_index || descriptor.artifact_type.is_some() {
            return Ok(None);
        }
        let limit = self.store.limits().nested;
        if listed.depth >= limit {
            return Err(Error::Nested(limit, descriptor.digest));
        }
        let fetched = self.fetch(descriptor).await?;
        Ok(match fetched.map(|fetched| fetched.manifest) {
            Some(Manifest::Index(index)) if index.artifact_type.is_none() => Some(index),
            _ => None,
        })
    }

    /// Whether the same image is among the entries; what else is equal counts only where an index lists what an index within it
    /// lists too.
    fn has(&self, entry: &Entry, is_nested: bool) -> bool {
        self.entries
            .iter()
            .any(|known| match (&known.role, &entry.role) {
                (Role::Platform { platform: of, .. }, Role::Platform { platform, .. }) => {
                    known.descriptor.digest == entry.descriptor.digest && of.same_as(platform)
                }
                _ => is_nested && known.descriptor == entry.descriptor,
            })
    }

    async fn entry(&mut self, listed: Listed) -> Result<Entry, Error> {
        let Listed {
            mut descriptor,
            outer,
            ..
        } = listed;
        let role = self.role(&descriptor, outer.as_ref()).await?;
        if descriptor.platform.is_none() && !matches!(role, Role::Other) {
            descriptor.platform = outer;
        }
        Ok(Entry { descriptor, role })
    }

    async fn role(
        &mut self,
        descriptor: &Descriptor,
        outer: Option<&Platform>,
    ) -> Result<Role, Error> {
        if is_soci_index(descriptor) {
            return Ok(Role::SociIndex);
        }
        let is_manifest = [
            media_type::OCI_MANIFEST,
            media_type::DOCKER_MANIFEST,
            media_type::OCI_INDEX,
            media_type::DOCKER_LIST,
        ]
        .contains(&descriptor.media_type.as_str());
        let said = descriptor.platform.as_ref();
        if !is_manifest
            || said.is_some_and(Platform::is_unknown)
            || descriptor.annotations.contains_key(REFERENCE_TYPE)
        {
            return Ok(Role::Other);
        }
        let Some(fetched) = self.fetch(descriptor).await? else {
            return Ok(Role::Missing("its manifest is missing".to_owned()));
        };
        let Manifest::Image(manifest) = fetched.manifest else {
            return Ok(Role::Other);
        };
        // Some tools drop an entry's artifact type when they copy an image index.
        if manifest.config.media_type == V2 {
            return Ok(Role::SociIndex);
        }
        if !is_image(&manifest) || is_artifact(&manifest) {
            return Ok(Role::Other);
        }
        if let Some(platform) = said.filter(|said| said.is_complete()) {
            let platform = platform.clone();
            return Ok(Role::Platform { platform, manifest });
        }
        let config = manifest.config.digest;
        let config_size = missing_after_retry(|| self.store.blob_size(&config)).await?;
        if config_size.is_none() {
            return Ok(Role::Missing(format!("its config {config} is missing")));
        }
        let own = platform_of(self.store, descriptor.digest, &manifest).await?;
        if own.is_unknown() {
            return Ok(Role::Other);
        }
        let said = [said, outer].into_iter().flatten();
        let platform = said
            .fold(Platform::default(), |all, next| all.or(next))
            .or(&own)
            .normalized();
        if !platform.is_complete() {
            return Err(Error::ConfigPlatform(descriptor.digest));
        }
        Ok(Role::Platform { platform, manifest })
    }

    /// A manifest; `None` where it is missing.
    async fn fetch(&mut self, descriptor: &Descriptor) -> Result<Option<StoredManifest>, Error> {
        let selector = Selector::Digest(descriptor.digest);
        let fetched = missing_after_retry(|| self.store.select(&selector)).await?;
        if let Some(fetched) = &fetched {
            let room = self.room.checked_sub(fetched.descriptor.size);
            self.room = room.ok_or(Error::ManifestsSize(self.store.limits().manifests_bytes))?;
        }
        Ok(fetched)
    }
}

/// Whether none of the layers is one of a file system: signatures and the like use the config of images too.
fn is_artifact(manifest: &ImageManifest) -> bool {
    let mut layers = manifest.layers.iter();
    !manifest.layers.is_empty()
        && layers
            .all(|layer| LayerEncoding::declared_by(&layer.media_type) == LayerEncoding::NotALayer)
}

#[derive(Deserialize)]
struct Config {
    #[serde(flatten)]
    platform: Platform,
}

/// The platform that the image's config names, in its canonical spelling.
pub(super) async fn platform_of(
    store: &impl ReadImages,
    of: Digest,
    manifest: &ImageManifest,
) -> Result<Platform, Error> {
    if manifest.config.size > Limits::MANIFEST_BYTES {
        return Err(Error::ConfigSize(of, manifest.config.size));
    }
    let config = store.blob(&manifest.config).await?;
    let config: Config =
        serde_json::from_slice(&config).map_err(|error| Error::Config(of, error))?;
    let said = config.platform;
    // What is not said stays so: an absent processor has no variant.
    Ok(if said.is_complete() {
        said.normalized()
    } else {
        said
    })
}
