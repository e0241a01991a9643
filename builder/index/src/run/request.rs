//! Requests: which image to index, and how.

use std::{fmt, str::FromStr};

use soci_format::{
    index::{IndexOptions, Version},
    limits::Limits,
    oci::{Platform, Reference, RepositoryReference},
};

/// What to do with an image that gets no index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FallbackAction {
    /// Put the output tag on the original image.
    UseOriginal,
    /// Fail.
    Fail,
}

impl FallbackAction {
    /// Both, as text.
    pub const NAMES: [&str; 2] = [Self::UseOriginal.name(), Self::Fail.name()];

    /// `use-original` or `fail`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::UseOriginal => "use-original",
            Self::Fail => "fail",
        }
    }
}

impl fmt::Display for FallbackAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Neither `use-original` nor `fail`.
#[derive(Debug, thiserror::Error)]
#[error("expected use-original or fail")]
pub struct InvalidFallbackAction;

impl FromStr for FallbackAction {
    type Err = InvalidFallbackAction;

    fn from_str(text: &str) -> Result<Self, InvalidFallbackAction> {
        [Self::UseOriginal, Self::Fail]
            .into_iter()
            .find(|action| action.name() == text)
            .ok_or(InvalidFallbackAction)
    }
}

/// What a run is asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// The image.
    pub image: Reference,
    /// Where the image is copied to, and its index goes; with a tag, or under the image's own.
    pub copy_to: Option<RepositoryReference>,
    /// Version of the index.
    pub version: Version,
    /// Tags of the new image, version 2; `<tag>-soci` where none is given.
    pub output_tags: Vec<String>,
    /// The platforms to index; all of them where empty. A copy is of one, or of all.
    pub platforms: Vec<Platform>,
    /// What the index holds.
    pub options: IndexOptions,
    /// A tag whose index may have ztocs of the same layers.
    pub reuse_from: Option<String>,
    /// Whether a layer that cannot be indexed fails the run.
    pub strict: bool,
    /// What to do if every layer is smaller than the minimum.
    pub when_too_small: FallbackAction,
    /// What to do if no layer can be indexed.
    pub when_unsupported: FallbackAction,
    /// How much memory an image and its registry can make this program use.
    pub limits: Limits,
}

impl Request {
    /// A version 2 index of all platforms of `image`, with every option at its default.
    pub fn new(image: Reference) -> Self {
        Self {
            image,
            copy_to: None,
            version: Version::V2,
            output_tags: Vec::new(),
            platforms: Vec::new(),
            options: IndexOptions::default(),
            reuse_from: None,
            strict: false,
            when_too_small: FallbackAction::UseOriginal,
            when_unsupported: FallbackAction::Fail,
            limits: Limits::default(),
        }
    }
}
