//! Parses single properties. In: JSON from CloudFormation. Out: a value of the property's type, or an error with its name
//! and value. Rules that involve several properties are elsewhere.

use serde_json::Value;
use soci_format::oci::{Platform, is_tag};
use soci_index::run::{FallbackAction, InvalidFallbackAction};

use super::Builder;
use crate::{event::RawProperties, repository::Repository};

/// An invalid property.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("property {property} {problem}")]
pub struct InvalidProperty {
    pub(crate) property: &'static str,
    pub(crate) problem: String,
}

/// Properties by name.
pub(crate) struct Fields<'a>(pub(crate) &'a RawProperties);

impl<'a> Fields<'a> {
    pub(crate) fn text(&self, property: &'static str) -> Result<Option<&'a str>, InvalidProperty> {
        match self.0.get(property) {
            None => Ok(None),
            Some(Value::String(text)) => single_line(property, text).map(Some),
            Some(other) => Err(refused(property, &other.to_string(), "expected a string")),
        }
    }

    pub(crate) fn required(&self, property: &'static str) -> Result<&'a str, InvalidProperty> {
        let text = self.text(property)?;
        text.filter(|text| !text.is_empty())
            .ok_or_else(|| missing(property))
    }

    pub(crate) fn list(&self, property: &'static str) -> Result<Vec<&'a str>, InvalidProperty> {
        match self.0.get(property) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => items
                .iter()
                .map(|item| match item {
                    Value::String(text) => single_line(property, text),
                    other => Err(refused(property, &other.to_string(), "expected a string")),
                })
                .collect(),
            Some(other) => Err(refused(property, &other.to_string(), "expected a list")),
        }
    }

    pub(crate) fn repository(&self) -> Result<Repository, InvalidProperty> {
        let uri = self.required("RepositoryUri")?;
        Repository::parse(uri).ok_or_else(|| {
            refused(
                "RepositoryUri",
                uri,
                "expected <account>.dkr.ecr.<region>.amazonaws.com/<name>",
            )
        })
    }

    /// What builds: exactly one of two properties.
    pub(crate) fn builder(&self) -> Result<Builder, InvalidProperty> {
        const FUNCTION: &str = "BuilderFunction";
        let text = |property| {
            self.text(property)
                .map(|text| text.filter(|text| !text.is_empty()))
        };
        match (text("ProjectName")?, text(FUNCTION)?) {
            (Some(project), None) => Ok(Builder::Project(project.to_owned())),
            (None, Some(arn)) => {
                let parts: Vec<&str> = arn.split(':').collect();
                match parts.as_slice() {
                    ["arn", _, "lambda", _, _, "function", name, ..] if !name.is_empty() => {
                        Ok(Builder::Function(arn.to_owned()))
                    }
                    _ => Err(refused(
                        FUNCTION,
                        arn,
                        "expected the ARN of a Lambda function",
                    )),
                }
            }
            (None, None) => Err(InvalidProperty {
                property: "ProjectName",
                problem: "is missing; set either ProjectName or BuilderFunction".to_owned(),
            }),
            (Some(_), Some(arn)) => Err(refused(
                FUNCTION,
                arn,
                "cannot be combined with ProjectName",
            )),
        }
    }

    pub(crate) fn platforms(&self) -> Result<Vec<Platform>, InvalidProperty> {
        let list = self.list("Platforms")?;
        let platform = |text: &str| {
            text.parse()
                .map_err(|_| refused("Platforms", text, "expected OS/ARCH[/VARIANT]"))
        };
        list.into_iter().map(platform).collect()
    }

    pub(crate) fn prefetch_files(&self) -> Result<Vec<String>, InvalidProperty> {
        let list = self.list("PrefetchFiles")?;
        let file = |text: &str| match text {
            "" => Err(refused("PrefetchFiles", text, "expected a path")),
            path => Ok(path.to_owned()),
        };
        list.into_iter().map(file).collect()
    }

    /// A number of bytes; the format stores it as a signed 64-bit integer.
    pub(crate) fn bytes(
        &self,
        property: &'static str,
        least: u64,
    ) -> Result<Option<u64>, InvalidProperty> {
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
                &format!("expected a number of bytes, {least} or more"),
            )),
        }
    }

    pub(crate) fn flag(
        &self,
        property: &'static str,
        default: bool,
    ) -> Result<bool, InvalidProperty> {
        match self.text(property)? {
            None => Ok(default),
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(other) => Err(refused(property, other, "expected true or false")),
        }
    }

    pub(crate) fn fallback(
        &self,
        property: &'static str,
    ) -> Result<Option<FallbackAction>, InvalidProperty> {
        let Some(text) = self.text(property)? else {
            return Ok(None);
        };
        let action = text.parse().map(Some);
        action
            .map_err(|invalid: InvalidFallbackAction| refused(property, text, &invalid.to_string()))
    }
}

pub(crate) fn valid_tag(property: &'static str, text: &str) -> Result<String, InvalidProperty> {
    if is_tag(text) {
        Ok(text.to_owned())
    } else {
        let rule = "not a valid tag: a tag has 1 to 128 letters, digits, '_', '.' and '-'";
        Err(refused(property, text, rule))
    }
}

/// Line breaks are not valid in any of the properties.
fn single_line<'a>(property: &'static str, text: &'a str) -> Result<&'a str, InvalidProperty> {
    if text.contains(['\n', '\r', '\0']) {
        Err(refused(property, text, "must be a single line"))
    } else {
        Ok(text)
    }
}

pub(crate) fn missing(property: &'static str) -> InvalidProperty {
    InvalidProperty {
        property,
        problem: "is missing".to_owned(),
    }
}

pub(crate) fn refused(property: &'static str, value: &str, rule: &str) -> InvalidProperty {
    /// Enough to recognize the value.
    const SHOWN_CHARS: usize = 200;
    let shown: String = value.chars().take(SHOWN_CHARS).collect();
    InvalidProperty {
        property,
        problem: format!("is invalid: {rule} (got {shown:?})"),
    }
}
