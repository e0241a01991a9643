//! `index.json`: read as far as it can be, and written with new entries beside the old ones. Pure.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use soci_format::oci::{Annotations, Descriptor, to_go_json};

use super::{
    image_name::parts,
    names::{IMAGE_NAME, REF_NAME, name_of},
};

/// `index.json`, with its entries whole: what others put there stays.
#[derive(Serialize, Deserialize)]
struct IndexFile {
    #[serde(rename = "schemaVersion")]
    schema_version: u32,
    #[serde(rename = "mediaType", default, skip_serializing_if = "Option::is_none")]
    media_type: Option<String>,
    #[serde(
        rename = "artifactType",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    artifact_type: Option<String>,
    manifests: Option<Vec<Entry>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    annotations: Option<Annotations>,
}

/// One entry, in the usual order of its fields where these are all that it has.
#[derive(Serialize, Deserialize)]
#[serde(untagged, from = "Value")]
enum Entry {
    Known(Box<Descriptor>),
    More(Value),
}

impl From<Value> for Entry {
    fn from(value: Value) -> Self {
        match Descriptor::deserialize(&value) {
            Ok(descriptor) if serde_json::to_value(&descriptor).ok().as_ref() == Some(&value) => {
                Self::Known(Box::new(descriptor))
            }
            _ => Self::More(value),
        }
    }
}

impl Entry {
    fn read(&self) -> Result<Descriptor, serde_json::Error> {
        match self {
            Self::Known(descriptor) => Ok((**descriptor).clone()),
            Self::More(value) => Descriptor::deserialize(value),
        }
    }
}

/// The entries of `index.json` that can be read, its own annotations, and why an entry cannot be read, if one cannot.
pub type Entries = (Vec<Descriptor>, Annotations, Option<serde_json::Error>);

/// Reads `index.json`. Entries that cannot be read, such as those with digests of another kind, are passed over.
///
/// # Errors
/// Where it is not of the form of an image index.
pub fn entries(index: &[u8]) -> Result<Entries, serde_json::Error> {
    let index: IndexFile = serde_json::from_slice(index)?;
    let mut entries = Vec::new();
    let mut unread = None;
    for entry in index.manifests.unwrap_or_default() {
        match entry.read() {
            Ok(entry) => entries.push(entry),
            Err(error) => unread = Some(error),
        }
    }
    Ok((entries, index.annotations.unwrap_or_default(), unread))
}

/// `index.json` with new entries, each under its name or none; `None` where it has them all. An entry replaces those that had
/// its name, or, without a name, those of its digest that have none either; all others stay as they are.
///
/// # Errors
/// Where it is not of the form of an image index.
pub fn with_entries(
    index: &[u8],
    new: &[(Descriptor, Option<String>)],
) -> Result<Option<Vec<u8>>, serde_json::Error> {
    let mut index: IndexFile = serde_json::from_slice(index)?;
    let manifests = index.manifests.get_or_insert_default();
    let mut is_new = false;
    for (descriptor, name) in new {
        let replaces = |old: &Descriptor| match (name_of(old), name) {
            (Some(old), Some(new)) => old == new,
            (None, None) => old.digest == descriptor.digest,
            _ => false,
        };
        let known: Vec<Descriptor> = manifests.iter().filter_map(|old| old.read().ok()).collect();
        let mut replaced = known.iter().filter(|old| replaces(old));
        let is_there = replaced
            .next()
            .is_some_and(|old| old.digest == descriptor.digest)
            && replaced.next().is_none();
        if !is_there {
            let as_containerd = known
                .iter()
                .any(|old| old.annotations.contains_key(IMAGE_NAME));
            manifests.retain(|old| !old.read().is_ok_and(|old| replaces(&old)));
            let entry = named(descriptor.clone(), name.as_deref(), as_containerd);
            manifests.push(Entry::Known(Box::new(entry)));
            is_new = true;
        }
    }
    Ok(is_new.then(|| to_go_json(&index)))
}

/// An entry under `name`. Where others have their whole name beside the tag, so has this one.
fn named(mut entry: Descriptor, name: Option<&str>, as_containerd: bool) -> Descriptor {
    entry.annotations.remove(REF_NAME);
    entry.annotations.remove(IMAGE_NAME);
    let mut annotate =
        |key: &str, value: &str| entry.annotations.insert(key.to_owned(), value.to_owned());
    match name.map(|name| (name, parts(name))) {
        Some((name, (Some(_), Some(tag)))) if as_containerd => {
            annotate(IMAGE_NAME, name);
            annotate(REF_NAME, tag);
        }
        Some((name, _)) => {
            annotate(REF_NAME, name);
        }
        None => {}
    }
    entry
}
