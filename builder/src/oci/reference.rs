//! References: how a person names an image.

use std::{fmt, path::PathBuf, str::FromStr};

use crate::digest::Digest;

/// Where an image is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// `host/repo:tag` or `host/repo@sha256:…`.
    Registry(RegistryImage),
    /// `oci:DIR[:tag]`, an OCI layout.
    Layout {
        /// The layout's directory.
        path: PathBuf,
        /// `org.opencontainers.image.ref.name` of the image; may be left out where the layout has one image.
        tag: Option<String>,
    },
    /// `oci-archive:FILE[:tag]`, an OCI layout in a tar file.
    Archive {
        /// The tar file.
        path: PathBuf,
        /// As in a layout.
        tag: Option<String>,
    },
}

/// An image in a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryImage {
    /// Host and port, as the user wrote them.
    pub host: String,
    /// The repository, without the host.
    pub repository: String,
    /// The tag, where one was given; a digest given beside it decides.
    pub tag: Option<String>,
    /// The digest, where one was given.
    pub digest: Option<Digest>,
}

/// What picks a manifest out of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// A tag.
    Tag(String),
    /// A digest.
    Digest(Digest),
}

/// A text that names no image.
#[derive(Debug, thiserror::Error)]
#[error(
    "{text:?} is not an image: {why}; write host/repo:tag, host/repo@sha256:…, oci:DIR[:tag] or oci-archive:FILE[:tag]"
)]
pub struct NotAReference {
    text: String,
    why: &'static str,
}

impl RegistryImage {
    /// The digest where there is one, else the tag.
    pub fn selector(&self) -> Selector {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => Selector::Digest(*digest),
            (None, Some(tag)) => Selector::Tag(tag.clone()),
            (None, None) => unreachable!("parsing refuses a reference without both"),
        }
    }
}

impl Reference {
    /// The tag that the user gave.
    pub fn tag(&self) -> Option<&str> {
        match self {
            Self::Registry(image) => image.tag.as_deref(),
            Self::Layout { tag, .. } | Self::Archive { tag, .. } => tag.as_deref(),
        }
    }
}

/// Whether `text` can be a tag: the distribution specification's rule.
pub fn is_tag(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let bytes = text.as_bytes();
    bytes.len() <= 128
        && bytes.first().copied().is_some_and(word)
        && bytes
            .iter()
            .all(|&byte| word(byte) || byte == b'.' || byte == b'-')
}

/// Whether `text` can be a repository: components of lower-case letters, digits and separators.
fn is_repository(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 255
        && text.split('/').all(|component| {
            let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
            let bytes = component.as_bytes();
            bytes.first().copied().is_some_and(alphanumeric)
                && bytes.last().copied().is_some_and(alphanumeric)
                && bytes
                    .iter()
                    .all(|&byte| alphanumeric(byte) || matches!(byte, b'.' | b'_' | b'-'))
        })
}

impl FromStr for Reference {
    type Err = NotAReference;

    fn from_str(text: &str) -> Result<Self, NotAReference> {
        let refuse = |why| NotAReference {
            text: text.to_owned(),
            why,
        };
        if let Some(rest) = text.strip_prefix("oci-archive:") {
            let (path, tag) = path_and_tag(rest).ok_or_else(|| refuse("the file is missing"))?;
            return Ok(Self::Archive { path, tag });
        }
        if let Some(rest) = text.strip_prefix("oci:") {
            let (path, tag) =
                path_and_tag(rest).ok_or_else(|| refuse("the directory is missing"))?;
            return Ok(Self::Layout { path, tag });
        }
        let (host, rest) = text
            .split_once('/')
            .ok_or_else(|| refuse("the registry's host is missing"))?;
        if !(host.contains(['.', ':']) || host == "localhost") {
            return Err(refuse("it does not start with a registry's host"));
        }
        let (name, digest) = match rest.split_once('@') {
            None => (rest, None),
            Some((name, digest)) => (
                name,
                Some(
                    digest
                        .parse()
                        .map_err(|_| refuse("its digest is not sha256:<64 hex digits>"))?,
                ),
            ),
        };
        let (repository, tag) = match name.split_once(':') {
            None => (name, None),
            Some((repository, tag)) if is_tag(tag) => (repository, Some(tag.to_owned())),
            Some(_) => {
                return Err(refuse(
                    "its tag has a character or a length that tags cannot have",
                ));
            }
        };
        if !is_repository(repository) {
            return Err(refuse(
                "its repository has a character that repositories cannot have",
            ));
        }
        if tag.is_none() && digest.is_none() {
            return Err(refuse("it has neither tag nor digest"));
        }
        Ok(Self::Registry(RegistryImage {
            host: host.to_owned(),
            repository: repository.to_owned(),
            tag,
            digest,
        }))
    }
}

/// `PATH[:tag]`. The tag starts after the last colon, unless a `/` follows it: then the colon is part of the path.
fn path_and_tag(text: &str) -> Option<(PathBuf, Option<String>)> {
    let (path, tag) = match text.rsplit_once(':') {
        Some((path, tag)) if !tag.is_empty() && !tag.contains('/') => (path, Some(tag.to_owned())),
        _ => (text.strip_suffix(':').unwrap_or(text), None),
    };
    (!path.is_empty()).then(|| (path.into(), tag))
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, path, tag) = match self {
            Self::Registry(image) => return image.fmt(f),
            Self::Layout { path, tag } => ("oci", path, tag),
            Self::Archive { path, tag } => ("oci-archive", path, tag),
        };
        write!(f, "{scheme}:{}", path.display())?;
        tag.as_ref().map_or(Ok(()), |tag| write!(f, ":{tag}"))
    }
}

impl fmt::Display for RegistryImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        self.digest.map_or(Ok(()), |digest| write!(f, "@{digest}"))
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(f),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn every_form_reads_back_as_it_was_written() {
        for text in [
            "registry.example/app:v1",
            "localhost:5000/team/app:v1",
            &format!("registry.example/a/b/c@{DIGEST}"),
            &format!("registry.example/app:v1@{DIGEST}"),
            "oci:/tmp/layout:v1",
            "oci:layout",
            "oci:a:b/c",
            "oci-archive:image.tar:v1",
        ] {
            assert_eq!(text.parse::<Reference>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_reference_is_refused_with_the_reason() {
        for (text, why) in [
            ("app:v1", "host is missing"),
            ("library/app:v1", "does not start with a registry's host"),
            ("registry.example/app", "neither tag nor digest"),
            ("registry.example/App:v1", "repository"),
            ("registry.example/:v1", "repository"),
            ("registry.example/app:v 1", "tag"),
            ("registry.example/app:$(x)", "tag"),
            ("registry.example/app@sha256:12", "digest"),
            ("oci:", "directory is missing"),
            ("oci-archive::tag", "file is missing"),
        ] {
            let error = text.parse::<Reference>().unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn a_digest_decides_over_a_tag() {
        let Reference::Registry(image) = format!("r.example/app:v1@{DIGEST}").parse().unwrap()
        else {
            panic!()
        };
        assert_eq!(image.selector(), Selector::Digest(DIGEST.parse().unwrap()));
        assert_eq!(image.tag.as_deref(), Some("v1"));
    }
}
