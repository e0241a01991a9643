//! The tag of an indexed image, exactly as the construct's default is (`cdk-construct/src/output-tag.ts`): where it differs, the deployment
//! does not find the index. `cdk-construct/test/output-tags.json` has values that both sides are tested with.

use serde::Serialize;
use soci_format::{digest::Digest, index::IndexOptions, oci::RegistryImage};

/// The options that change an index, those left out that have their default. Names and their order are a part of the hash.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Changed<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    min_layer_size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    platforms: Option<Vec<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prefetch_files: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    span_size: Option<u64>,
}

/// What stands behind the name of the input image: `-soci`, and a hash of the options that are not the defaults. `platforms` are as the
/// user writes them.
pub(super) fn suffix(platforms: &[String], options: &IndexOptions) -> String {
    let defaults = IndexOptions::default();
    let unless_default = |value: u64, default: u64| (value != default).then_some(value);
    let mut platforms: Vec<&str> = platforms.iter().map(String::as_str).collect();
    platforms.sort_unstable();
    platforms.dedup();
    let changed = Changed {
        min_layer_size: unless_default(options.min_layer_size, defaults.min_layer_size),
        platforms: Some(platforms).filter(|platforms| !platforms.is_empty()),
        prefetch_files: Some(&*options.prefetch_files).filter(|files| !files.is_empty()),
        span_size: unless_default(options.span_size, defaults.span_size),
    };
    // Numbers and texts always have a JSON.
    let json = serde_json::to_string(&changed).unwrap_or_default();
    match json.as_str() {
        "{}" => "-soci".to_owned(),
        json => format!("-soci-{}", &Digest::of(json.as_bytes()).hex()[..8]),
    }
}

/// The tag, or the digits of the digest.
pub(super) fn name_of(image: &RegistryImage) -> String {
    let digits = || image.digest.map(|digest| digest.hex());
    image.tag.clone().or_else(digits).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Value {
        tag: Option<String>,
        digest: Option<Digest>,
        min_layer_size: Option<u64>,
        span_size: Option<u64>,
        #[serde(default)]
        platforms: Vec<String>,
        #[serde(default)]
        prefetch_files: Vec<String>,
        output: String,
    }

    #[test]
    fn is_that_of_the_construct() {
        let values = include_str!("../../../cdk-construct/test/output-tags.json");
        let values: Vec<Value> = serde_json::from_str(values).unwrap();
        for value in values {
            let image = RegistryImage {
                host: "registry.example".to_owned(),
                repository: "app".to_owned(),
                tag: value.tag,
                digest: value.digest,
            };
            let defaults = IndexOptions::default();
            let options = IndexOptions {
                min_layer_size: value.min_layer_size.unwrap_or(defaults.min_layer_size),
                span_size: value.span_size.unwrap_or(defaults.span_size),
                prefetch_files: value.prefetch_files,
                ..defaults
            };
            let output = name_of(&image) + &suffix(&value.platforms, &options);
            assert_eq!(output, value.output);
        }
    }
}
