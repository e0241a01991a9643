//! Names of images in a layout: which entries of `index.json` are meant by a name, a digest, or neither.
//! In: the entries, and what kind of manifest each has. Out: one entry, or a list of platforms made of several. Pure.
//!
//! Tools name an entry in two ways: skopeo, buildah and podman write the whole name as `org.opencontainers.image.ref.name`,
//! or whatever else they were asked for; docker and containerd write only the tag there, and the whole name beside it.

use soci_format::{
    digest::Digest,
    oci::{Annotations, Descriptor, ImageIndex, Platform, media_type, to_go_json},
};

use super::image_name::short;

/// The annotation that names an image in a layout.
pub(super) const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// Where docker and containerd write an image's whole name.
pub(super) const IMAGE_NAME: &str = "io.containerd.image.name";

/// What an entry's manifest is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A platform's image.
    Image(Platform),
    /// An image index.
    Index,
    /// Something that is no image: a signature, a SOCI index.
    Other,
    /// It is not there, or cannot be read.
    Unknown,
}

/// What is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Names the manifest.
    pub descriptor: Descriptor,
    /// The manifest itself, where it is no blob of the layout: the list of those platforms that stand in `index.json`.
    pub list: Option<ImageIndex>,
    pub name: Option<String>,
}

/// Why nothing is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ambiguous {
    /// Several images could be meant; each with what to append to the layout's path.
    Several(Vec<String>),
    /// The name is that of another digest.
    Digest(Digest),
}

/// The entries of `index.json`.
pub struct Names<'a> {
    /// In their order.
    pub entries: &'a [Descriptor],
    /// Those of `index.json` itself.
    pub annotations: &'a Annotations,
    /// Tells what an entry is.
    pub kind: &'a dyn Fn(&Descriptor) -> Kind,
}

/// The name of an entry: the whole one, where both are there.
pub fn name_of(entry: &Descriptor) -> Option<&str> {
    let annotation = |key| entry.annotations.get(key).map(String::as_str);
    let is_name = |name: &&str| !name.is_empty();
    annotation(IMAGE_NAME)
        .filter(is_name)
        .or(annotation(REF_NAME).filter(is_name))
}

impl Names<'_> {
    /// What `name` and `digest` mean; without both, the layout's only image.
    ///
    /// # Errors
    /// Where several could be meant, or where the name is not that of the digest.
    pub fn find(
        &self,
        name: Option<&str>,
        digest: Option<&Digest>,
    ) -> Result<Option<Found>, Ambiguous> {
        match (name, digest) {
            (None, None) => self.only(),
            (Some(name), None) => self.named(name),
            (None, Some(digest)) => Ok(self.by_digest(digest)),
            (Some(name), Some(digest)) => {
                // Some write the digest into the name.
                if let Some(found) = self.named(&format!("{name}@{digest}"))? {
                    return Ok(Some(found));
                }
                let group = self.group(name)?;
                if let Some(entry) = group.iter().find(|entry| entry.digest == *digest) {
                    return Ok(Some(found_entry(entry)));
                }
                match self.image_of(&group)? {
                    Some(found) if found.descriptor.digest == *digest => Ok(Some(found)),
                    Some(found) => Err(Ambiguous::Digest(found.descriptor.digest)),
                    None => Ok(None),
                }
            }
        }
    }

    /// The image without a name, or else the only one that has names.
    fn only(&self) -> Result<Option<Found>, Ambiguous> {
        let names = || self.names().map(|name| format!(":{name}"));
        match self.image_of(&self.unnamed()) {
            Ok(None) => {}
            Ok(found) => return Ok(found),
            Err(Ambiguous::Several(digests)) => {
                return Err(Ambiguous::Several(
                    digests.into_iter().chain(names()).collect(),
                ));
            }
            Err(other) => return Err(other),
        }
        let groups = self.names().map(|name| self.image_of(&self.group(name)?));
        let mut images: Vec<_> = groups.filter_map(Result::transpose).collect();
        let digest = |image: &Result<Found, Ambiguous>| {
            image.as_ref().ok().map(|found| found.descriptor.digest)
        };
        match images.first().map(digest) {
            None => Ok(None),
            Some(first)
                if images.len() == 1
                    || first.is_some() && images.iter().all(|image| digest(image) == first) =>
            {
                images.swap_remove(0).map(Some)
            }
            Some(_) => Err(Ambiguous::Several(names().collect())),
        }
    }

    fn named(&self, name: &str) -> Result<Option<Found>, Ambiguous> {
        let group = self.group(name)?;
        match group.as_slice() {
            // Whatever it is: the name is its own.
            [entry] => Ok(Some(found_entry(entry))),
            group => self.image_of(group),
        }
    }

    fn by_digest(&self, digest: &Digest) -> Option<Found> {
        let mut entries = self.entries.iter().filter(|entry| entry.digest == *digest);
        let first = entries.clone().next();
        if let Some(entry) = entries.find(|entry| name_of(entry).is_some()).or(first) {
            return Some(found_entry(entry));
        }
        let groups = self
            .names()
            .map(|name| self.group(name).unwrap_or_default());
        groups
            .chain([self.unnamed()])
            .filter_map(|group| self.image_of(&group).ok().flatten())
            .find(|found| found.descriptor.digest == *digest)
    }

    /// All names, each once.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let names = || self.entries.iter().map(name_of);
        names().enumerate().filter_map(move |(at, name)| {
            name.filter(|_| !names().take(at).any(|earlier| earlier == name))
        })
    }

    /// The entries that `name` names, by their whole name or else by a part that only one image has.
    fn group(&self, name: &str) -> Result<Vec<&Descriptor>, Ambiguous> {
        let entries = |is_it: &dyn Fn(&Descriptor) -> bool| -> Vec<&Descriptor> {
            self.entries.iter().filter(|entry| is_it(entry)).collect()
        };
        let whole = entries(&|entry| name_of(entry) == Some(name));
        if !whole.is_empty() {
            return Ok(whole);
        }
        let in_part = entries(&|entry| {
            entry
                .annotations
                .get(REF_NAME)
                .is_some_and(|part| part == name)
                || name_of(entry).and_then(short) == Some(name)
        });
        let mut names: Vec<_> = in_part.iter().filter_map(|entry| name_of(entry)).collect();
        names.sort_unstable();
        names.dedup();
        if names.len() > 1 {
            return Err(Ambiguous::Several(
                names.iter().map(|name| format!(":{name}")).collect(),
            ));
        }
        Ok(in_part)
    }

    /// The entries without a name. What has a type of its own and no platform belongs to an image that it names itself.
    fn unnamed(&self) -> Vec<&Descriptor> {
        let is_one = |entry: &&Descriptor| {
            name_of(entry).is_none() && (entry.artifact_type.is_none() || entry.platform.is_some())
        };
        self.entries.iter().filter(is_one).collect()
    }

    /// The image that some entries are: the only one among them, or all of them as a list of platforms.
    fn image_of(&self, group: &[&Descriptor]) -> Result<Option<Found>, Ambiguous> {
        let mut entries: Vec<&Descriptor> = Vec::new();
        for entry in group {
            if !entries.iter().any(|known| known.digest == entry.digest) {
                entries.push(entry);
            }
        }
        let is_alone = entries.len() == 1;
        let images: Vec<_> = entries
            .iter()
            .filter(|entry| entry.artifact_type.is_none())
            .filter(|entry| !entry.platform.as_ref().is_some_and(Platform::is_unknown))
            .map(|entry| {
                let kind = if is_alone {
                    Kind::Unknown
                } else {
                    (self.kind)(entry)
                };
                (*entry, kind)
            })
            .filter(|(_, kind)| *kind != Kind::Other)
            .collect();
        let beside = |entry: &&Descriptor| {
            entry.platform.is_some()
                && !images.iter().any(|(image, _)| image.digest == entry.digest)
        };
        match images.as_slice() {
            [] => return Ok(None),
            [(image, kind)] if *kind == Kind::Index || !entries.iter().any(beside) => {
                return Ok(Some(found_entry(image)));
            }
            _ => {}
        }
        let mut platforms = Vec::new();
        for (image, kind) in &images {
            let platform = match (kind, &image.platform) {
                (Kind::Image(_) | Kind::Unknown, Some(platform))
                | (Kind::Image(platform), None) => platform.normalized(),
                _ => return Err(several(&images)),
            };
            if platforms.contains(&platform) {
                return Err(several(&images));
            }
            platforms.push(platform);
        }
        let is_in = |entry: &&Descriptor| {
            beside(entry) || images.iter().any(|(image, _)| image.digest == entry.digest)
        };
        Ok(Some(self.list(entries.into_iter().filter(is_in))))
    }

    /// The image index that these entries would be.
    fn list<'b>(&self, entries: impl Iterator<Item = &'b Descriptor>) -> Found {
        let mut name = None;
        let manifests = entries.map(|entry| {
            name = name_of(entry).map(str::to_owned);
            let mut entry = entry.clone();
            entry.annotations.remove(REF_NAME);
            entry.annotations.remove(IMAGE_NAME);
            entry
        });
        let mut list = ImageIndex {
            schema_version: 2,
            media_type: media_type::OCI_INDEX.to_owned(),
            artifact_type: None,
            manifests: manifests.collect(),
            subject: None,
            annotations: Annotations::new(),
        };
        if name.is_none() {
            // `index.json` is the image itself here.
            list.annotations = self.annotations.clone();
        }
        Found {
            descriptor: Descriptor::of(media_type::OCI_INDEX, &to_go_json(&list)),
            list: Some(list),
            name,
        }
    }
}

fn found_entry(entry: &Descriptor) -> Found {
    Found {
        descriptor: entry.clone(),
        list: None,
        name: name_of(entry).map(str::to_owned),
    }
}

fn several(images: &[(&Descriptor, Kind)]) -> Ambiguous {
    Ambiguous::Several(
        images
            .iter()
            .map(|(image, _)| format!("@{}", image.digest))
            .collect(),
    )
}
