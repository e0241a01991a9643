//! One property at a time. In: what CloudFormation sends. Out: a value of the kind that the property has, or a refusal with its name
//! and value. Knows no rule that two properties share.

use serde_json::Value;
use soci_format::oci::{Platform, is_tag};
use soci_index::run::Otherwise;

use crate::{event::RawProperties, repository::Repository};

/// A property that cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the property {property} {problem}")]
pub struct Refused {
    pub(super) property: &'static str,
    pub(super) problem: String,
}

/// Properties by name.
pub(super) struct Fields<'a>(pub(super) &'a RawProperties);

impl<'a> Fields<'a> {
    pub(super) fn text(&self, property: &'static str) -> Result<Option<&'a str>, Refused> {
        match self.0.get(property) {
            None => Ok(None),
            Some(Value::String(text)) => single_line(property, text).map(Some),
            Some(other) => Err(refused(property, &other.to_string(), "not a text")),
        }
    }

    pub(super) fn required(&self, property: &'static str) -> Result<&'a str, Refused> {
        let text = self.text(property)?;
        text.filter(|text| !text.is_empty())
            .ok_or_else(|| missing(property))
    }

    pub(super) fn list(&self, property: &'static str) -> Result<Vec<&'a str>, Refused> {
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

    pub(super) fn repository(&self) -> Result<Repository, Refused> {
        let uri = self.required("RepositoryUri")?;
        Repository::parse(uri).ok_or_else(|| {
            refused(
                "RepositoryUri",
                uri,
                "not <account>.dkr.ecr.<region>.amazonaws.com/<name>",
            )
        })
    }

    pub(super) fn platforms(&self) -> Result<Vec<Platform>, Refused> {
        let list = self.list("Platforms")?;
        let platform = |text: &str| {
            text.parse()
                .map_err(|_| refused("Platforms", text, "not of the form OS/ARCH[/VARIANT]"))
        };
        list.into_iter().map(platform).collect()
    }

    pub(super) fn prefetch_files(&self) -> Result<Vec<String>, Refused> {
        let list = self.list("PrefetchFiles")?;
        let file = |text: &str| match text {
            "" => Err(refused("PrefetchFiles", text, "not a path")),
            path => Ok(path.to_owned()),
        };
        list.into_iter().map(file).collect()
    }

    /// A number of bytes that the format's signed 64 bits can hold.
    pub(super) fn bytes(&self, property: &'static str, least: u64) -> Result<Option<u64>, Refused> {
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

    pub(super) fn flag(&self, property: &'static str, default: bool) -> Result<bool, Refused> {
        match self.text(property)? {
            None => Ok(default),
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(other) => Err(refused(property, other, "neither true nor false")),
        }
    }

    pub(super) fn otherwise(&self, property: &'static str) -> Result<Option<Otherwise>, Refused> {
        match self.text(property)? {
            None => Ok(None),
            Some("use-original") => Ok(Some(Otherwise::UseOriginal)),
            Some("fail") => Ok(Some(Otherwise::Fail)),
            Some(other) => Err(refused(property, other, "neither use-original nor fail")),
        }
    }
}

pub(super) fn a_tag(property: &'static str, text: &str) -> Result<String, Refused> {
    if is_tag(text) {
        Ok(text.to_owned())
    } else {
        let rule = "not a tag: tags have 1 to 128 letters, digits, '_', '.' and '-'";
        Err(refused(property, text, rule))
    }
}

/// No path, tag or name that anybody uses has a line break, and lists of paths cannot hold one.
fn single_line<'a>(property: &'static str, text: &'a str) -> Result<&'a str, Refused> {
    if text.contains(['\n', '\r', '\0']) {
        Err(refused(property, text, "more than one line"))
    } else {
        Ok(text)
    }
}

pub(super) fn missing(property: &'static str) -> Refused {
    Refused {
        property,
        problem: "is missing".to_owned(),
    }
}

pub(super) fn refused(property: &'static str, value: &str, rule: &str) -> Refused {
    /// Enough to recognize the value.
    const SHOWN_CHARS: usize = 200;
    let shown: String = value.chars().take(SHOWN_CHARS).collect();
    Refused {
        property,
        problem: format!("is {shown:?}, which is {rule}"),
    }
}
