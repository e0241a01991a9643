//! Version 2: an image and its SOCI indexes become a new image index.
//! In: the image's entries, and which of them have an index. Out: the manifests to push, children first.

use std::collections::HashMap;

use crate::{
    choice::{Candidate, Kind, ShadowedImage, shadowed},
    digest::Digest,
    image::{Entry, Image, Link, Role},
    index::{INDEX_DIGEST, MANIFEST_DIGEST, V2},
    oci::{Annotations, Descriptor, ImageIndex, media_type, to_go_json},
};

/// BuildKit's link from an attestation to the manifest that it is about.
const ATTESTS: &str = "vnd.docker.reference.digest";

/// A new image.
pub struct Conversion {
    /// The platforms' rewritten manifests: position among the image's entries, descriptor, bytes.
    pub manifests: Vec<(usize, Descriptor, Vec<u8>)>,
    /// The new image index.
    pub descriptor: Descriptor,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Converts `image`. `soci_indexes` has the descriptor of a SOCI index by the position of the entry that it is for.
///
/// Every platform's manifest takes OCI media types, because registries take offence at a mixture. Attestations keep
/// theirs: somebody may have signed them; only their link follows the manifest that they are about. (The reference
/// implementation rewrites them and loses the link.)
///
/// # Errors
/// Where clients would take something else for the image: an artifact that the image's index lists before it.
pub fn convert(
    image: &Image,
    soci_indexes: &HashMap<usize, Descriptor>,
) -> Result<Conversion, ShadowedImage> {
    let old = OldIndexes::of(image, soci_indexes);
    let mut manifests = Vec::new();
    let mut listed = Vec::new();
    let mut renamed: HashMap<String, Digest> = HashMap::new();
    for (at, entry) in image.entries.iter().enumerate() {
        let mut descriptor = entry.descriptor.clone();
        if let Role::Platform { platform, manifest } = &entry.role {
            let mut manifest = manifest.clone();
            manifest.media_type = media_type::OCI_MANIFEST.to_owned();
            manifest.config.media_type = media_type::OCI_CONFIG.to_owned();
            if let Some(soci_index) = soci_indexes.get(&at) {
                manifest
                    .annotations
                    .insert(INDEX_DIGEST.to_owned(), soci_index.digest.to_string());
            } else if !old.is_listed(&manifest.annotations) {
                manifest.annotations.remove(INDEX_DIGEST);
            }
            let bytes = to_go_json(&manifest);
            let new = Descriptor::of(media_type::OCI_MANIFEST, &bytes);
            renamed.insert(entry.descriptor.digest.to_string(), new.digest);
            descriptor.media_type.clone_from(&new.media_type);
            (descriptor.digest, descriptor.size) = (new.digest, new.size);
            descriptor.annotations = manifest.annotations;
            descriptor.data = None;
            // Clients prefer entries with a platform, and the SOCI index has one.
            if !descriptor
                .platform
                .as_ref()
                .is_some_and(|of| of.is_complete())
            {
                descriptor.platform = Some(platform.clone());
            }
            manifests.push((at, new, bytes));
        }
        listed.push(descriptor);
    }
    for (entry, listed) in image.entries.iter().zip(&mut listed) {
        if !matches!(entry.role, Role::Platform { .. })
            && let Some(link) = listed.annotations.get_mut(ATTESTS)
            && let Some(new) = renamed.get(link.as_str())
        {
            *link = new.to_string();
        }
    }
    let entries = old.replaced(image, &listed, soci_indexes);
    let candidates: Vec<_> = entries
        .iter()
        .map(|(descriptor, kind)| Candidate {
            descriptor,
            kind: *kind,
        })
        .collect();
    if let Some(shadowed) = shadowed(&candidates, |_| true).into_iter().next() {
        return Err(shadowed);
    }
    let manifests_listed = entries.into_iter().map(|(descriptor, _)| descriptor);
    let index = ImageIndex {
        media_type: media_type::OCI_INDEX.to_owned(),
        manifests: manifests_listed.collect(),
        ..image.index.clone().unwrap_or_else(empty)
    };
    let bytes = to_go_json(&index);
    Ok(Conversion {
        manifests,
        descriptor: Descriptor::of(media_type::OCI_INDEX, &bytes),
        bytes,
    })
}

fn empty() -> ImageIndex {
    ImageIndex {
        schema_version: 2,
        media_type: String::new(),
        artifact_type: None,
        manifests: Vec::new(),
        subject: None,
        annotations: Annotations::new(),
    }
}

/// The SOCI indexes that an image brings along, by the positions of their entries: the position of the image that each is for.
struct OldIndexes<'a> {
    image: &'a Image,
    owners: HashMap<usize, usize>,
}

impl<'a> OldIndexes<'a> {
    fn of(image: &'a Image, soci_indexes: &HashMap<usize, Descriptor>) -> Self {
        let mut owners = HashMap::new();
        for (at, entry) in image.entries.iter().enumerate() {
            if matches!(entry.role, Role::SociIndex) {
                let owner = owner(image, entry, |of| soci_indexes.contains_key(&of));
                owners.extend(owner.map(|owner| (at, owner)));
            }
        }
        Self { image, owners }
    }

    /// Whether the SOCI index that an image's manifest names is listed, so that a client can find it.
    fn is_listed(&self, annotations: &Annotations) -> bool {
        let named = annotations.get(INDEX_DIGEST);
        self.owners.keys().any(|&at| {
            let digest = self.image.entries[at].descriptor.digest;
            named == Some(&digest.to_string())
        })
    }

    /// The entries of the new index: `listed`, with new SOCI indexes in the place of old ones where that is behind their image, and
    /// else at the end. An old one that is for no image goes: a client could take it for one.
    fn replaced(
        &self,
        image: &'a Image,
        listed: &[Descriptor],
        soci_indexes: &HashMap<usize, Descriptor>,
    ) -> Vec<(Descriptor, Kind<'a>)> {
        let mut entries = Vec::new();
        let mut late = Vec::new();
        let mut done = Vec::new();
        for (at, entry) in image.entries.iter().enumerate() {
            if !matches!(entry.role, Role::SociIndex) {
                entries.push((listed[at].clone(), entry.kind()));
                continue;
            }
            let Some(&owner) = self.owners.get(&at) else {
                continue;
            };
            let descriptor = match soci_indexes.get(&owner) {
                None => &entry.descriptor,
                Some(_) if done.contains(&owner) => continue,
                Some(new) => {
                    done.push(owner);
                    new
                }
            };
            let descriptor = soci_entry(descriptor, &listed[owner]);
            let into = if at > owner { &mut entries } else { &mut late };
            into.push((descriptor, Kind::SociIndex));
        }
        let mut owners: Vec<_> = soci_indexes.keys().copied().collect();
        owners.sort_unstable();
        for owner in owners.into_iter().filter(|owner| !done.contains(owner)) {
            let descriptor = soci_entry(&soci_indexes[&owner], &listed[owner]);
            late.push((descriptor, Kind::SociIndex));
        }
        entries.append(&mut late);
        entries
    }
}

/// The entry of a SOCI index for the image that `of` names.
fn soci_entry(soci_index: &Descriptor, of: &Descriptor) -> Descriptor {
    let mut entry = soci_index.clone();
    let link = (MANIFEST_DIGEST.to_owned(), of.digest.to_string());
    entry.annotations.extend([link]);
    entry.platform = of.platform.clone().or(entry.platform);
    entry.artifact_type = Some(V2.to_owned());
    entry
}

/// The position of the image that a SOCI index is for. It must name that image or be named by it; only where the image gets a new
/// index (`is_indexed`) is it enough that both are for one platform.
fn owner(image: &Image, soci_index: &Entry, is_indexed: impl Fn(usize) -> bool) -> Option<usize> {
    let soci_index = &soci_index.descriptor;
    let named = soci_index.annotations.get(MANIFEST_DIGEST);
    let links = |at: usize, entry: &Entry| {
        match &entry.role {
            Role::Platform { platform, manifest } => {
                let link = Link::between(soci_index, &entry.descriptor, platform, manifest);
                let (names, is_same) = (link.names == Some(true), link.is_same_platform);
                let rank = match (link.is_named, names) {
                    (true, _) => 2,
                    // Whose own annotation names another has no use for it, unless it gets a new one anyway.
                    (false, true) if is_indexed(at) => 1,
                    (false, _) if is_indexed(at) && is_same => 0,
                    _ => return None,
                };
                Some((rank, names, is_same))
            }
            Role::Missing(_) => {
                let names = named == Some(&entry.descriptor.digest.to_string());
                names.then_some((2, true, false))
            }
            _ => None,
        }
    };
    let entries = image.entries.iter().enumerate();
    // Of several equal ones the first.
    let ranked = entries
        .rev()
        .filter_map(|(at, entry)| Some((links(at, entry)?, at)));
    ranked.max_by_key(|(rank, _)| *rank).map(|(_, at)| at)
}
