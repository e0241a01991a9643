//! What a function indexes, and how. In: the JSON in its environment variable. Out: validated values. An error names the property and its
//! value.

use serde_json::Value;
use soci_format::{index::Version, oci::is_tag};

use super::filters::Filters;
use crate::properties::{
    BuildOptions, InvalidProperty,
    fields::{Fields, missing, refused},
    version,
};

/// The environment variable.
pub const VARIABLE: &str = "SOCI_ON_PUSH";
const DEFAULT_SUFFIX: &str = "-soci";

/// All properties there are: a misspelt one must not be ignored.
const KNOWN: [&str; 9] = [
    "Filters",
    "OutputSuffix",
    "IndexVersion",
    "Platforms",
    "MinLayerSize",
    "SpanSize",
    "PrefetchFiles",
    "WhenTooSmall",
    "WhenUnsupported",
];

/// The settings of a function.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which images are indexed.
    pub filters: Filters,
    /// The version of the indexes.
    pub version: Version,
    /// What the output tag adds to the image's.
    pub output_suffix: String,
    /// What an index holds.
    pub options: BuildOptions,
}

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidSettings {
    /// There are none.
    #[error("environment variable {VARIABLE} is not set")]
    Missing,
    /// Not JSON.
    #[error("environment variable {VARIABLE} is not a JSON object: {0}")]
    Json(String),
    /// A property that does not exist.
    #[error("environment variable {VARIABLE}: unknown property {0:?}; expected {known}", known = KNOWN.join(", "))]
    Unknown(String),
    /// An invalid property.
    #[error("environment variable {VARIABLE}: {0}")]
    Property(#[from] InvalidProperty),
}

impl Settings {
    /// Parses the variable's value.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(text: Option<&str>) -> Result<Self, InvalidSettings> {
        let text = text.ok_or(InvalidSettings::Missing)?;
        let raw = match serde_json::from_str(text) {
            Ok(Value::Object(raw)) => raw,
            Ok(_) => return Err(InvalidSettings::Json("it is something else".to_owned())),
            Err(error) => return Err(InvalidSettings::Json(error.to_string())),
        };
        if let Some(unknown) = raw.keys().find(|name| !KNOWN.contains(&&***name)) {
            return Err(InvalidSettings::Unknown(unknown.clone()));
        }
        let fields = Fields(&raw);
        let filters = Filters::parse(fields.list("Filters")?);
        let filters =
            filters.map_err(|(filter, why)| refused("Filters", filter, &why.to_string()))?;
        if filters.is_empty() {
            return Err(missing("Filters").into());
        }
        let output_suffix = fields.text("OutputSuffix")?.unwrap_or(DEFAULT_SUFFIX);
        if output_suffix.is_empty() || !is_tag(&format!("v{output_suffix}")) {
            let rule = "expected 1 to 127 letters, digits, '_', '.' and '-'";
            return Err(refused("OutputSuffix", output_suffix, rule).into());
        }
        Ok(Self {
            filters,
            version: version(&fields)?.unwrap_or(Version::V2),
            output_suffix: output_suffix.to_owned(),
            options: BuildOptions::parse(&fields)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_enough() {
        let settings = Settings::parse(Some(r#"{"Filters": ["team/*"]}"#)).unwrap();
        assert!(settings.filters.matches("team/app", "v1"));
        assert_eq!(settings.version, Version::V2);
        assert_eq!(settings.output_suffix, "-soci");
    }

    #[test]
    fn every_property_is_read() {
        let text = r#"{"Filters": ["app:v*"], "OutputSuffix": ".soci", "IndexVersion": "v1", "Platforms": ["linux/amd64"],
            "MinLayerSize": "0", "SpanSize": "1048576", "PrefetchFiles": ["/app"], "WhenTooSmall": "fail", "WhenUnsupported": "use-original"}"#;
        let settings = Settings::parse(Some(text)).unwrap();
        assert_eq!(settings.version, Version::V1);
        assert_eq!(settings.output_suffix, ".soci");
        assert!(
            settings.options.when_too_small.is_some()
                && settings.options.when_unsupported.is_some()
        );
    }

    #[test]
    fn an_error_names_the_variable_the_property_and_the_value() {
        for (text, words) in [
            (None, &["SOCI_ON_PUSH is not set"][..]),
            (Some("[]"), &["not a JSON object"]),
            (Some("{"), &["not a JSON object", "EOF"]),
            (Some("{}"), &["Filters is missing"]),
            (Some(r#"{"Filters": []}"#), &["Filters is missing"]),
            (
                Some(r#"{"Filters": "app"}"#),
                &["Filters", "expected a list", "app"],
            ),
            (
                Some(r#"{"Filters": ["App"]}"#),
                &["Filters", "REPOSITORY:TAG", "\"App\""],
            ),
            (
                Some(r#"{"Filters": ["a"], "OutputSuffix": ""}"#),
                &["OutputSuffix", "\"\""],
            ),
            (
                Some(r#"{"Filters": ["a"], "OutputSuffix": "+"}"#),
                &["OutputSuffix", "\"+\""],
            ),
            (
                Some(r#"{"Filters": ["a"], "IndexVersion": "v3"}"#),
                &["IndexVersion", "\"v3\""],
            ),
            (
                Some(r#"{"Filters": ["a"], "SpanSize": "0"}"#),
                &["SpanSize", "\"0\""],
            ),
            (
                Some(r#"{"Filters": ["a"], "filters": []}"#),
                &["unknown property \"filters\""],
            ),
        ] {
            let error = Settings::parse(text).unwrap_err().to_string();
            assert!(error.contains("SOCI_ON_PUSH"), "{error}");
            for word in words {
                assert!(error.contains(word), "no {word:?} in {error}");
            }
        }
    }
}
