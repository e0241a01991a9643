//! One test per refusal, and one for each way out.

use serde_json::json;
use soci_index::run::FallbackAction;

use super::*;

macro_rules! properties {
    ($name:literal) => {{
        let text = include_str!(concat!("../../tests/events/", $name, ".json"));
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
fn the_required_properties_are_enough() {
    let properties = Properties::parse(&properties!("create")).unwrap();
    assert_eq!(
        properties.arguments(None),
        [
            "index",
            "123456789012.dkr.ecr.us-east-1.amazonaws.com/team/app:v1",
            "--index-version=v2",
            "--output-tag=v1-soci",
            "--json",
            "--brief"
        ]
    );
    let request = properties.request();
    assert_eq!(request.image.to_string(), properties.image());
    assert_eq!(request.options.min_layer_size, 10 << 20);
    assert_eq!(request.options.span_size, 4 << 20);
    assert_eq!(request.when_unsupported, FallbackAction::Fail);
}

#[test]
fn every_property_reaches_both_forms() {
    let properties = Properties::parse(&properties!("create-all-properties")).unwrap();
    let arguments = properties.arguments(Some("v0-soci"));
    assert_eq!(
        arguments[3..],
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
    assert_eq!(request.when_too_small, FallbackAction::Fail);
    assert!(is_destroyed(&properties!("create-all-properties")));
    assert!(!is_destroyed(&properties!("create")));
}

#[test]
fn each_invalid_property_is_reported_with_its_name_and_value() {
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
        (
            "InputImageTag",
            json!("v1\n--strict"),
            "must be a single line",
        ),
        (
            "InputImageDigest",
            json!("sha256:12"),
            "cannot be combined with InputImageTag",
        ),
        ("OutputImageTag", json!("a b"), "a b"),
        (
            "OutputImageTag",
            json!("v1"),
            "must differ from the input image's tag",
        ),
        ("Platforms", json!("linux/amd64"), "expected a list"),
        ("Platforms", json!(["linux"]), "\"linux\""),
        ("Platforms", json!([7]), "expected a string"),
        ("MinLayerSize", json!("10MiB"), "10MiB"),
        ("MinLayerSize", json!("+1"), "+1"),
        (
            "MinLayerSize",
            json!("9223372036854775808"),
            "9223372036854775808",
        ),
        ("SpanSize", json!("0"), "1 or more"),
        ("PrefetchFiles", json!(["a\nb"]), "must be a single line"),
        ("PrefetchFiles", json!([""]), "expected a path"),
        ("WhenTooSmall", json!("ignore"), "ignore"),
        ("WhenUnsupported", json!("ignore"), "ignore"),
        ("RemovalPolicy", json!("snapshot"), "snapshot"),
        ("WaitForIndex", json!("no"), "expected true or false"),
    ] {
        let refused = Properties::parse(&with(property, value)).unwrap_err();
        let text = refused.to_string();
        assert!(text.starts_with(&format!("property {property} ")), "{text}");
        assert!(text.contains(shown), "{text}");
    }
}

#[test]
fn lists_may_use_all_variables_of_a_build() {
    let files = |count: usize| {
        with(
            "PrefetchFiles",
            json!(vec!["/a/path/of/forty/characters/or/about/it"; count]),
        )
    };
    assert!(Properties::parse(&files(500)).is_ok());
    let refused = Properties::parse(&files(600)).unwrap_err().to_string();
    assert!(
        refused.starts_with("property PrefetchFiles is too long"),
        "{refused}"
    );
    assert!(refused.contains("32768"), "{refused}");
    let platforms = with("Platforms", json!(vec!["linux/amd64"; 2_000]));
    let refused = Properties::parse(&platforms).unwrap_err().to_string();
    assert!(
        refused.starts_with("property Platforms is too long"),
        "{refused}"
    );
}

#[test]
fn removal_policy_destroy_requires_waiting() {
    let mut raw = with("WaitForIndex", json!("false"));
    assert!(!Properties::parse(&raw).unwrap().waits);
    raw.insert("RemovalPolicy".to_owned(), json!("destroy"));
    let text = Properties::parse(&raw).unwrap_err().to_string();
    assert!(
        text.starts_with("property RemovalPolicy is invalid"),
        "{text}"
    );
    assert!(text.contains("WaitForIndex false"), "{text}");
    raw.insert("WaitForIndex".to_owned(), json!("true"));
    assert!(Properties::parse(&raw).unwrap().waits);
}

#[test]
fn a_missing_required_property_is_reported() {
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
            text.starts_with(&format!("property {property} is missing")),
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

#[test]
fn one_of_the_two_builds() {
    let arn = "arn:aws:lambda:us-east-1:123456789012:function:builder";
    let with_function = |project: Option<&str>, function: Value| {
        let mut raw = with("BuilderFunction", function);
        raw.remove("ProjectName");
        raw.extend(project.map(|name| ("ProjectName".to_owned(), json!(name))));
        Properties::parse(&raw).map(|properties| properties.builder)
    };
    assert_eq!(
        with_function(None, json!(arn)),
        Ok(Builder::Function(arn.to_owned()))
    );
    for (project, function, why) in [
        (
            Some("builder"),
            json!(arn),
            "cannot be combined with ProjectName",
        ),
        (None, json!(""), "set either ProjectName or BuilderFunction"),
        (
            None,
            json!("builder"),
            "expected the ARN of a Lambda function",
        ),
        (None, json!(7), "expected a string"),
    ] {
        let refused = with_function(project, function).unwrap_err().to_string();
        assert!(refused.contains(why), "{refused}");
    }
}
