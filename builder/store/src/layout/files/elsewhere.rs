//! What a place without an OCI layout may hold instead, and how to make one of it.

use serde::Deserialize;
use soci_format::{
    limits::Limits,
    oci::Place,
    shell::{copy_to_oci, quoted},
};

use crate::layout::Layout;

/// An image of a docker archive, as its `manifest.json` has it.
#[derive(Deserialize)]
struct Saved {
    #[serde(rename = "RepoTags", default)]
    tags: Option<Vec<String>>,
}

impl Layout {
    /// Why this is no layout, where `oci-layout` is missing.
    pub(super) fn without_a_layout(&self) -> String {
        let manifest = self.read("manifest.json", Limits::MANIFEST_BYTES);
        let (Ok(Some(manifest)), path) = (manifest, self.path.display().to_string()) else {
            return "the file oci-layout is missing".to_owned();
        };
        match &self.place {
            Place::Directory(_) if matches!(self.read("version", 4096), Ok(Some(_))) => {
                let copy = copy_to_oci(&format!("dir:{path}"), None, "latest");
                format!("it is a directory of skopeo's dir:; {copy}")
            }
            Place::Directory(_) => {
                let path = quoted(&path);
                format!(
                    "it is an unpacked docker archive; pack it (tar -C {path} -cf FILE .), and use docker-archive:FILE with skopeo copy"
                )
            }
            Place::Archive(_) | Place::Stdin => {
                let archive = if self.place == Place::Stdin {
                    "FILE".to_owned()
                } else {
                    path
                };
                let saved: Vec<Saved> = serde_json::from_slice(&manifest).unwrap_or_default();
                let tag = saved
                    .iter()
                    .flat_map(|one| one.tags.iter().flatten())
                    .next();
                let from = match tag {
                    Some(tag) => format!("docker-archive:{archive}:{tag}"),
                    None => format!("docker-archive:{archive}"),
                };
                let name = tag.map_or("latest", String::as_str);
                let copy = copy_to_oci(&from, Some(&archive), name);
                format!("it is a docker archive without an OCI layout; {copy}")
            }
        }
    }
}
