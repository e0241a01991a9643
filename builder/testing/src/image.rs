//! Images made on the fly, and those of other layouts, to be put into registries and layouts.
//! In: files, or a layout. Out: manifests and blobs. What a manifest claims may be wrong on purpose.

mod layer;
mod layout;
mod types;

use bytes::Bytes;
use serde_json::{Value, json};
use soci_format::digest::Digest;

use crate::fake_registry::FakeRegistry;

pub use layer::{GZIP, Layer, gzip, noise, tar_of};
pub use layout::{blob_path, files_of, manifest_under};
pub use types::Types;

/// The repository that images are pushed to.
pub const REPOSITORY: &str = "team/app";

/// An image, whole.
#[derive(Clone)]
pub struct Image {
    blobs: Vec<(Digest, Bytes)>,
    /// Types and bytes, children first, the root last.
    manifests: Vec<(String, Bytes)>,
}

impl Image {
    /// An image for linux/amd64.
    pub fn of<'a>(layers: impl IntoIterator<Item = &'a Layer>) -> Self {
        Self::for_platform("linux/amd64", layers)
    }

    /// An image for a platform.
    pub fn for_platform<'a>(platform: &str, layers: impl IntoIterator<Item = &'a Layer>) -> Self {
        Self::with_config(&platform_json(platform), layers)
    }

    /// An image with that config.
    pub fn with_config<'a>(config: &Value, layers: impl IntoIterator<Item = &'a Layer>) -> Self {
        let layers = layers.into_iter().map(|layer| (layer.media_type, layer));
        Self::made(Types::Oci, config, layers)
    }

    /// An image of those types, of gzip layers; its config names their archives, as clients want it that unpack an image.
    pub fn of_types<'a>(
        types: Types,
        platform: &str,
        layers: impl IntoIterator<Item = &'a Layer>,
    ) -> Self {
        let layers: Vec<_> = layers
            .into_iter()
            .map(|layer| (types.layer(), layer))
            .collect();
        let diff_ids: Vec<_> = layers.iter().map(|(_, layer)| layer.diff_id).collect();
        let mut config = platform_json(platform);
        config["rootfs"] = json!({"type": "layers", "diff_ids": diff_ids});
        config["config"] = json!({});
        Self::made(types, &config, layers)
    }

    fn made<'a>(
        types: Types,
        config: &Value,
        layers: impl IntoIterator<Item = (&'static str, &'a Layer)>,
    ) -> Self {
        let config = Bytes::from(config.to_string());
        let mut blobs = vec![(Digest::of(&config), config.clone())];
        let mut listed = Vec::new();
        for (media_type, layer) in layers {
            blobs.push((layer.digest, layer.bytes.clone()));
            let mut entry =
                json!({"mediaType": media_type, "digest": layer.digest, "size": layer.size});
            if !layer.urls.is_empty() {
                entry["urls"] = json!(layer.urls);
            }
            listed.push(entry);
        }
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": types.manifest(),
            "config": descriptor(types.config(), &config),
            "layers": listed,
        });
        Self {
            blobs,
            manifests: vec![(types.manifest().to_owned(), manifest.to_string().into())],
        }
    }

    /// An image of several platforms.
    pub fn list<'a>(images: impl IntoIterator<Item = (&'a str, Self)>) -> Self {
        Self::list_of_types(Types::Oci, images)
    }

    /// The same, of those types.
    pub fn list_of_types<'a>(
        types: Types,
        images: impl IntoIterator<Item = (&'a str, Self)>,
    ) -> Self {
        let images = images.into_iter().map(|(platform, image)| {
            let platform = platform_json(platform);
            (json!({"platform": platform}), image)
        });
        Self::listed(types, images)
    }

    /// An image index; with each image what its entry says of it beside type, digest and size.
    pub fn index(images: impl IntoIterator<Item = (Value, Self)>) -> Self {
        Self::listed(Types::Oci, images)
    }

    fn listed(types: Types, images: impl IntoIterator<Item = (Value, Self)>) -> Self {
        let mut list = Self {
            blobs: Vec::new(),
            manifests: Vec::new(),
        };
        let mut entries = Vec::new();
        for (says, image) in images {
            let mut entry = image.descriptor();
            let says = says.as_object().unwrap().clone();
            entry.as_object_mut().unwrap().extend(says);
            entries.push(entry);
            list.blobs.extend(image.blobs);
            list.manifests.extend(image.manifests);
        }
        let index = json!({"schemaVersion": 2, "mediaType": types.index(), "manifests": entries});
        list.manifests
            .push((types.index().to_owned(), index.to_string().into()));
        list
    }

    /// The same without a manifest or blob, which is still named.
    #[must_use]
    pub fn without(mut self, digest: &Digest) -> Self {
        self.blobs.retain(|(of, _)| of != digest);
        self.manifests
            .retain(|(_, bytes)| Digest::of(bytes) != *digest);
        self
    }

    pub fn digest(&self) -> Digest {
        Digest::of(&self.manifests.last().unwrap().1)
    }

    pub fn blobs(&self) -> &[(Digest, Bytes)] {
        &self.blobs
    }

    /// Its manifests with their types, children first.
    pub fn manifests(&self) -> &[(String, Bytes)] {
        &self.manifests
    }

    /// What an index says of it.
    pub fn descriptor(&self) -> Value {
        let (media_type, bytes) = self.manifests.last().unwrap();
        descriptor(media_type, bytes)
    }

    /// Puts it into a registry, and gives its reference.
    pub fn push(&self, registry: &FakeRegistry, tag: &str) -> String {
        for (digest, bytes) in &self.blobs {
            registry.put_blob_as(*digest, bytes.clone());
        }
        for (media_type, bytes) in &self.manifests {
            registry.put_manifest(REPOSITORY, None, media_type, bytes.clone());
        }
        let (media_type, bytes) = self.manifests.last().unwrap();
        registry.put_manifest(REPOSITORY, Some(tag), media_type, bytes.clone());
        format!("{}/{REPOSITORY}:{tag}", registry.host())
    }
}

fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": Digest::of(bytes), "size": bytes.len()})
}

fn platform_json(platform: &str) -> Value {
    let mut parts = platform.split('/');
    let mut json = json!({"os": parts.next(), "architecture": parts.next()});
    if let Some(variant) = parts.next() {
        json["variant"] = variant.into();
    }
    json
}
