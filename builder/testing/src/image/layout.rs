//! Images in OCI layouts.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use serde_json::{Value, json};
use soci_format::digest::Digest;
use tempfile::TempDir;

use super::Image;

impl Image {
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
pub fn blob_path(layout: &Path, digest: &Digest) -> PathBuf {
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
pub fn files_of(directory: &Path) -> BTreeMap<PathBuf, Bytes> {
    let mut files = BTreeMap::new();
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
