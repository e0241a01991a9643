//! The resource's properties. In: text and lists of texts, as CloudFormation sends them. Out: checked values, the builder's
//! request and the builder's arguments, which say the same. Refuses with the property's name and value.

use serde_json::Value;
use soci_builder::{
    digest::Digest,
    index::Version,
    oci::{Platform, Reference, RegistryImage, is_tag},
    plan::IndexOptions,
    run::{Otherwise, Request},
    ztoc::DEFAULT_BUILD_TOOL,
};

use crate::{event::RawProperties, repository::Repository};

/// What the builder takes where the property is absent.
const MIN_LAYER_SIZE: u64 = 10 * 1024 * 1024;
const SPAN_SIZE: u64 = 4 * 1024 * 1024;

const RETAIN: &str = "retain";
const DESTROY: &str = "destroy";

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
    platforms: Vec<Platform>,
    min_layer_size: Option<u64>,
    span_size: Option<u64>,
    prefetch_files: Vec<String>,
    when_too_small: Option<Otherwise>,
    when_unsupported: Option<Otherwise>,
}

/// A property that cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the property {property} {problem}")]
pub struct Refused {
    property: &'static str,
    problem: String,
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
        match fields.text("RemovalPolicy")? {
            None | Some(RETAIN | DESTROY) => {}
            Some(other) => {
                return Err(refused(
                    "RemovalPolicy",
                    other,
                    "neither retain nor destroy",
                ));
            }
        }
        Ok(Self {
            project: fields.required("ProjectName")?.to_owned(),
            repository: fields.repository()?,
            version,
            input,
            output_tag,
            platforms: fields.platforms()?,
            min_layer_size: fields.bytes("MinLayerSize", 0)?,
            span_size: fields.bytes("SpanSize", 1)?,
            prefetch_files: fields.prefetch_files()?,
            when_too_small: fields.otherwise("WhenTooSmall")?,
            when_unsupported: fields.otherwise("WhenUnsupported")?,
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
                min_layer_size: self.min_layer_size.unwrap_or(MIN_LAYER_SIZE),
                span_size: self.span_size.unwrap_or(SPAN_SIZE),
                prefetch_files: self.prefetch_files.clone(),
                optimize_xattrs: false,
                build_tool: DEFAULT_BUILD_TOOL.to_owned(),
            },
            reuse_from: None,
            strict: false,
            when_too_small: self.when_too_small.unwrap_or(Otherwise::UseOriginal),
            when_unsupported: self.when_unsupported.unwrap_or(Otherwise::Fail),
        }
    }

    /// The builder's arguments, one a line. No value has a line break: none was let in.
    #[must_use]
    pub fn arguments(&self, reuse_from: Option<&str>) -> String {
        let version = match self.version {
            Version::V1 => "v1",
            Version::V2 => "v2",
        };
        let mut lines = vec![
            "index".to_owned(),
            self.image(),
            format!("--index-version={version}"),
        ];
        let mut add = |option: &str, value: Option<String>| {
            lines.extend(value.map(|value| format!("--{option}={value}")));
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
        lines.extend(["--json".to_owned(), "--brief".to_owned()]);
        lines.join("\n")
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

struct Fields<'a>(&'a RawProperties);

impl<'a> Fields<'a> {
    fn text(&self, property: &'static str) -> Result<Option<&'a str>, Refused> {
        match self.0.get(property) {
            None => Ok(None),
            Some(Value::String(text)) => single_line(property, text).map(Some),
            Some(other) => Err(refused(property, &other.to_string(), "not a text")),
        }
    }

    fn required(&self, property: &'static str) -> Result<&'a str, Refused> {
        let text = self.text(property)?;
        text.filter(|text| !text.is_empty())
            .ok_or_else(|| missing(property))
    }

    fn list(&self, property: &'static str) -> Result<Vec<&'a str>, Refused> {
        match self.0.get(property) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => items
                .iter()
                .map(|item| match item {
                    Value::String(text) => single_line(property, text),
                    other => Err(refused(property, &other.to_string(), "not a text")),
                })
                .collect(),
            Some(other) => Err(refused(property, &other.to_string(), "not a list")),
        }
    }

    fn repository(&self) -> Result<Repository, Refused> {
        let uri = self.required("RepositoryUri")?;
        Repository::parse(uri).ok_or_else(|| {
            refused(
                "RepositoryUri",
                uri,
                "not <account>.dkr.ecr.<region>.amazonaws.com/<name>",
            )
        })
    }

    fn platforms(&self) -> Result<Vec<Platform>, Refused> {
        let list = self.list("Platforms")?;
        let platform = |text: &str| {
            text.parse()
                .map_err(|_| refused("Platforms", text, "not of the form OS/ARCH[/VARIANT]"))
        };
        list.into_iter().map(platform).collect()
    }

    fn prefetch_files(&self) -> Result<Vec<String>, Refused> {
        let list = self.list("PrefetchFiles")?;
        let file = |text: &str| match text {
            "" => Err(refused("PrefetchFiles", text, "not a path")),
            path => Ok(path.to_owned()),
        };
        list.into_iter().map(file).collect()
    }

    /// A number of bytes that the format's signed 64 bits can hold.
    fn bytes(&self, property: &'static str, least: u64) -> Result<Option<u64>, Refused> {
        let Some(text) = self.text(property)? else {
            return Ok(None);
        };
        let is_decimal = text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(bytes) if is_decimal && bytes >= least && i64::try_from(bytes).is_ok() => {
                Ok(Some(bytes))
            }
            _ => Err(refused(
                property,
                text,
                &format!("not a number of bytes of {least} or more"),
            )),
        }
    }

    fn otherwise(&self, property: &'static str) -> Result<Option<Otherwise>, Refused> {
        match self.text(property)? {
            None => Ok(None),
            Some("use-original") => Ok(Some(Otherwise::UseOriginal)),
            Some("fail") => Ok(Some(Otherwise::Fail)),
            Some(other) => Err(refused(property, other, "neither use-original nor fail")),
        }
    }
}

fn a_tag(property: &'static str, text: &str) -> Result<String, Refused> {
    if is_tag(text) {
        Ok(text.to_owned())
    } else {
        let rule = "not a tag: tags have 1 to 128 letters, digits, '_', '.' and '-'";
        Err(refused(property, text, rule))
    }
}

/// The builder's arguments are told apart by line breaks.
fn single_line<'a>(property: &'static str, text: &'a str) -> Result<&'a str, Refused> {
    if text.contains(['\n', '\r', '\0']) {
        Err(refused(property, text, "more than one line"))
    } else {
        Ok(text)
    }
}

fn missing(property: &'static str) -> Refused {
    Refused {
        property,
        problem: "is missing".to_owned(),
    }
}

fn refused(property: &'static str, value: &str, rule: &str) -> Refused {
    /// Enough to recognize the value.
    const SHOWN_CHARS: usize = 200;
    let shown: String = value.chars().take(SHOWN_CHARS).collect();
    Refused {
        property,
        problem: format!("is {shown:?}, which is {rule}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    macro_rules! properties {
        ($name:literal) => {{
            let text = include_str!(concat!("../tests/events/", $name, ".json"));
            let mut event: Value = serde_json::from_str(text).unwrap();
            let Value::Object(properties) = event["ResourceProperties"].take() else {
                panic!()
            };
            properties
        }};
    }

    fn with(property: &str, value: Value) -> RawProperties {
        let mut raw = properties!("create");
        raw.insert(property.to_owned(), value);
        raw
    }

    #[test]
    fn the_least_is_enough() {
        let properties = Properties::parse(&properties!("create")).unwrap();
        assert_eq!(
            properties.arguments(None),
            "index\n123456789012.dkr.ecr.us-east-1.amazonaws.com/team/app:v1\n--index-version=v2\n\
             --output-tag=v1-soci\n--json\n--brief"
        );
        let request = properties.request();
        assert_eq!(request.image.to_string(), properties.image());
        assert_eq!(request.options.min_layer_size, 10 << 20);
        assert_eq!(request.options.span_size, 4 << 20);
        assert_eq!(request.when_unsupported, Otherwise::Fail);
    }

    #[test]
    fn every_property_reaches_both_forms() {
        let properties = Properties::parse(&properties!("create-all-properties")).unwrap();
        let arguments = properties.arguments(Some("v0-soci"));
        let lines: Vec<&str> = arguments.lines().skip(3).collect();
        assert_eq!(
            lines,
            [
                "--output-tag=v1-soci",
                "--platform=linux/amd64",
                "--platform=linux/arm64",
                "--min-layer-size=20971520",
                "--span-size=1048576",
                "--prefetch-file=/app/main",
                "--prefetch-file=it's $HOME",
                "--reuse-from=v0-soci",
                "--when-too-small=fail",
                "--when-unsupported=use-original",
                "--json",
                "--brief",
            ]
        );
        let request = properties.request();
        assert_eq!(request.platforms.len(), 2);
        assert_eq!(request.options.prefetch_files[1], "it's $HOME");
        assert_eq!(request.when_too_small, Otherwise::Fail);
        assert!(is_destroyed(&properties!("create-all-properties")));
        assert!(!is_destroyed(&properties!("create")));
    }

    #[test]
    fn each_property_is_refused_with_its_name_and_value() {
        for (property, value, shown) in [
            ("ProjectName", json!(""), "is missing"),
            (
                "RepositoryUri",
                json!("docker.io/library/app"),
                "docker.io/library/app",
            ),
            ("IndexVersion", json!("v3"), "v3"),
            ("InputImageTag", json!("-x"), "-x"),
            ("InputImageTag", json!(["v1"]), "[\\\"v1\\\"]"),
            ("InputImageTag", json!("v1\n--strict"), "more than one line"),
            ("InputImageDigest", json!("sha256:12"), "one too many"),
            ("OutputImageTag", json!("a b"), "a b"),
            ("OutputImageTag", json!("v1"), "the input image's own tag"),
            ("Platforms", json!("linux/amd64"), "not a list"),
            ("Platforms", json!(["linux"]), "\"linux\""),
            ("Platforms", json!([7]), "not a text"),
            ("MinLayerSize", json!("10MiB"), "10MiB"),
            ("MinLayerSize", json!("+1"), "+1"),
            (
                "MinLayerSize",
                json!("9223372036854775808"),
                "9223372036854775808",
            ),
            ("SpanSize", json!("0"), "of 1 or more"),
            ("PrefetchFiles", json!(["a\nb"]), "more than one line"),
            ("PrefetchFiles", json!([""]), "not a path"),
            ("WhenTooSmall", json!("ignore"), "ignore"),
            ("WhenUnsupported", json!("ignore"), "ignore"),
            ("RemovalPolicy", json!("snapshot"), "snapshot"),
        ] {
            let refused = Properties::parse(&with(property, value)).unwrap_err();
            let text = refused.to_string();
            assert!(
                text.starts_with(&format!("the property {property} ")),
                "{text}"
            );
            assert!(text.contains(shown), "{text}");
        }
    }

    #[test]
    fn what_must_be_there_is_missed() {
        for property in [
            "ProjectName",
            "RepositoryUri",
            "IndexVersion",
            "InputImageTag",
            "OutputImageTag",
        ] {
            let mut raw = properties!("create");
            raw.remove(property);
            let text = Properties::parse(&raw).unwrap_err().to_string();
            assert!(
                text.starts_with(&format!("the property {property} is missing")),
                "{text}"
            );
        }
    }

    #[test]
    fn a_v1_index_has_no_output_tag() {
        let properties = Properties::parse(&properties!("create-v1")).unwrap();
        assert_eq!(properties.output_tag, None);
        let mut raw = properties!("create-v1");
        raw.insert("OutputImageTag".to_owned(), json!("x"));
        assert!(Properties::parse(&raw).is_err());
    }

    #[test]
    fn an_update_uses_what_the_old_tag_has() {
        let old = properties!("create");
        let new = Properties::parse(&with("OutputImageTag", json!("v2-soci"))).unwrap();
        assert_eq!(new.reuse_from(&old).as_deref(), Some("v1-soci"));
        let same = Properties::parse(&old).unwrap();
        assert_eq!(same.reuse_from(&old), None);
        let elsewhere = with(
            "RepositoryUri",
            json!("123456789012.dkr.ecr.us-east-1.amazonaws.com/other"),
        );
        assert_eq!(new.reuse_from(&elsewhere), None);
        assert_eq!(new.reuse_from(&RawProperties::new()), None);
        let v1 = properties!("create-v1");
        assert_eq!(new.reuse_from(&v1).as_deref(), Some("v1"));
        assert_eq!(Properties::parse(&v1).unwrap().reuse_from(&v1), None);
    }
}
