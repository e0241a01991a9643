//! Version 2: an image and its SOCI indexes become a new image index.
//! In: the image's entries, and which of them have an index. Out: the manifests to push, children first.

use std::collections::HashMap;

use crate::{
    digest::Digest,
    image::{Image, Role},
    index::{INDEX_DIGEST, MANIFEST_DIGEST, V2},
    oci::{Descriptor, ImageIndex, media_type, to_go_json},
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
pub fn convert(image: &Image, soci_indexes: &HashMap<usize, Descriptor>) -> Conversion {
    let mut index = image.index.clone().unwrap_or_else(|| ImageIndex {
        schema_version: 2,
        media_type: String::new(),
        artifact_type: None,
        manifests: Vec::new(),
        subject: None,
        annotations: Default::default(),
    });
    index.media_type = media_type::OCI_INDEX.to_owned();
    index.manifests = image
        .entries
        .iter()
        .map(|entry| entry.descriptor.clone())
        .collect();

    let mut manifests = Vec::new();
    let mut renamed: HashMap<String, Digest> = HashMap::new();
    for (at, entry) in image.entries.iter().enumerate() {
        let Role::Platform { manifest, .. } = &entry.role else {
            continue;
        };
        let mut manifest = manifest.clone();
        manifest.media_type = media_type::OCI_MANIFEST.to_owned();
        manifest.config.media_type = media_type::OCI_CONFIG.to_owned();
        if let Some(soci_index) = soci_indexes.get(&at) {
            manifest
                .annotations
                .insert(INDEX_DIGEST.to_owned(), soci_index.digest.to_string());
        }
        let bytes = to_go_json(&manifest);
        let new = Descriptor::of(media_type::OCI_MANIFEST, &bytes);
        renamed.insert(entry.descriptor.digest.to_string(), new.digest);
        let listed = &mut index.manifests[at];
        listed.media_type.clone_from(&new.media_type);
        (listed.digest, listed.size) = (new.digest, new.size);
        listed.annotations = manifest.annotations;
        listed.data = None;
        manifests.push((at, new, bytes));
    }
    for (entry, listed) in image.entries.iter().zip(&mut index.manifests) {
        if !matches!(entry.role, Role::Platform { .. }) {
            for link in [ATTESTS, MANIFEST_DIGEST] {
                if let Some(link) = listed.annotations.get_mut(link)
                    && let Some(new) = renamed.get(link.as_str())
                {
                    *link = new.to_string();
                }
            }
        }
    }
    for (at, entry) in image.entries.iter().enumerate() {
        let (Role::Platform { platform, .. }, Some(soci_index)) =
            (&entry.role, soci_indexes.get(&at))
        else {
            continue;
        };
        let mut listed =
            Descriptor::new(media_type::OCI_MANIFEST, soci_index.digest, soci_index.size);
        listed.annotations.insert(
            MANIFEST_DIGEST.to_owned(),
            index.manifests[at].digest.to_string(),
        );
        listed.platform = Some(platform.clone());
        listed.artifact_type = Some(V2.to_owned());
        let replaced = image.entries.iter().position(|old| {
            let of = old.descriptor.platform.as_ref();
            matches!(old.role, Role::SociIndex) && of.is_some_and(|of| of.same_as(platform))
        });
        match replaced {
            Some(at) => index.manifests[at] = listed,
            None => index.manifests.push(listed),
        }
    }
    let bytes = to_go_json(&index);
    Conversion {
        manifests,
        descriptor: Descriptor::of(media_type::OCI_INDEX, &bytes),
        bytes,
    }
}
