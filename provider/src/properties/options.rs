//! The options of an index: what it holds, and what to do with an image that gets none. In: properties. Out: the builder's request and the
//! equivalent command-line arguments.

use soci_format::{
    index::{IndexOptions, InvalidVersion, Version},
    oci::{Platform, Reference, RegistryImage},
};
use soci_index::run::{FallbackAction, Request};

use super::fields::{Fields, InvalidProperty, refused};

/// The options that every way of building an index has; `None` is the builder's default.
#[derive(Clone, Debug)]
pub struct BuildOptions {
    platforms: Vec<Platform>,
    min_layer_size: Option<u64>,
    span_size: Option<u64>,
    pub(super) prefetch_files: Vec<String>,
    /// What to do if every layer is smaller than the minimum.
    pub when_too_small: Option<FallbackAction>,
    /// What to do if no layer can be indexed.
    pub when_unsupported: Option<FallbackAction>,
}

impl BuildOptions {
    pub(crate) fn parse(fields: &Fields<'_>) -> Result<Self, InvalidProperty> {
        Ok(Self {
            platforms: fields.platforms()?,
            min_layer_size: fields.bytes("MinLayerSize", 0)?,
            span_size: fields.bytes("SpanSize", 1)?,
            prefetch_files: fields.prefetch_files()?,
            when_too_small: fields.fallback("WhenTooSmall")?,
            when_unsupported: fields.fallback("WhenUnsupported")?,
        })
    }

    /// The request for the builder's library.
    #[must_use]
    pub fn request(&self, image: RegistryImage, version: Version) -> Request {
        let default = Request::new(Reference::Registry(image));
        let options = IndexOptions::default();
        Request {
            version,
            platforms: self.platforms.clone(),
            options: IndexOptions {
                min_layer_size: self.min_layer_size.unwrap_or(options.min_layer_size),
                span_size: self.span_size.unwrap_or(options.span_size),
                prefetch_files: self.prefetch_files.clone(),
                ..options
            },
            when_too_small: self.when_too_small.unwrap_or(default.when_too_small),
            when_unsupported: self.when_unsupported.unwrap_or(default.when_unsupported),
            ..default
        }
    }

    /// The builder's arguments for what the index holds.
    pub(super) fn contents_arguments(&self) -> Vec<String> {
        let option = |name: &str, value: String| format!("--{name}={value}");
        let mut arguments = Vec::new();
        for platform in &self.platforms {
            arguments.push(option("platform", platform.to_string()));
        }
        for (name, size) in [
            ("min-layer-size", self.min_layer_size),
            ("span-size", self.span_size),
        ] {
            arguments.extend(size.map(|size| option(name, size.to_string())));
        }
        for file in &self.prefetch_files {
            arguments.push(option("prefetch-file", file.clone()));
        }
        arguments
    }

    /// The builder's arguments for an image that gets no index.
    pub(super) fn fallback_arguments(&self) -> Vec<String> {
        let fallbacks = [
            ("when-too-small", self.when_too_small),
            ("when-unsupported", self.when_unsupported),
        ];
        let argument = |(name, action): (&str, Option<FallbackAction>)| {
            action.map(|action| format!("--{name}={action}"))
        };
        fallbacks.into_iter().filter_map(argument).collect()
    }
}

/// The index's version, if it is given.
pub(crate) fn version(fields: &Fields<'_>) -> Result<Option<Version>, InvalidProperty> {
    let Some(text) = fields.text("IndexVersion")?.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let version = text.parse();
    version
        .map(Some)
        .map_err(|invalid: InvalidVersion| refused("IndexVersion", text, &invalid.to_string()))
}
