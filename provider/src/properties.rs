//! The resource's properties. In: strings and lists of strings from CloudFormation. Out: validated values, the builder's
//! request and the equivalent command-line arguments. Errors contain the property's name and value.

pub(crate) mod fields;
mod options;

use serde_json::Value;
use soci_format::{digest::Digest, index::Version, oci::RegistryImage};
use soci_index::run::Request;

pub use fields::InvalidProperty;
pub use options::BuildOptions;
pub(crate) use options::version;

use crate::{arguments, event::RawProperties, repository::Repository};
use fields::{Fields, missing, refused, valid_tag};

const RETAIN: &str = "retain";
const DESTROY: &str = "destroy";
/// The maximum length of a tag.
const TAG_CHARS_MAX: usize = 128;

/// Which image to index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// By tag.
    Tag(String),
    /// By digest.
    Digest(Digest),
}

/// What builds an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Builder {
    /// A CodeBuild project, by name.
    Project(String),
    /// The builder function, by ARN.
    Function(String),
}

/// The validated properties.
#[derive(Clone, Debug)]
pub struct Properties {
    /// What builds the index.
    pub builder: Builder,
    /// The repository of the image and of its index.
    pub repository: Repository,
    /// The index's version.
    pub version: Version,
    /// The image.
    pub input: Input,
    /// The tag of the new image; always set for version 2, never for version 1.
    pub output_tag: Option<String>,
    /// Whether the response waits for the build to end.
    pub waits: bool,
    options: BuildOptions,
}

impl Properties {
    /// Validates the properties. Unknown ones are ignored: CloudFormation adds some.
    ///
    /// # Errors
    /// The first invalid property.
    pub fn parse(raw: &RawProperties) -> Result<Self, InvalidProperty> {
        let fields = Fields(raw);
        let version = version(&fields)?.ok_or_else(|| missing("IndexVersion"))?;
        let input = match (
            fields.text("InputImageTag")?,
            fields.text("InputImageDigest")?,
        ) {
            (Some(tag), None) => Input::Tag(valid_tag("InputImageTag", tag)?),
            (None, Some(digest)) => Input::Digest(digest.parse().map_err(|_| {
                refused(
                    "InputImageDigest",
                    digest,
                    "expected sha256:<64 lowercase hex digits>",
                )
            })?),
            (None, None) => {
                return Err(InvalidProperty {
                    property: "InputImageTag",
                    problem: "is missing; set either InputImageTag or InputImageDigest".to_owned(),
                });
            }
            (Some(_), Some(digest)) => {
                return Err(refused(
                    "InputImageDigest",
                    digest,
                    "cannot be combined with InputImageTag",
                ));
            }
        };
        let output_tag = match (version, fields.text("OutputImageTag")?) {
            (Version::V1, None) => None,
            (Version::V1, Some(tag)) => {
                return Err(refused(
                    "OutputImageTag",
                    tag,
                    "not supported with IndexVersion v1, which does not create a new tag",
                ));
            }
            (Version::V2, None) => return Err(missing("OutputImageTag")),
            (Version::V2, Some(tag)) if input == Input::Tag(tag.to_owned()) => {
                return Err(refused(
                    "OutputImageTag",
                    tag,
                    "must differ from the input image's tag",
                ));
            }
            (Version::V2, Some(tag)) => Some(valid_tag("OutputImageTag", tag)?),
        };
        let waits = fields.flag("WaitForIndex", true)?;
        match fields.text("RemovalPolicy")? {
            Some(DESTROY) if !waits => {
                return Err(refused(
                    "RemovalPolicy",
                    DESTROY,
                    "cannot be combined with WaitForIndex false: the resource completes before it knows what the build creates",
                ));
            }
            None | Some(RETAIN | DESTROY) => {}
            Some(other) => {
                return Err(refused(
                    "RemovalPolicy",
                    other,
                    "expected retain or destroy",
                ));
            }
        }
        let properties = Self {
            builder: fields.builder()?,
            repository: fields.repository()?,
            version,
            input,
            output_tag,
            waits,
            options: BuildOptions::parse(&fields)?,
        };
        properties.check_length()?;
        Ok(properties)
    }

    /// Checks that the builder's arguments fit into the environment variables of a build. A function gets the event itself.
    fn check_length(&self) -> Result<(), InvalidProperty> {
        if let Builder::Function(_) = self.builder {
            return Ok(());
        }
        let chars = arguments::chars(&self.arguments(Some(&"t".repeat(TAG_CHARS_MAX))));
        if chars <= arguments::CHARS_MAX {
            return Ok(());
        }
        // All other properties have limits of their own.
        let property = if self.options.prefetch_files.is_empty() {
            "Platforms"
        } else {
            "PrefetchFiles"
        };
        Err(InvalidProperty {
            property,
            problem: format!(
                "is too long: the builder's arguments take {chars} characters, but a build accepts at most {}; use \
                 fewer or shorter values (each byte other than a letter, a digit or one of -._/:@= takes three characters)",
                arguments::CHARS_MAX
            ),
        })
    }

    /// The full image reference.
    #[must_use]
    pub fn image(&self) -> String {
        match &self.input {
            Input::Tag(tag) => format!("{}:{tag}", self.repository),
            Input::Digest(digest) => format!("{}@{digest}", self.repository),
        }
    }

    /// The input tag, if the image was given by tag.
    #[must_use]
    pub fn input_tag(&self) -> Option<&str> {
        match &self.input {
            Input::Tag(tag) => Some(tag),
            Input::Digest(_) => None,
        }
    }

    /// The request for the builder's library.
    #[must_use]
    pub fn request(&self) -> Request {
        let (tag, digest) = match &self.input {
            Input::Tag(tag) => (Some(tag.clone()), None),
            Input::Digest(digest) => (None, Some(*digest)),
        };
        let image = RegistryImage {
            host: self.repository.host().to_owned(),
            repository: self.repository.name.clone(),
            tag,
            digest,
        };
        Request {
            output_tags: self.output_tag.iter().cloned().collect(),
            ..self.options.request(image, self.version)
        }
    }

    /// The builder's arguments.
    #[must_use]
    pub fn arguments(&self, reuse_from: Option<&str>) -> Vec<String> {
        let mut arguments = vec![
            "index".to_owned(),
            self.image(),
            format!("--index-version={}", self.version),
        ];
        let tag = |option: &str, tag: Option<&str>| tag.map(|tag| format!("--{option}={tag}"));
        arguments.extend(tag("output-tag", self.output_tag.as_deref()));
        arguments.extend(self.options.contents_arguments());
        arguments.extend(tag("reuse-from", reuse_from));
        arguments.extend(self.options.fallback_arguments());
        arguments.extend(["--json".to_owned(), "--brief".to_owned()]);
        arguments
    }

    /// The tag of the resource's previous index, if it is a different tag in the same repository.
    #[must_use]
    pub fn reuse_from(&self, old: &RawProperties) -> Option<String> {
        let old = Self::parse(old).ok()?;
        if old.repository != self.repository {
            return None;
        }
        let tag_of = |properties: &Self| match (&properties.output_tag, &properties.input) {
            (Some(tag), _) | (None, Input::Tag(tag)) => Some(tag.clone()),
            (None, Input::Digest(_)) => None,
        };
        // The builder always checks its own output tag.
        tag_of(&old).filter(|tag| Some(tag) != tag_of(self).as_ref())
    }
}

/// Whether to delete the index with its resource. On Delete an invalid property must not block the stack: anything other than
/// `destroy` keeps the index.
#[must_use]
pub fn is_destroyed(raw: &RawProperties) -> bool {
    raw.get("RemovalPolicy").and_then(Value::as_str) == Some(DESTROY)
}

/// Whether the response waits for the index, without other validation: true unless the value is `false`.
#[must_use]
pub fn is_waited_for(raw: &RawProperties) -> bool {
    raw.get("WaitForIndex").and_then(Value::as_str) != Some("false")
}

/// The project, without other validation; for Delete.
#[must_use]
pub fn project(raw: &RawProperties) -> Option<&str> {
    let name = raw.get("ProjectName").and_then(Value::as_str);
    name.filter(|name| !name.is_empty())
}

/// The repository, without other validation; for Delete.
#[must_use]
pub fn repository(raw: &RawProperties) -> Option<Repository> {
    Fields(raw).repository().ok()
}

/// The image's tag or digest, without other validation; for Delete.
#[must_use]
pub fn input(raw: &RawProperties) -> Option<Input> {
    let text = |name: &str| raw.get(name).and_then(Value::as_str);
    let digest = text("InputImageDigest").and_then(|digest| digest.parse().ok());
    let tag = text("InputImageTag").map(str::to_owned);
    digest.map(Input::Digest).or(tag.map(Input::Tag))
}

#[cfg(test)]
mod tests;
