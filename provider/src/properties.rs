//! The resource's properties. In: text and lists of texts, as CloudFormation sends them. Out: checked values, the builder's
//! request and the builder's arguments, which say the same. Refuses with the property's name and value.

mod fields;

use serde_json::Value;
use soci_format::{
    digest::Digest,
    index::Version,
    limits::Limits,
    oci::{Platform, Reference, RegistryImage},
    plan::{DEFAULT_MIN_LAYER_SIZE, DEFAULT_SPAN_SIZE, IndexOptions},
    ztoc::DEFAULT_BUILD_TOOL,
};
use soci_index::run::{Otherwise, Request};

pub use fields::Refused;

use crate::{arguments, event::RawProperties, repository::Repository};
use fields::{Fields, a_tag, missing, refused};

const RETAIN: &str = "retain";
const DESTROY: &str = "destroy";
/// A tag's length.
const TAG_CHARS_MAX: usize = 128;

/// Which image to index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The one under a tag.
    Tag(String),
    /// The one with a digest.
    Digest(Digest),
}

/// The properties, checked.
#[derive(Clone, Debug)]
pub struct Properties {
    /// The CodeBuild project.
    pub project: String,
    /// The image's repository, and the index's.
    pub repository: Repository,
    /// The index's version.
    pub version: Version,
    /// The image.
    pub input: Input,
    /// The new image's tag; version 2 only, and always there.
    pub output_tag: Option<String>,
    /// Whether the answer waits for the build's end.
    pub waits: bool,
    platforms: Vec<Platform>,
    min_layer_size: Option<u64>,
    span_size: Option<u64>,
    prefetch_files: Vec<String>,
    when_too_small: Option<Otherwise>,
    when_unsupported: Option<Otherwise>,
}

impl Properties {
    /// Checks the properties; those that are unknown (CloudFormation adds some) are left alone.
    ///
    /// # Errors
    /// The first property that cannot be used.
    pub fn parse(raw: &RawProperties) -> Result<Self, Refused> {
        let fields = Fields(raw);
        let version = match fields.required("IndexVersion")? {
            "v1" => Version::V1,
            "v2" => Version::V2,
            other => return Err(refused("IndexVersion", other, "neither v1 nor v2")),
        };
        let input = match (
            fields.text("InputImageTag")?,
            fields.text("InputImageDigest")?,
        ) {
            (Some(tag), None) => Input::Tag(a_tag("InputImageTag", tag)?),
            (None, Some(digest)) => Input::Digest(digest.parse().map_err(|_| {
                refused(
                    "InputImageDigest",
                    digest,
                    "not sha256:<64 lower-case hex digits>",
                )
            })?),
            (None, None) => {
                return Err(Refused {
                    property: "InputImageTag",
                    problem: "is missing, and so is InputImageDigest; one of them says which image to index".to_owned(),
                });
            }
            (Some(_), Some(digest)) => {
                return Err(refused(
                    "InputImageDigest",
                    digest,
                    "one too many: InputImageTag is there",
                ));
            }
        };
        let output_tag = match (version, fields.text("OutputImageTag")?) {
            (Version::V1, None) => None,
            (Version::V1, Some(tag)) => {
                return Err(refused(
                    "OutputImageTag",
                    tag,
                    "of no use: a v1 index leaves the image its tag",
                ));
            }
            (Version::V2, None) => return Err(missing("OutputImageTag")),
            (Version::V2, Some(tag)) if input == Input::Tag(tag.to_owned()) => {
                return Err(refused("OutputImageTag", tag, "the input image's own tag"));
            }
            (Version::V2, Some(tag)) => Some(a_tag("OutputImageTag", tag)?),
        };
        let waits = fields.flag("WaitForIndex", true)?;
        match fields.text("RemovalPolicy")? {
            Some(DESTROY) if !waits => {
                return Err(refused(
                    "RemovalPolicy",
                    DESTROY,
                    "not possible with WaitForIndex false: what is made is not known when the resource succeeds",
                ));
            }
            None | Some(RETAIN | DESTROY) => {}
            Some(other) => {
                return Err(refused(
                    "RemovalPolicy",
                    other,
                    "neither retain nor destroy",
                ));
            }
        }
        let properties = Self {
            project: fields.required("ProjectName")?.to_owned(),
            repository: fields.repository()?,
            version,
            input,
            output_tag,
            waits,
            platforms: fields.platforms()?,
            min_layer_size: fields.bytes("MinLayerSize", 0)?,
            span_size: fields.bytes("SpanSize", 1)?,
            prefetch_files: fields.prefetch_files()?,
            when_too_small: fields.otherwise("WhenTooSmall")?,
            when_unsupported: fields.otherwise("WhenUnsupported")?,
        };
        properties.check_length()?;
        Ok(properties)
    }

    /// Whether the builder's arguments fit what a build can be given.
    fn check_length(&self) -> Result<(), Refused> {
        let chars = arguments::chars(&self.arguments(Some(&"t".repeat(TAG_CHARS_MAX))));
        if chars <= arguments::CHARS_MAX {
            return Ok(());
        }
        // Nothing else has no length of its own.
        let property = if self.prefetch_files.is_empty() {
            "Platforms"
        } else {
            "PrefetchFiles"
        };
        Err(Refused {
            property,
            problem: format!(
                "is too long: the builder's arguments would take {chars} characters, and at most {} fit into the variables of a build; give \
                 fewer or shorter ones (what is not a letter, a digit or one of -._/:@= counts three for each byte)",
                arguments::CHARS_MAX
            ),
        })
    }

    /// The image, by its whole name.
    #[must_use]
    pub fn image(&self) -> String {
        match &self.input {
            Input::Tag(tag) => format!("{}:{tag}", self.repository),
            Input::Digest(digest) => format!("{}@{digest}", self.repository),
        }
    }

    /// The image's tag, where it was given by one.
    #[must_use]
    pub fn input_tag(&self) -> Option<&str> {
        match &self.input {
            Input::Tag(tag) => Some(tag),
            Input::Digest(_) => None,
        }
    }

    /// What the builder's library is asked for.
    #[must_use]
    pub fn request(&self) -> Request {
        let uri = self.repository.to_string();
        let host = uri.split('/').next().unwrap_or_default().to_owned();
        let (tag, digest) = match &self.input {
            Input::Tag(tag) => (Some(tag.clone()), None),
            Input::Digest(digest) => (None, Some(*digest)),
        };
        Request {
            image: Reference::Registry(RegistryImage {
                host,
                repository: self.repository.name.clone(),
                tag,
                digest,
            }),
            version: self.version,
            output_tag: self.output_tag.clone(),
            platforms: self.platforms.clone(),
            options: IndexOptions {
                min_layer_size: self.min_layer_size.unwrap_or(DEFAULT_MIN_LAYER_SIZE),
                span_size: self.span_size.unwrap_or(DEFAULT_SPAN_SIZE),
                prefetch_files: self.prefetch_files.clone(),
                optimize_xattrs: false,
                build_tool: DEFAULT_BUILD_TOOL.to_owned(),
            },
            reuse_from: None,
            strict: false,
            when_too_small: self.when_too_small.unwrap_or(Otherwise::UseOriginal),
            when_unsupported: self.when_unsupported.unwrap_or(Otherwise::Fail),
            limits: Limits::default(),
        }
    }

    /// The builder's arguments.
    #[must_use]
    pub fn arguments(&self, reuse_from: Option<&str>) -> Vec<String> {
        let version = match self.version {
            Version::V1 => "v1",
            Version::V2 => "v2",
        };
        let mut arguments = vec![
            "index".to_owned(),
            self.image(),
            format!("--index-version={version}"),
        ];
        let mut add = |option: &str, value: Option<String>| {
            arguments.extend(value.map(|value| format!("--{option}={value}")));
        };
        add("output-tag", self.output_tag.clone());
        for platform in &self.platforms {
            add("platform", Some(platform.to_string()));
        }
        add(
            "min-layer-size",
            self.min_layer_size.map(|size| size.to_string()),
        );
        add("span-size", self.span_size.map(|size| size.to_string()));
        for file in &self.prefetch_files {
            add("prefetch-file", Some(file.clone()));
        }
        add("reuse-from", reuse_from.map(str::to_owned));
        let word = |action: Otherwise| match action {
            Otherwise::UseOriginal => "use-original".to_owned(),
            Otherwise::Fail => "fail".to_owned(),
        };
        add("when-too-small", self.when_too_small.map(word));
        add("when-unsupported", self.when_unsupported.map(word));
        arguments.extend(["--json".to_owned(), "--brief".to_owned()]);
        arguments
    }

    /// The tag that has an index of the resource's image until now, where that is another one in the same repository.
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
        // The builder looks at its own place in any case.
        tag_of(&old).filter(|tag| Some(tag) != tag_of(self).as_ref())
    }
}

/// Whether the index goes with its resource. Read on Delete, when a broken property must not keep the stack: all else but
/// `destroy` keeps the index.
#[must_use]
pub fn is_destroyed(raw: &RawProperties) -> bool {
    raw.get("RemovalPolicy").and_then(Value::as_str) == Some(DESTROY)
}

/// The project, read on Delete: there is a build to stop only where there is one.
#[must_use]
pub fn project(raw: &RawProperties) -> Option<&str> {
    let name = raw.get("ProjectName").and_then(Value::as_str);
    name.filter(|name| !name.is_empty())
}

/// The repository, read on Delete.
#[must_use]
pub fn repository(raw: &RawProperties) -> Option<Repository> {
    Fields(raw).repository().ok()
}

/// The image's tag or digest, read on Delete.
#[must_use]
pub fn input(raw: &RawProperties) -> Option<Input> {
    let text = |name: &str| raw.get(name).and_then(Value::as_str);
    let digest = text("InputImageDigest").and_then(|digest| digest.parse().ok());
    let tag = text("InputImageTag").map(str::to_owned);
    digest.map(Input::Digest).or(tag.map(Input::Tag))
}

#[cfg(test)]
mod tests;
