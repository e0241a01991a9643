//! What a layer's media type says of its bytes.

use std::fmt;

/// How a layer is stored, as its media type declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LayerEncoding {
    /// A gzip stream.
    Gzip,
    /// A tar archive as it is.
    Uncompressed,
    /// Docker's plain layer type, which its own tools have used for gzip too.
    Unknown,
    /// Compressed with something that cannot be indexed.
    Other(String),
    /// No layer of a file system.
    NotALayer,
}

impl LayerEncoding {
    /// What `media_type` declares.
    pub fn declared_by(media_type: &str) -> Self {
        let (base, compression) = match media_type.split_once('+') {
            Some((base, compression)) => (base, compression),
            None => match media_type.strip_prefix("application/vnd.docker.image.rootfs.") {
                Some(docker) => match docker.split_once(".tar.") {
                    Some((base, compression)) => (
                        &media_type[..media_type.len() - docker.len() + base.len() + 4],
                        compression,
                    ),
                    None => (media_type, "?"),
                },
                None => (media_type, ""),
            },
        };
        match (base, compression) {
            (
                "application/vnd.oci.image.layer.v1.tar"
                | "application/vnd.oci.image.layer.nondistributable.v1.tar"
                | "application/vnd.docker.image.rootfs.diff.tar"
                | "application/vnd.docker.image.rootfs.foreign.diff.tar",
                compression,
            ) => match compression {
                "gzip" => Self::Gzip,
                "" => Self::Uncompressed,
                "?" => Self::Unknown,
                other => Self::Other(other.to_owned()),
            },
            _ => Self::NotALayer,
        }
    }
}

/// Whether a layer of this type may be missing: its makers keep its bytes at the addresses in its descriptor (Windows base
/// layers). Many registries have them all the same. The addresses are never asked.
pub fn is_foreign(media_type: &str) -> bool {
    [
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "application/vnd.docker.image.rootfs.foreign.diff.tar",
    ]
    .iter()
    .any(|foreign| media_type.starts_with(foreign))
}

impl fmt::Display for LayerEncoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip => "gzip",
            Self::Uncompressed => "an uncompressed tar archive",
            Self::Unknown => "a layer",
            Self::Other(name) => name,
            Self::NotALayer => "no layer",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layer_type_in_use_is_known() {
        for (media_type, expected) in [
            (
                "application/vnd.oci.image.layer.v1.tar+gzip",
                LayerEncoding::Gzip,
            ),
            (
                "application/vnd.oci.image.layer.v1.tar",
                LayerEncoding::Uncompressed,
            ),
            (
                "application/vnd.oci.image.layer.v1.tar+zstd",
                LayerEncoding::Other("zstd".to_owned()),
            ),
            (
                "application/vnd.docker.image.rootfs.diff.tar.gzip",
                LayerEncoding::Gzip,
            ),
            (
                "application/vnd.docker.image.rootfs.diff.tar",
                LayerEncoding::Unknown,
            ),
            (
                "application/vnd.docker.image.rootfs.diff.tar.zstd",
                LayerEncoding::Other("zstd".to_owned()),
            ),
            (
                "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
                LayerEncoding::Gzip,
            ),
            (
                "application/vnd.docker.image.rootfs.foreign.diff.tar",
                LayerEncoding::Unknown,
            ),
            (
                "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
                LayerEncoding::Gzip,
            ),
            (
                "application/vnd.oci.image.layer.nondistributable.v1.tar",
                LayerEncoding::Uncompressed,
            ),
            (
                "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
                LayerEncoding::Other("zstd".to_owned()),
            ),
            ("application/vnd.in-toto+json", LayerEncoding::NotALayer),
            ("", LayerEncoding::NotALayer),
        ] {
            assert_eq!(
                LayerEncoding::declared_by(media_type),
                expected,
                "{media_type}"
            );
        }
    }
}
