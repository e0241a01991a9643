//! What a repository holds: images by digest, tags, and who refers to whom.
//! In: manifests that were stored. Out: answers about them. Pure; the bytes are elsewhere.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::SystemTime,
};

use serde_json::Value;

use crate::digest::{digest, is_digest};

/// A repository's contents.
#[derive(Default)]
pub(crate) struct Contents {
    images: BTreeMap<String, Image>,
    tags: BTreeMap<String, String>,
    /// Digests of images that nobody can have until they are restored.
    archived: BTreeSet<String>,
}

/// A manifest of any kind, as far as others must know it.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    pub(crate) digest: String,
    pub(crate) media_type: String,
    /// Of the manifest.
    pub(crate) manifest_bytes: u64,
    /// Of the layers and the config.
    pub(crate) content_bytes: u64,
    pub(crate) artifact_type: Option<String>,
    pub(crate) annotations: Option<Value>,
    pub(crate) subject: Option<String>,
    /// Manifests that it lists.
    pub(crate) children: Vec<String>,
    /// Config and layers.
    pub(crate) blobs: Vec<String>,
    pub(crate) pushed_at: SystemTime,
}

/// An image cannot be deleted while an index lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListedBy(pub(crate) Vec<String>);

impl Image {
    /// Reads a manifest. `stated` is its type as the client says; empty where it says none.
    pub(crate) fn read(bytes: &[u8], stated: &str) -> Result<Self, String> {
        let json: Value = serde_json::from_slice(bytes).map_err(|why| why.to_string())?;
        let own = json["mediaType"].as_str();
        let media_type = match (own, stated) {
            (Some(own), "") => own,
            (Some(own), stated) if own != stated => {
                return Err(format!("mediaType is {own}, Content-Type is {stated}"));
            }
            (None, "") => return Err("no media type".to_owned()),
            (_, stated) => stated,
        };
        let digests = |list: Vec<&Value>| -> Result<Vec<String>, String> {
            let own = |one: &Value| match one["digest"].as_str() {
                Some(digest) if is_digest(digest) => Ok(digest.to_owned()),
                _ => Err(format!("not a descriptor: {one}")),
            };
            list.into_iter().map(own).collect()
        };
        let items = |name: &str| json[name].as_array().into_iter().flatten();
        // Layers that lie elsewhere (`urls`) are not pushed.
        let layers = items("layers").filter(|layer| layer.get("urls").is_none());
        let blobs: Vec<&Value> = json.get("config").into_iter().chain(layers).collect();
        let is_index = json.get("manifests").is_some();
        if !is_index && json.get("config").is_none() {
            return Err("neither a config nor manifests".to_owned());
        }
        let artifact_type = json["artifactType"].as_str();
        let config_type = json["config"]["mediaType"].as_str();
        let text = |one: &str| one.to_owned();
        Ok(Self {
            digest: digest(bytes),
            media_type: media_type.to_owned(),
            manifest_bytes: bytes.len() as u64,
            content_bytes: blobs.iter().filter_map(|blob| blob["size"].as_u64()).sum(),
            artifact_type: artifact_type.or(config_type).map(text),
            annotations: json.get("annotations").cloned(),
            subject: json["subject"]["digest"].as_str().map(text),
            children: digests(items("manifests").collect())?,
            blobs: digests(blobs)?,
            pushed_at: SystemTime::now(),
        })
    }
}

impl Contents {
    pub(crate) fn image(&self, digest: &str) -> Option<&Image> {
        self.images.get(digest)
    }

    /// The digest under a tag.
    pub(crate) fn tagged(&self, tag: &str) -> Option<&str> {
        self.tags.get(tag).map(String::as_str)
    }

    /// The image of a tag or a digest.
    pub(crate) fn find(&self, reference: &str) -> Option<&Image> {
        let digest = if is_digest(reference) {
            reference
        } else {
            self.tagged(reference)?
        };
        self.image(digest)
    }

    pub(crate) fn images(&self) -> impl Iterator<Item = &Image> {
        self.images.values()
    }

    pub(crate) fn tags(&self) -> impl Iterator<Item = &str> {
        self.tags.keys().map(String::as_str)
    }

    pub(crate) fn tags_of(&self, digest: &str) -> Vec<String> {
        let tags = self.tags.iter().filter(|(_, tagged)| *tagged == digest);
        tags.map(|(tag, _)| tag.clone()).collect()
    }

    /// Puts an image there, and a tag on it.
    pub(crate) fn put(&mut self, image: Image, tag: Option<&str>) {
        if let Some(tag) = tag {
            self.tags.insert(tag.to_owned(), image.digest.clone());
        }
        // Pushed again, it keeps the time of its first push.
        self.images.entry(image.digest.clone()).or_insert(image);
    }

    /// Takes a tag away, and its image where that was its last tag. The image's digest; none where there is no such tag.
    pub(crate) fn untag(&mut self, tag: &str) -> Option<Result<String, ListedBy>> {
        let digest = self.tagged(tag)?.to_owned();
        if self.tags_of(&digest).len() == 1 {
            if let Err(listed) = self.listed_by(&digest) {
                return Some(Err(listed));
            }
            self.images.remove(&digest);
        }
        self.tags.remove(tag);
        Some(Ok(digest))
    }

    /// Takes an image and all its tags away; the tags. None where there is no such image.
    pub(crate) fn delete(&mut self, digest: &str) -> Option<Result<Vec<String>, ListedBy>> {
        self.image(digest)?;
        if let Err(listed) = self.listed_by(digest) {
            return Some(Err(listed));
        }
        let tags = self.tags_of(digest);
        self.tags.retain(|_, tagged| tagged != digest);
        self.images.remove(digest);
        Some(Ok(tags))
    }

    fn listed_by(&self, digest: &str) -> Result<(), ListedBy> {
        let lists = |image: &&Image| image.children.iter().any(|child| child == digest);
        let lists: Vec<_> = self.images().filter(lists).collect();
        match lists.is_empty() {
            true => Ok(()),
            false => Err(ListedBy(
                lists.iter().map(|image| image.digest.clone()).collect(),
            )),
        }
    }

    /// The referrers of a digest, of these types where there are some.
    pub(crate) fn referrers(&self, subject: &str, types: &BTreeSet<String>) -> Vec<&Image> {
        let wanted = |image: &&Image| {
            let has_type = image.artifact_type.as_ref();
            image.subject.as_deref() == Some(subject)
                && (types.is_empty() || has_type.is_some_and(|one| types.contains(one)))
        };
        self.images().filter(wanted).collect()
    }

    /// Moves an image to the archive.
    pub(crate) fn archive(&mut self, digest: &str) {
        self.archived.insert(digest.to_owned());
    }

    /// Whether an image is in the archive.
    pub(crate) fn is_archived(&self, digest: &str) -> bool {
        self.archived.contains(digest)
    }

    /// Whether a blob is in the archive: only images that are there need it.
    pub(crate) fn is_blob_archived(&self, blob: &str) -> bool {
        let has = |image: &&Image| image.blobs.iter().any(|one| one == blob);
        let mut all = self.images().filter(has).peekable();
        all.peek().is_some() && all.all(|image| self.is_archived(&image.digest))
    }

    /// Whether some image needs this blob.
    pub(crate) fn needs(&self, blob: &str) -> bool {
        let mut all = self.images().flat_map(|image| &image.blobs);
        all.any(|one| one == blob)
    }
}
