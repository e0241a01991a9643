//! Images made on the fly, and those of other layouts, to be put into registries and layouts.
//! In: files, or a layout. Out: manifests and blobs. What a manifest claims may be wrong on purpose.

use std::{fs, io::Write, path::Path};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use soci_format::{
    digest::Digest,
    oci::media_type::{OCI_CONFIG, OCI_INDEX, OCI_MANIFEST},
};
use tempfile::TempDir;

use crate::fake_registry::FakeRegistry;

/// The repository that images are pushed to.
pub const REPOSITORY: &str = "team/app";

/// The type of a gzip layer.
pub const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const PLAIN: &str = "application/vnd.oci.image.layer.v1.tar";
const ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";

/// A layer, and what the manifest says of it.
#[derive(Clone)]
pub struct Layer {
    /// Its type.
    pub media_type: &'static str,
    /// Its digest as the manifest has it.
    pub digest: Digest,
    /// Its size as the manifest has it.
    pub size: usize,
    /// Its bytes as they are stored.
    pub bytes: Bytes,
    /// Where else they are, as the manifest has it.
    pub urls: Vec<String>,
}

impl Layer {
    /// A layer of these bytes.
    pub fn of(media_type: &'static str, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self {
            media_type,
            digest: Digest::of(&bytes),
            size: bytes.len(),
            bytes,
            urls: Vec::new(),
        }
    }

    /// A tar archive in gzip.
    pub fn gzip(tar: &[u8]) -> Self {
        Self::of(GZIP, gzip(tar))
    }

    /// A tar archive as it is.
    pub fn plain(tar: Vec<u8>) -> Self {
        Self::of(PLAIN, tar)
    }

    /// Bytes that claim to be compressed with zstd.
    pub fn zstd() -> Self {
        Self::of(
            ZSTD,
            [&[0x28, 0xb5, 0x2f, 0xfd], &noise(4, 4096)[..]].concat(),
        )
    }

    /// `size_bytes` of noise in one file, in gzip.
    pub fn noise(seed: u64, size_bytes: usize) -> Self {
        Self::gzip(&tar_of([("noise", noise(seed, size_bytes))]))
    }
}

/// Bytes in gzip.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Bytes that no compression makes smaller.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    fastrand::Rng::with_seed(seed).fill(&mut bytes);
    bytes
}

/// A tar archive of files.
pub fn tar_of<N: AsRef<Path>, B: AsRef<[u8]>>(files: impl IntoIterator<Item = (N, B)>) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let bytes = bytes.as_ref();
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, bytes).unwrap();
    }
    archive.into_inner().unwrap()
}

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
        let config = Bytes::from(config.to_string());
        let mut blobs = vec![(Digest::of(&config), config.clone())];
        let mut listed = Vec::new();
        for layer in layers {
            blobs.push((layer.digest, layer.bytes.clone()));
            let mut entry =
                json!({"mediaType": layer.media_type, "digest": layer.digest, "size": layer.size});
            if !layer.urls.is_empty() {
                entry["urls"] = json!(layer.urls);
            }
            listed.push(entry);
        }
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": descriptor(OCI_CONFIG, &config),
            "layers": listed,
        });
        Self {
            blobs,
            manifests: vec![(OCI_MANIFEST.to_owned(), manifest.to_string().into())],
        }
    }

    /// An image of several platforms.
    pub fn list<'a>(images: impl IntoIterator<Item = (&'a str, Self)>) -> Self {
        let images = images.into_iter();
        Self::index(images.map(|(platform, image)| {
            let platform = platform_json(platform);
            (json!({"platform": platform}), image)
        }))
    }

    /// An image index; with each image what its entry says of it beside type, digest and size.
    pub fn index(images: impl IntoIterator<Item = (Value, Self)>) -> Self {
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
        let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries});
        list.manifests
            .push((OCI_INDEX.to_owned(), index.to_string().into()));
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

    /// The only image of a layout.
    pub fn from_layout(layout: &Path) -> Self {
        let index: Value =
            serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap();
        let mut image = Self {
            blobs: Vec::new(),
            manifests: Vec::new(),
        };
        image.read(layout, &index["manifests"][0]);
        image
    }

    fn read(&mut self, layout: &Path, manifest: &Value) {
        let blob = |descriptor: &Value| {
            let digest: Digest = descriptor["digest"].as_str().unwrap().parse().unwrap();
            let bytes = fs::read(blob_path(layout, &digest)).unwrap();
            (digest, Bytes::from(bytes))
        };
        let (_, bytes) = blob(manifest);
        let parsed: Value = serde_json::from_slice(&bytes).unwrap();
        for child in parsed["manifests"].as_array().unwrap_or(&Vec::new()) {
            self.read(layout, child);
        }
        let layers = parsed["layers"].as_array().into_iter().flatten();
        self.blobs
            .extend(layers.chain(parsed.get("config")).map(blob));
        let media_type = manifest["mediaType"].as_str().unwrap().to_owned();
        self.manifests.push((media_type, bytes));
    }

    /// Its digest.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.manifests.last().unwrap().1)
    }

    /// Its blobs.
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

    /// Makes a layout of it in an empty directory.
    pub fn write_layout(&self, layout: &Path, tag: &str) {
        fs::create_dir_all(layout.join("blobs/sha256")).unwrap();
        let manifests = self.manifests.iter();
        let manifests = manifests.map(|(_, bytes)| (Digest::of(bytes), bytes.clone()));
        for (digest, bytes) in self.blobs.iter().cloned().chain(manifests) {
            fs::write(blob_path(layout, &digest), bytes).unwrap();
        }
        let mut entry = self.descriptor();
        entry["annotations"] = json!({"org.opencontainers.image.ref.name": tag});
        let index = json!({"schemaVersion": 2, "manifests": [entry]});
        fs::write(layout.join("index.json"), index.to_string()).unwrap();
        fs::write(
            layout.join("oci-layout"),
            r#"{"imageLayoutVersion":"1.0.0"}"#,
        )
        .unwrap();
    }

    /// A new layout of it, under the tag `v1`, with its reference.
    pub fn layout(&self) -> (TempDir, String) {
        let layout = TempDir::new().unwrap();
        self.write_layout(layout.path(), "v1");
        let reference = format!("oci:{}:v1", layout.path().display());
        (layout, reference)
    }
}

/// Where a layout has a blob.
pub fn blob_path(layout: &Path, digest: &Digest) -> std::path::PathBuf {
    layout.join("blobs/sha256").join(digest.hex())
}

/// What a layout has under a tag.
pub fn manifest_under(layout: &Path, tag: &str) -> Value {
    let read = |path: &Path| -> Value { serde_json::from_slice(&fs::read(path).unwrap()).unwrap() };
    let index = read(&layout.join("index.json"));
    let entries = index["manifests"].as_array().unwrap();
    let entry = entries
        .iter()
        .find(|entry| entry["annotations"]["org.opencontainers.image.ref.name"] == tag);
    let digest = entry.unwrap()["digest"].as_str().unwrap().parse().unwrap();
    read(&blob_path(layout, &digest))
}

/// Every file below a directory, and what is in it.
pub fn files_of(directory: &Path) -> std::collections::BTreeMap<std::path::PathBuf, Bytes> {
    let mut files = std::collections::BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_of(&path));
        } else {
            files.insert(path.clone(), fs::read(path).unwrap().into());
        }
    }
    files
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
