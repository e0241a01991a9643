//! References: how a person names an image.
//! In: the text, and whether a path exists: only that tells where a layout's path ends. Out: where the image is, or what to
//! write instead. Looks at nothing itself.

mod layout;
mod suggestion;

use std::{fmt, path::Path, str::FromStr};

pub use layout::{LayoutImage, Place};

use crate::digest::Digest;

/// Where an image is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// `host/repo:tag` or `host/repo@sha256:…`.
    Registry(RegistryImage),
    /// `oci:DIR[:NAME][@DIGEST]` or `oci-archive:FILE[:NAME][@DIGEST]`.
    Layout(LayoutImage),
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

/// A repository in a registry, and a tag there where one was given: `host/repo[:tag]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositoryReference {
    /// Host and port, as the user wrote them.
    pub host: String,
    /// The repository, without the host.
    pub repository: String,
    /// The tag, where one was given.
    pub tag: Option<String>,
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
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an image: {}; {}", .refusal.why, .refusal.instead)]
pub struct InvalidReference {
    text: String,
    refusal: Refusal,
}

/// A text that names no repository.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a repository in a registry: {why}; write host/repo or host/repo:tag")]
pub struct InvalidRepository {
    text: String,
    why: String,
}

/// Why a text names no image, and what to do instead.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Refusal {
    why: String,
    instead: String,
}

impl Refusal {
    fn new(why: impl Into<String>) -> Self {
        Self::with(
            why,
            "write host/repo:tag, host/repo@sha256:…, oci:DIR[:NAME] or oci-archive:FILE[:NAME]",
        )
    }

    fn with(why: impl Into<String>, instead: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            instead: instead.into(),
        }
    }
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

    fn parse(text: &str) -> Result<Self, Refusal> {
        let parsed = Self::parse_parts(text)?;
        if parsed.tag.is_none() && parsed.digest.is_none() {
            return Err(Refusal::new("it has neither tag nor digest"));
        }
        Ok(parsed)
    }

    /// The same, also where there is neither tag nor digest.
    fn parse_parts(text: &str) -> Result<Self, Refusal> {
        let (host, rest) = text
            .split_once('/')
            .ok_or_else(|| Refusal::new("the registry host is missing"))?;
        if !is_like_a_host(host) {
            return Err(Refusal::new("it does not start with a registry host"));
        }
        if !is_host(host) {
            return Err(Refusal::new(format!("{host:?} is not a host")));
        }
        let (name, digest) = match rest.split_once('@') {
            None => (rest, None),
            Some((name, digest)) => (name, Some(parse_digest(digest)?)),
        };
        let (repository, tag) = match name.split_once(':') {
            None | Some((_, "")) => (name.trim_end_matches(':'), None),
            Some((repository, tag)) if is_tag(tag) => (repository, Some(tag.to_owned())),
            Some(_) => {
                return Err(Refusal::new(
                    "its tag has a character or a length that tags cannot have",
                ));
            }
        };
        if !is_repository(repository) {
            return Err(Refusal::new(
                if repository.bytes().any(|byte| byte.is_ascii_uppercase()) {
                    "its repository has an upper-case letter; repositories are lower-case"
                } else {
                    "its repository has a character that repositories cannot have"
                },
            ));
        }
        Ok(Self {
            host: host.to_owned(),
            repository: repository.to_owned(),
            tag,
            digest,
        })
    }
}

impl RepositoryReference {
    /// The image under `tag`.
    #[must_use]
    pub fn image(&self, tag: String) -> RegistryImage {
        RegistryImage {
            host: self.host.clone(),
            repository: self.repository.clone(),
            tag: Some(tag),
            digest: None,
        }
    }
}

impl FromStr for RepositoryReference {
    type Err = InvalidRepository;

    fn from_str(text: &str) -> Result<Self, InvalidRepository> {
        let refuse = |why: String| InvalidRepository {
            text: text.to_owned(),
            why,
        };
        if text.starts_with("oci:") || text.starts_with("oci-archive:") {
            return Err(refuse("it is an OCI layout".to_owned()));
        }
        let parsed = RegistryImage::parse_parts(text).map_err(|refusal| refuse(refusal.why))?;
        match parsed.digest {
            Some(_) => Err(refuse("it has a digest".to_owned())),
            None => Ok(Self {
                host: parsed.host,
                repository: parsed.repository,
                tag: parsed.tag,
            }),
        }
    }
}

impl Reference {
    /// Reads `text`. The longest beginning of a layout's text for which `exists` says so is its path: paths may have colons,
    /// and names too. Where nothing exists, the path ends at the first colon.
    ///
    /// # Errors
    /// Where it names no image; the error says what to write instead.
    pub fn parse(text: &str, exists: &dyn Fn(&Path) -> bool) -> Result<Self, InvalidReference> {
        let parsed = match LayoutImage::parse(text, exists) {
            Some(layout) => layout.map(Self::Layout),
            None => RegistryImage::parse(text).map(Self::Registry),
        };
        parsed.map_err(|refusal| InvalidReference {
            text: text.to_owned(),
            refusal: suggestion::of(text, exists).unwrap_or(refusal),
        })
    }

    /// The tag in a registry that the user gave.
    pub fn tag(&self) -> Option<&str> {
        match self {
            Self::Registry(image) => image.tag.as_deref(),
            Self::Layout(_) => None,
        }
    }
}

impl FromStr for Reference {
    type Err = InvalidReference;

    /// As if no path existed.
    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        Self::parse(text, &|_| false)
    }
}

fn parse_digest(text: &str) -> Result<Digest, Refusal> {
    text.parse()
        .map_err(|_| Refusal::new("its digest is not sha256:<64 hex digits>"))
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

/// Whether what stands before the first `/` is a host, and not a part of the repository: docker's rule.
fn is_like_a_host(text: &str) -> bool {
    text.contains(['.', ':'])
        || text == "localhost"
        || text.bytes().any(|byte| byte.is_ascii_uppercase())
}

/// Whether `text` can be a host with or without a port: a name, an IPv4 address, or an IPv6 address in brackets.
fn is_host(text: &str) -> bool {
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (text, None),
    };
    let is_port =
        |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    let is_address = |name: &str| {
        let inner = name
            .strip_prefix('[')
            .and_then(|name| name.strip_suffix(']'));
        inner.is_some_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok())
    };
    let is_label = |label: &str| {
        let alphanumeric = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        alphanumeric(label.bytes().next())
            && alphanumeric(label.bytes().next_back())
            && label.bytes().all(allowed)
    };
    port.is_none_or(is_port) && (is_address(name) || name.split('.').all(is_label))
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

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry(image) => image.fmt(f),
            Self::Layout(image) => image.fmt(f),
        }
    }
}

impl fmt::Display for RepositoryReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.repository)?;
        let mut tag = self.tag.iter();
        tag.try_for_each(|tag| write!(f, ":{tag}"))
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
            ("library/app:v1", "does not start with a registry host"),
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
    fn a_repository_has_no_digest_and_is_in_a_registry() {
        for text in ["registry.example/app", "localhost:5000/team/app:v1"] {
            let repository = text.parse::<RepositoryReference>().unwrap();
            assert_eq!(repository.to_string(), text);
            let image = Reference::Registry(repository.image("v2".to_owned()));
            assert_eq!(image.tag(), Some("v2"));
        }
        for (text, why) in [
            (&*format!("registry.example/app@{DIGEST}"), "digest"),
            ("oci:layout", "layout"),
            ("oci-archive:image.tar", "layout"),
            ("app:v1", "host is missing"),
            ("registry.example/App", "upper-case"),
        ] {
            let error = text.parse::<RepositoryReference>().unwrap_err().to_string();
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
