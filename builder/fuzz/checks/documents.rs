//! Manifests, references and platforms: what is read is the same after it was written.

use std::ffi::OsStr;

use soci_format::oci::{
    ImageIndex, LayerEncoding, Manifest, Place, Platform, Reference, to_go_json,
};

/// A manifest that parses is the same manifest after it was written.
pub(crate) fn manifest(bytes: &[u8]) {
    if let Ok(manifest) = Manifest::parse("", bytes) {
        let media_type = manifest.media_type_or("");
        let written = match &manifest {
            Manifest::Image(image) => to_go_json(image),
            Manifest::Index(index) => to_go_json(index),
        };
        if let Manifest::Image(image) = &manifest {
            for layer in &image.layers {
                let _ = LayerEncoding::declared_by(&layer.media_type).to_string();
            }
        }
        assert_eq!(Manifest::parse(&media_type, &written).ok(), Some(manifest));
    }
    // A layout's index, and a list of referrers.
    if let Ok(index) = serde_json::from_slice::<ImageIndex>(bytes) {
        let again = serde_json::from_slice::<ImageIndex>(&to_go_json(&index));
        assert_eq!(again.ok().as_ref(), Some(&index));
        for platform in index.manifests.iter().filter_map(|of| of.platform.as_ref()) {
            let normalized = platform.normalized();
            assert_eq!(normalized, normalized.normalized());
            assert!(platform.same_as(&normalized));
        }
    }
}

/// A reference into a registry that parses is the same reference after it was shown; so is a platform.
pub(crate) fn reference(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(reference) = text.parse::<Reference>() {
        // A layout's path ends where it exists, whatever it and the name hold.
        let path = match &reference {
            Reference::Layout(image) => match &image.place {
                Place::Directory(path) | Place::Archive(path) => path.as_os_str(),
                Place::Stdin => OsStr::new(""),
            },
            Reference::Registry(_) => OsStr::new(""),
        };
        let again = Reference::parse(&reference.to_string(), &|it| it.as_os_str() == path);
        assert_eq!(again.as_ref().ok(), Some(&reference));
    }
    if let Ok(platform) = text.parse::<Platform>() {
        assert_eq!(
            platform.to_string().parse::<Platform>().ok(),
            Some(platform)
        );
    }
}
