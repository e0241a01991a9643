//! An image of a layout by its name or digest.

use soci_format::{
    digest::Digest,
    oci::{Descriptor, LayoutImage, Manifest, Platform, media_type},
};

use super::{
    Error, Layout,
    names::{Ambiguous, Found, Kind, Names},
};

/// Names that an error lists, of thousands.
const LISTED_MAX: usize = 20;

impl Layout {
    /// What `name` and `digest` mean here; without both, the only image. `None` where there is none.
    pub fn find(
        &self,
        name: Option<&str>,
        digest: Option<&Digest>,
    ) -> Result<Option<Found>, Error> {
        let (entries, annotations, _) = self.index()?;
        let names = Names {
            entries: &entries,
            annotations: &annotations,
            kind: &|entry| self.kind(entry),
        };
        let found = names
            .find(name, digest)
            .map_err(|unclear| self.unclear(unclear, name, digest))?;
        match (found, name, digest) {
            // What is named nowhere has its digest still.
            (None, None, Some(digest)) => self.find_blob(digest),
            (found, ..) => Ok(found),
        }
    }

    /// The manifest of this digest, by whatever it is named.
    pub(crate) fn find_blob(&self, digest: &Digest) -> Result<Option<Found>, Error> {
        let size = self.blob_size(digest)?;
        Ok(size.map(|size| Found {
            descriptor: Descriptor::new("", *digest, size),
            list: None,
            name: None,
        }))
    }

    /// The same, where it must be there.
    pub fn image(&self, image: &LayoutImage) -> Result<Found, Error> {
        let (name, digest) = (image.name.as_deref(), image.digest.as_ref());
        if let Some(found) = self.find(name, digest)? {
            return Ok(found);
        }
        let (entries, annotations, unread) = self.index()?;
        if let (true, Some(error)) = (entries.is_empty(), unread) {
            return Err(self.not_a_layout(&format!("index.json: {error}")));
        }
        let names = Names {
            entries: &entries,
            annotations: &annotations,
            kind: &|_| Kind::Unknown,
        };
        Err(Error::NoImage {
            layout: self.place.clone(),
            wanted: match (name, digest) {
                (Some(name), _) => name.to_owned(),
                (None, Some(digest)) => digest.to_string(),
                (None, None) => "without a name".to_owned(),
            },
            there: names.names().map(str::to_owned).collect(),
        })
    }

    /// The descriptor for `name`; without one, that of the only image.
    pub fn resolve(&self, name: Option<&str>) -> Result<Option<Descriptor>, Error> {
        Ok(self.find(name, None)?.map(|found| found.descriptor))
    }

    fn unclear(&self, unclear: Ambiguous, name: Option<&str>, digest: Option<&Digest>) -> Error {
        let layout = self.place.clone();
        match (unclear, digest) {
            (Ambiguous::Digest(found), Some(wanted)) => Error::OtherDigest {
                name: format!("{layout}:{}", name.unwrap_or_default()),
                found,
                wanted: *wanted,
            },
            (Ambiguous::Digest(found), None) => Error::Ambiguous {
                choices: vec![format!("{layout}@{found}")],
                layout,
            },
            (Ambiguous::Several(choices), _) => Error::Ambiguous {
                choices: choices
                    .iter()
                    .map(|choice| format!("{layout}{choice}"))
                    .collect(),
                layout,
            },
        }
    }

    /// What an entry's manifest is, as far as it can be read.
    fn kind(&self, entry: &Descriptor) -> Kind {
        let Ok(Some(bytes)) = self.manifest(&entry.digest) else {
            return Kind::Unknown;
        };
        match Manifest::parse("", &bytes) {
            Ok(Manifest::Index(_)) => Kind::Index,
            Ok(Manifest::Image(manifest)) => {
                let config = &manifest.config;
                if ![media_type::OCI_CONFIG, media_type::DOCKER_CONFIG]
                    .contains(&config.media_type.as_str())
                {
                    return Kind::Other;
                }
                let Ok(Some(config)) = self.manifest(&config.digest) else {
                    return Kind::Unknown;
                };
                match serde_json::from_slice::<Platform>(&config) {
                    Ok(platform) if !platform.os.is_empty() => Kind::Image(platform),
                    // As signatures have it.
                    _ => Kind::Other,
                }
            }
            Err(_) => Kind::Unknown,
        }
    }
}

/// These, or as many of them as fit a line.
pub(super) fn listed(all: &[String], separator: &str) -> String {
    let shown = all[..all.len().min(LISTED_MAX)].join(separator);
    match all.len() {
        0 => "none with a name".to_owned(),
        many if many > LISTED_MAX => format!("{shown}{separator}…"),
        _ => shown,
    }
}
