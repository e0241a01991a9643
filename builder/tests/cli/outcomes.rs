//! How a run can end, what it says then, and what it leaves.

use serde_json::{Value, json};
use soci_testing::{
    fake_registry::{FakeRegistry, Route},
    image::{Image, Layer, REPOSITORY},
    program::{Ended, Program},
};

use crate::index;

fn keys(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

fn tag(registry: &FakeRegistry, tag: &str) -> Option<String> {
    registry
        .tagged(REPOSITORY, tag)
        .map(|(digest, _)| digest.to_string())
}

#[test]
fn indexed_then_already_there() {
    let registry = FakeRegistry::start();
    let layer = Layer::noise(1, 50_000);
    let image = Image::of([&layer, &Layer::zstd()]);
    let reference = image.push(&registry, "v1");

    let ended = index(&reference, &[]).exits(0);
    assert!(ended.stderr.contains("1 layer to index"), "{ended:?}");
    assert!(
        ended.stderr.contains(&format!("1/1 {}", layer.digest)),
        "{ended:?}"
    );
    let first = ended.json();
    assert_eq!(
        keys(&first),
        [
            "bytes_read",
            "image_digest",
            "indexes",
            "layers",
            "outcome",
            "output_digest",
            "output_tag",
            "seconds"
        ]
    );
    let platform = &first["indexes"][0];
    assert_eq!(
        keys(platform),
        ["index_digest", "layers", "manifest_digest", "platform"]
    );
    assert_eq!(keys(&platform["layers"][0]), ["digest", "size", "state"]);
    assert_eq!(
        keys(&platform["layers"][1]),
        ["digest", "reason", "size", "state"]
    );
    assert_eq!(first["outcome"], "indexed");
    assert_eq!(
        first["layers"],
        json!({"indexed": 1, "reused": 0, "skipped": 1})
    );
    assert_eq!(first["image_digest"], image.digest().to_string());
    assert_eq!(first["output_tag"], "v1-soci");
    assert_eq!(first["bytes_read"], layer.size);
    assert_eq!(platform["platform"], "linux/amd64");
    assert_eq!(platform["manifest_digest"], image.digest().to_string());
    assert_eq!(platform["layers"][0]["digest"], layer.digest.to_string());
    assert_eq!(platform["layers"][0]["size"], layer.size);
    assert_eq!(platform["layers"][0]["state"], "indexed");
    assert_eq!(platform["layers"][1]["state"], "skipped");
    assert_eq!(
        platform["layers"][1]["reason"],
        "compressed with zstd, which cannot be indexed"
    );
    assert_eq!(json!(tag(&registry, "v1-soci")), first["output_digest"]);
    assert_eq!(registry.reads_of(&layer.digest), 1);

    let pushes = registry.requests_to(Route::PushManifest).len();
    let second = index(&reference, &[]).exits(0).json();
    assert_eq!(second["outcome"], "already-there");
    assert_eq!(second["bytes_read"], 0);
    assert_eq!(second["output_digest"], first["output_digest"]);
    assert_eq!(
        second["indexes"][0]["index_digest"],
        platform["index_digest"]
    );
    assert_eq!(second["indexes"][0]["layers"][0]["state"], "reused");
    assert_eq!(registry.reads_of(&layer.digest), 1);
    assert_eq!(registry.requests_to(Route::PushManifest).len(), pushes);
}

#[test]
fn a_person_is_told_in_text() {
    let (_layout, image) = Image::of([&Layer::noise(1, 9_000)]).layout();
    let arguments = ["index", &image, "--min-layer-size", "0"];
    let first = Program::new(arguments).run().exits(0).stdout;
    assert!(
        first.starts_with("indexed (8.9 KiB of layers read, "),
        "{first}"
    );
    assert!(first.contains("\nlinux/amd64\n"), "{first}");
    assert!(first.trim_end().ends_with("indexed"), "{first}");
    let second = Program::new(arguments).run().exits(0).stdout;
    assert!(
        second.starts_with("already there (0 B of layers read, "),
        "{second}"
    );
}

#[test]
fn a_brief_result_counts_layers_instead_of_listing_them() {
    let shared = Layer::noise(1, 9_000);
    let image = Image::list(["linux/amd64", "linux/arm64"].map(|name| {
        let own = Layer::noise(name.len() as u64, 1_000);
        (name, Image::for_platform(name, [&shared, &own]))
    }));
    let registry = FakeRegistry::start();
    let reference = image.push(&registry, "v1");
    let result = index(&reference, &["--brief"]).exits(0).json();
    assert_eq!(
        result["layers"],
        json!({"indexed": 2, "reused": 0, "skipped": 0})
    );
    assert_eq!(
        keys(&result["indexes"][0]),
        ["index_digest", "manifest_digest", "platform"]
    );
}

#[test]
fn a_failed_run_says_so_in_its_result() {
    let registry = FakeRegistry::start();
    let reference = Image::of([&Layer::noise(1, 100)]).push(&registry, "v1");
    let missing = reference.replace(":v1", ":v2");
    let ended = index(&missing, &[]).exits(1);
    let result = ended.json();
    assert_eq!(keys(&result), ["error", "outcome"]);
    assert_eq!(result["outcome"], "failed");
    let error = result["error"].as_str().unwrap();
    assert!(
        error.starts_with(&format!("cannot index {missing}: ")),
        "{error}"
    );
    assert_eq!(
        ended.stderr.lines().last(),
        Some(&*format!("soci-builder: {error}"))
    );
}

#[test]
fn nothing_to_index() {
    let registry = FakeRegistry::start();
    let image = Image::of([&Layer::noise(1, 100)]);
    let reference = image.push(&registry, "v1");
    let run = |more: &[&str]| -> Ended {
        Program::new([&["index", &reference, "--json"], more].concat()).run()
    };

    let result = run(&["--when-too-small", "fail"]).exits(3).json();
    assert_eq!(result["outcome"], "nothing-to-index");
    assert_eq!(result["output_digest"], json!(null));
    assert_eq!(result["output_tag"], json!(null));
    assert_eq!(
        result["indexes"][0]["layers"][0]["reason"],
        "smaller than the minimum of 10485760 bytes"
    );
    assert_eq!(tag(&registry, "v1-soci"), None);

    for _ in 0..2 {
        let result = run(&[]).exits(0).json();
        assert_eq!(result["outcome"], "nothing-to-index");
        assert_eq!(result["output_digest"], image.digest().to_string());
        assert_eq!(result["output_tag"], "v1-soci");
        assert_eq!(tag(&registry, "v1-soci"), Some(image.digest().to_string()));
    }
    assert_eq!(registry.requests_to(Route::PushManifest).len(), 1);
}

#[test]
fn unsupported() {
    let registry = FakeRegistry::start();
    let image = Image::of([&Layer::zstd()]);
    let reference = image.push(&registry, "v1");

    let result = index(&reference, &[]).exits(3).json();
    assert_eq!(result["outcome"], "unsupported");
    assert_eq!(result["output_digest"], json!(null));
    assert_eq!(tag(&registry, "v1-soci"), None);

    let result = index(&reference, &["--when-unsupported", "use-original"])
        .exits(0)
        .json();
    assert_eq!(result["outcome"], "unsupported");
    assert_eq!(result["output_digest"], image.digest().to_string());
    assert_eq!(tag(&registry, "v1-soci"), Some(image.digest().to_string()));
}

#[test]
fn version_1_never_makes_a_tag() {
    let registry = FakeRegistry::start();
    let reference = Image::of([&Layer::noise(1, 100)]).push(&registry, "v1");
    let v1 = ["--index-version", "v1"];
    let small = Program::new([&["index", &reference, "--json"], &v1[..]].concat()).run();
    assert_eq!(small.exits(0).json()["output_tag"], "v1");
    index(&reference, &v1).exits(0).json();
    assert_eq!(tag(&registry, "v1-soci"), None);
}

#[test]
fn the_output_tag_is_the_one_asked_for() {
    let registry = FakeRegistry::start();
    let reference = Image::of([&Layer::noise(1, 100)]).push(&registry, "v1");
    let result = index(&reference, &["--output-tag", "lazy"]).exits(0).json();
    assert_eq!(result["output_tag"], "lazy");
    assert_eq!(json!(tag(&registry, "lazy")), result["output_digest"]);
    assert_eq!(tag(&registry, "v1-soci"), None);
}

#[test]
fn a_digest_needs_an_output_tag() {
    let registry = FakeRegistry::start();
    let image = Image::of([&Layer::noise(1, 100)]);
    let tagged = image.push(&registry, "v1");
    let reference = format!("{}/{REPOSITORY}@{}", registry.host(), image.digest());
    let ended = index(&reference, &[]).exits(2);
    assert!(
        ended.stderr.contains("set one with --output-tag"),
        "{ended:?}"
    );
    assert_eq!(registry.requests_to(Route::PushManifest).len(), 0);

    let by_digest = index(&reference, &["--output-tag", "lazy"]).exits(0).json();
    let by_tag = index(&tagged, &[]).exits(0).json();
    assert_eq!(by_digest["output_digest"], by_tag["output_digest"]);
    index(&reference, &["--index-version", "v1"])
        .exits(0)
        .json();
}

#[test]
fn a_redeploy_reads_only_what_changed() {
    let registry = FakeRegistry::start();
    let (base, old, new) = (
        Layer::noise(1, 90_000),
        Layer::noise(2, 5_000),
        Layer::noise(3, 6_000),
    );
    index(&Image::of([&base, &old]).push(&registry, "v1"), &[])
        .exits(0)
        .json();
    let reference = Image::of([&base, &new]).push(&registry, "v2");
    let result = index(&reference, &["--reuse-from", "v1-soci"])
        .exits(0)
        .json();
    assert_eq!(result["bytes_read"], new.size);
    assert_eq!(result["indexes"][0]["layers"][0]["state"], "reused");
    assert_eq!(result["indexes"][0]["layers"][1]["state"], "indexed");
    assert_eq!(registry.reads_of(&base.digest), 1);

    // Reused or not, it is the same index.
    let fresh = FakeRegistry::start();
    let again = index(&Image::of([&base, &new]).push(&fresh, "v2"), &[])
        .exits(0)
        .json();
    assert_eq!(again["output_digest"], result["output_digest"]);
}

#[test]
fn a_tag_to_reuse_that_is_not_there_costs_only_time() {
    let registry = FakeRegistry::start();
    let reference = Image::of([&Layer::noise(1, 100)]).push(&registry, "v1");
    let ended = index(&reference, &["--reuse-from", "v0-soci"]).exits(0);
    assert!(
        ended.stderr.contains("warning: tag v0-soci not found"),
        "{ended:?}"
    );
}

#[test]
fn platforms_can_be_chosen() {
    let names = [
        "linux/386",
        "linux/amd64",
        "linux/arm/v5",
        "linux/arm/v7",
        "linux/arm64",
        "linux/ppc64le",
        "linux/riscv64",
        "linux/s390x",
    ];
    let shared = Layer::noise(100, 20_000);
    let image = Image::list((0..).zip(names).map(|(seed, name)| {
        let own = Layer::noise(seed, 1_000);
        (name, Image::for_platform(name, [&shared, &own]))
    }));
    let registry = FakeRegistry::start();
    let reference = image.push(&registry, "v1");

    let result = index(&reference, &["--platform", "linux/arm/v7"])
        .exits(0)
        .json();
    let indexes = result["indexes"].as_array().unwrap();
    assert_eq!(indexes.len(), 1);
    assert!(
        indexes[0]["platform"]
            .as_str()
            .unwrap()
            .starts_with("linux/arm")
    );
    // All platforms are in the new image, one of them with an index.
    let (_, output) = registry.tagged(REPOSITORY, "v1-soci").unwrap();
    let output: Value = serde_json::from_slice(&output).unwrap();
    assert_eq!(output["manifests"].as_array().unwrap().len(), 9);

    let result = index(&reference, &[]).exits(0).json();
    let platforms: Vec<_> = result["indexes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|index| index["platform"].as_str().unwrap())
        .collect();
    assert_eq!(platforms, names);
    let (_, output) = registry.tagged(REPOSITORY, "v1-soci").unwrap();
    let output: Value = serde_json::from_slice(&output).unwrap();
    assert_eq!(output["manifests"].as_array().unwrap().len(), 16);
    // A layer that all have is read once.
    assert_eq!(registry.reads_of(&shared.digest), 1);

    index(
        &reference,
        &["--platform", "windows/amd64", "--output-tag", "other"],
    )
    .fails_with(&[
        "no platform windows/amd64",
        "linux/386, linux/amd64, linux/arm/v5",
    ]);
    assert_eq!(tag(&registry, "other"), None);
}
