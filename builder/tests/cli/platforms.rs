//! Images of several platforms: what the new image index lists, which entry clients take, and what is said where that is no image.

use std::path::Path;

use serde_json::{Value, json};
use soci_testing::{
    fake_registry::FakeRegistry,
    image::{Image, Layer, manifest_under},
    program::{Ended, Program},
};

use crate::index;

const COSIGN: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const IN_TOTO: &str = "application/vnd.in-toto+json";
const FOREIGN: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";

fn platform(os: &str, architecture: &str) -> Value {
    json!({"os": os, "architecture": architecture})
}

fn image(architecture: &str, seed: u64) -> Image {
    let platform = format!("linux/{architecture}");
    Image::for_platform(&platform, [&Layer::noise(seed, 5_000)])
}

/// A build attestation of `image`, as BuildKit makes it.
fn attestation(of: &Image) -> (Value, Image) {
    let config = platform("unknown", "unknown");
    let says = json!({"platform": config, "annotations": {
        "vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": of.digest(),
    }});
    (
        says,
        Image::with_config(&config, [&Layer::of(IN_TOTO, "{}")]),
    )
}

fn signature() -> Image {
    let config = platform("", "");
    Image::with_config(&config, [&Layer::of(COSIGN, "a signature")])
}

fn windows(version: &str, layers: &[Layer]) -> (Value, Image) {
    let mut platform = platform("windows", "amd64");
    platform["os.version"] = version.into();
    let image = Image::with_config(&platform, layers);
    (json!({"platform": platform}), image)
}

fn verify(reference: &str, more: &[&str]) -> Ended {
    Program::new([&["verify", reference][..], more].concat()).run()
}

/// The entries of an image index: `image`, `soci` or `other`, with the platform.
fn entries(index: &Value) -> Vec<(&'static str, Value)> {
    let entries = index["manifests"].as_array().unwrap().iter();
    let kind = |entry: &Value| match (&entry["artifactType"], &entry["annotations"]) {
        (Value::String(_), _) => "soci",
        (_, of) if !of["com.amazon.soci.index-digest"].is_null() => "image",
        _ => "other",
    };
    entries
        .map(|entry| (kind(entry), entry["platform"].clone()))
        .collect()
}

/// Indexes the image of a layout as `v1-soci`, which must be right and stay the same, and gives what it lists.
fn indexed(layout: &Path, reference: &str) -> Vec<(&'static str, Value)> {
    let first = index(reference, &[]).exits(0).json();
    assert_eq!(first["outcome"], "indexed");
    let again = index(reference, &[]).exits(0).json();
    assert_eq!(again["outcome"], "already-there");
    assert_eq!(again["output_digest"], first["output_digest"]);
    let of = |tag: &str| format!("oci:{}:{tag}", layout.display());
    let _ = verify(&of("v1-soci"), &[]).exits(0);
    let twice = index(&of("v1-soci"), &["--output-tag", "twice"]).exits(0);
    assert_eq!(twice.json()["output_digest"], first["output_digest"]);
    entries(&manifest_under(layout, "v1-soci"))
}

#[test]
fn every_image_gets_its_platform() {
    let amd64 = platform("linux", "amd64");
    let arm = json!({"os": "linux", "architecture": "arm64", "variant": "v8"});
    for said in [
        json!({}),
        json!({"platform": {}}),
        json!({"platform": {"os": "linux"}}),
        json!({"platform": {"architecture": "amd64", "os": ""}}),
    ] {
        let other = json!({"platform": arm});
        let image = Image::index([(said, image("amd64", 1)), (other, image("arm64/v8", 2))]);
        let (layout, reference) = image.layout();
        assert_eq!(
            indexed(layout.path(), &reference),
            [
                ("image", amd64.clone()),
                ("image", arm.clone()),
                ("soci", amd64.clone()),
                ("soci", arm.clone())
            ]
        );
    }
}

#[test]
fn what_is_no_image_stays_as_it_is() {
    let amd64 = json!({"platform": platform("linux", "amd64")});
    let image = image("amd64", 1);
    let (mut says, attestation) = attestation(&image);
    says.as_object_mut().unwrap().remove("platform");
    let image = Image::index([
        (json!({}), signature()),
        (amd64.clone(), image),
        (amd64.clone(), signature()),
        (says, attestation),
    ]);
    let (layout, reference) = image.layout();
    let of = amd64["platform"].clone();
    assert_eq!(
        indexed(layout.path(), &reference),
        [
            ("other", Value::Null),
            ("image", of.clone()),
            ("other", of.clone()),
            ("other", Value::Null),
            ("soci", of)
        ]
    );
}

#[test]
fn an_index_whose_clients_take_something_else_is_refused() {
    let amd64 = json!({"platform": platform("linux", "amd64")});
    let image = Image::index([(amd64.clone(), signature()), (amd64, image("amd64", 1))]);
    let registry = FakeRegistry::start();
    let reference = image.push(&registry, "v1");
    for arguments in [
        ["--output-tag", "odd", "--min-layer-size", "0"],
        ["--index-version", "v1", "--min-layer-size", "0"],
        ["--output-tag", "odd", "--min-layer-size", "1MiB"],
    ] {
        let ended = Program::new([&["index", &reference][..], &arguments].concat()).run();
        let ended = ended.exits(1);
        let said = "containerd would pull an artifact (sha256:";
        assert!(ended.stderr.contains(said), "{ended:?}");
    }
    let tagged = registry.tagged(soci_testing::image::REPOSITORY, "odd");
    assert_eq!(tagged, None);
    let ended = verify(&reference, &[]).exits(1);
    assert!(
        ended.stdout.contains("! containerd would pull"),
        "{ended:?}"
    );
}

#[test]
fn soci_indexes_of_others_are_put_in_order() {
    let list = Image::list([
        ("linux/amd64", image("amd64", 1)),
        ("linux/arm64", image("arm64", 2)),
    ]);
    let (layout, reference) = list.layout();
    let right = indexed(layout.path(), &reference);
    let converted = manifest_under(layout.path(), "v1-soci");
    let listed = converted["manifests"].as_array().unwrap().clone();
    let without = |key: &str| {
        let mut listed = listed.clone();
        for entry in &mut listed[2..] {
            entry.as_object_mut().unwrap().remove(key);
        }
        listed
    };
    let mut stale = listed.clone();
    let mut of_nothing = stale[2].clone();
    of_nothing["platform"]["architecture"] = "s390x".into();
    of_nothing["digest"] = Image::of([&Layer::noise(9, 9)]).digest().to_string().into();
    stale.push(of_nothing);
    let reversed = listed.iter().rev().cloned().collect();
    for (change, listed, is_wrong) in [
        ("reversed", reversed, true),
        ("no platforms", without("platform"), true),
        ("no links", without("annotations"), true),
        ("a stale one", stale, true),
        // As skopeo 1.9 leaves it; clients and the snapshotter do not look at it.
        ("no types", without("artifactType"), false),
    ] {
        let mut index = converted.clone();
        index["manifests"] = Value::Array(listed);
        let name = change.replace(' ', "-");
        let reference = put(layout.path(), &index, &name);
        let _ = verify(&reference, &[]).exits(i32::from(is_wrong));
        for more in [&[][..], &["--platform", "linux/arm64"]] {
            let more = [&["--output-tag", "mended"], more].concat();
            let _ = crate::index(&reference, &more).exits(0);
            let mended = format!("oci:{}:mended", layout.path().display());
            let _ = verify(&mended, &[]).exits(0);
            let mut mended = entries(&manifest_under(layout.path(), "mended"));
            mended.sort_by_key(|(kind, platform)| (*kind, platform.to_string()));
            assert_eq!(mended, right, "{change}");
        }
    }
}

/// Puts an image index into a layout, and gives its reference.
fn put(layout: &Path, index: &Value, tag: &str) -> String {
    let bytes = index.to_string();
    let digest = soci_format::digest::Digest::of(bytes.as_bytes());
    std::fs::write(soci_testing::image::blob_path(layout, &digest), &bytes).unwrap();
    let path = layout.join("index.json");
    let mut list: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    list["manifests"].as_array_mut().unwrap().push(json!({
        "mediaType": "application/vnd.oci.image.index.v1+json", "digest": digest, "size": bytes.len(),
        "annotations": {"org.opencontainers.image.ref.name": tag},
    }));
    std::fs::write(path, list.to_string()).unwrap();
    format!("oci:{}:{tag}", layout.display())
}

#[test]
fn several_images_of_one_platform_are_all_indexed() {
    let images = |entries: Vec<(&str, Image)>| Image::list(entries).layout();
    for (entries, soci_indexes) in [
        // Different, the same twice, one for two platforms, the same layers for two platforms.
        (
            vec![
                ("linux/amd64", image("amd64", 1)),
                ("linux/amd64", image("amd64", 2)),
            ],
            2,
        ),
        (
            vec![
                ("linux/amd64", image("amd64", 1)),
                ("linux/amd64", image("amd64", 1)),
            ],
            1,
        ),
        (
            vec![
                ("linux/arm/v6", image("arm", 1)),
                ("linux/arm/v7", image("arm", 1)),
            ],
            2,
        ),
        (
            vec![
                ("linux/amd64", image("amd64", 1)),
                ("linux/arm64", image("arm64", 1)),
            ],
            2,
        ),
    ] {
        let (layout, reference) = images(entries);
        let listed = indexed(layout.path(), &reference);
        let count = |wanted: &str| listed.iter().filter(|(kind, _)| *kind == wanted).count();
        assert_eq!(
            (count("image"), count("soci")),
            (soci_indexes, soci_indexes)
        );
    }
    let (_layout, reference) = images(vec![
        ("linux/amd64", image("amd64", 1)),
        ("linux/amd64", image("amd64", 2)),
    ]);
    let ended = Program::new(["ls", &reference, "--platform", "linux/amd64"])
        .run()
        .exits(0);
    assert!(
        ended
            .stderr
            .contains("warning: the image has 2 manifests for"),
        "{ended:?}"
    );
}

#[test]
fn a_platform_may_have_nothing_to_index() {
    let base = Layer {
        urls: vec!["http://127.0.0.1:1/base".to_owned()],
        ..Layer::of(FOREIGN, Layer::noise(3, 9_000).bytes)
    };
    let (says, windows) = windows("10.0.20348.1", std::slice::from_ref(&base));
    let image = |other: (Value, Image)| {
        let linux = json!({"platform": platform("linux", "amd64")});
        Image::index([(linux, image("amd64", 1)), other])
    };
    let arm64 = json!({"platform": platform("linux", "arm64")});
    let of = |layer: &Layer| Image::for_platform("linux/arm64", [layer]);
    for (image, platform) in [
        (
            image((says, windows.without(&base.digest))),
            "windows/amd64",
        ),
        (image((arm64.clone(), of(&Layer::zstd()))), "linux/arm64"),
        (image((arm64, of(&Layer::noise(4, 20)))), "linux/arm64"),
    ] {
        for version in ["v1", "v2"] {
            let (layout, reference) = image.layout();
            let arguments = ["--min-layer-size", "1KiB", "--index-version", version];
            let _ = Program::new([&["index", &reference][..], &arguments].concat())
                .run()
                .exits(0);
            let tag = if version == "v1" { "v1" } else { "v1-soci" };
            let reference = format!("oci:{}:{tag}", layout.path().display());
            let ended = verify(&reference, &[]).exits(0);
            assert!(ended.stdout.contains("\n  no SOCI index\n"), "{ended:?}");
            let ended = verify(&reference, &["--platform", platform]).exits(1);
            assert!(ended.stderr.contains("it has no SOCI index"), "{ended:?}");
        }
    }
}

#[test]
fn foreign_layers_are_indexed_where_they_are() {
    let elsewhere = FakeRegistry::start();
    let base = Layer {
        urls: vec![format!("{}/base", elsewhere.url())],
        ..Layer::of(FOREIGN, Layer::noise(3, 9_000).bytes)
    };
    let layers = [base.clone(), Layer::noise(4, 5_000)];
    let registry = FakeRegistry::start();
    let (_, whole) = windows("10.0.20348.1", &layers);
    let parted = whole.clone().without(&base.digest);
    for (image, states) in [
        (parted, ["skipped", "indexed"]),
        (whole, ["indexed", "reused"]),
    ] {
        let reference = image.push(&registry, "v1");
        let result = index(&reference, &[]).exits(0).json();
        let layers = result["indexes"][0]["layers"].as_array().unwrap();
        let found: Vec<_> = layers.iter().map(|layer| layer["state"].clone()).collect();
        assert_eq!(found, states);
        if states[0] == "skipped" {
            let reason = layers[0]["reason"].as_str().unwrap();
            assert!(
                reason.starts_with("not in the registry: a non-distributable"),
                "{reason}"
            );
        }
        let again = index(&reference, &[]).exits(0).json();
        assert_eq!(again["outcome"], "already-there");
        let _ = verify(&format!("{reference}-soci"), &[]).exits(0);
    }
    assert_eq!(elsewhere.requests().len(), 0);
}

#[test]
fn a_windows_platform_is_found_with_and_without_its_version() {
    let versions = ["10.0.17763.1", "10.0.20348.9"];
    let linux = json!({"platform": platform("linux", "amd64")});
    let of = |version: &str| windows(version, &[Layer::noise(version.len() as u64 + 7, 5_000)]);
    let image = Image::index([of(versions[0]), of(versions[1]), (linux, image("amd64", 1))]);
    let (layout, reference) = image.layout();
    assert_eq!(indexed(layout.path(), &reference).len(), 6);
    let [old, new] = versions.map(|version| format!("windows({version})/amd64"));
    for (asked, found) in [
        ("windows/amd64", vec![&old, &new]),
        ("windows(10.0.17763)/amd64", vec![&old]),
        (&*new, vec![&new]),
    ] {
        let result = index(&reference, &["--platform", asked, "--output-tag", "w"])
            .exits(0)
            .json();
        let indexes = result["indexes"].as_array().unwrap().iter();
        let platforms: Vec<_> = indexes.map(|index| index["platform"].clone()).collect();
        assert_eq!(json!(platforms), json!(found));
        let _ = Program::new(["ls", &reference, "--platform", asked])
            .run()
            .exits(0);
        let converted = format!("oci:{}:v1-soci", layout.path().display());
        let _ = verify(&converted, &["--platform", asked]).exits(0);
    }
    let ended = index(&reference, &["--platform", "windows(10.0.1776)/amd64"]).exits(1);
    assert!(
        ended
            .stderr
            .contains(&format!("it has {old}, {new}, linux/amd64")),
        "{ended:?}"
    );
}

#[test]
fn a_config_without_a_platform_is_named() {
    for config in [json!({}), json!({"os": "linux"}), platform("", "amd64")] {
        let image = Image::with_config(&config, [&Layer::noise(1, 100)]);
        let digest = image.digest().to_string();
        for image in [image.clone(), Image::index([(json!({}), image.clone())])] {
            let (_layout, reference) = image.layout();
            let ended = index(&reference, &[]).exits(1);
            assert!(ended.stderr.contains(&digest), "{ended:?}");
            assert!(
                ended.stderr.contains("has no os and architecture"),
                "{ended:?}"
            );
        }
        // What the index says is enough.
        let said = json!({"platform": platform("linux", "arm64")});
        let (layout, reference) = Image::index([(said, image)]).layout();
        indexed(layout.path(), &reference);
    }
}
