//! Image indexes with gaps, and indexes within indexes: what is there is indexed and read; what is not is said, and stays.

use serde_json::{Value, json};
use soci_testing::{
    fake_registry::{FakeRegistry, Fault, Route},
    image::{Image, Layer, manifest_under, tar_of},
    program::Program,
};

use crate::index;

/// What is taken away from the arm64 image: its manifest, its config, its first, small layer, or the other.
const GAPS: [&str; 4] = ["manifest", "config", "small", "layer"];

struct Gappy {
    image: Image,
    arm64: Image,
}

/// An image for amd64 and arm64, of which the latter has a gap.
fn gappy(gap: &str) -> Gappy {
    let text = Layer::plain(tar_of([("text", "a".repeat(5_000))]));
    let amd64 = Image::for_platform("linux/amd64", [&text]);
    let [small, layer] = [Layer::noise(2, 20), Layer::noise(3, 5_000)];
    let arm64 = Image::for_platform("linux/arm64", [&small, &layer]);
    let gone = match gap {
        "manifest" => arm64.digest(),
        "config" => arm64.blobs()[0].0,
        "small" => small.digest,
        _ => layer.digest,
    };
    let image = Image::list([("linux/amd64", amd64), ("linux/arm64", arm64.clone())]);
    let image = image.without(&gone);
    Gappy { image, arm64 }
}

#[test]
fn the_platforms_that_are_there_are_indexed() {
    for gap in GAPS {
        let Gappy { image, arm64 } = gappy(gap);
        let registry = FakeRegistry::start();
        let (layout, in_layout) = image.layout();
        for reference in [&image.push(&registry, "v1"), &in_layout] {
            for version in ["v2", "v1"] {
                let asked = ["--index-version", version, "--min-layer-size", "1KiB"];
                let run = |more: &[&str]| {
                    let given = ["index", reference, "--json", "--brief"];
                    Program::new([&given[..], &asked, more].concat()).run()
                };
                let ended = run(&[]).exits(0);
                let warning = "warning: kept unchanged in the image index: sha256:";
                assert!(ended.stderr.contains(warning), "{gap}: {ended:?}");
                let result = ended.json();
                assert_eq!(result["outcome"], "indexed", "{gap}");
                assert_eq!(result["indexes"].as_array().unwrap().len(), 1);
                assert_eq!(result["missing"][0]["platform"], "linux/arm64");
                assert_eq!(
                    run(&[]).exits(0).json()["outcome"],
                    "already-there",
                    "{gap}"
                );

                let converted = match version {
                    "v1" => reference.clone(),
                    _ => format!("{reference}-soci"),
                };
                for command in [
                    &["verify"][..],
                    &["info"],
                    &["ls"],
                    &["cat"],
                    &["report", "-o", "-"],
                ] {
                    let mut arguments = [command, &[&*converted]].concat();
                    if command == ["cat"] {
                        arguments.push("text");
                    }
                    if !["verify", "info"].contains(&command[0]) {
                        arguments.extend(["--platform", "linux/amd64"]);
                    }
                    let _ = Program::new(arguments).run().exits(0);
                }
                for ended in [
                    run(&["--platform", "linux/arm64"]),
                    Program::new(["verify", &converted, "--platform", "linux/arm64"]).run(),
                ] {
                    assert_eq!(ended.code, Some(1), "{gap}: {ended:?}");
                }
            }
        }
        // The entry stays.
        let converted = manifest_under(layout.path(), "v1-soci");
        let kept = &converted["manifests"][1];
        assert_eq!(kept["digest"], arm64.digest().to_string(), "{gap}");
        assert_eq!(kept["annotations"], Value::Null, "{gap}");
    }
}

#[test]
fn nothing_complete_is_an_error_that_says_what_is_missing() {
    let layer = Layer::noise(1, 5_000);
    let image = Image::of([&layer]);
    let digest = image.digest();
    let list = Image::list([("linux/amd64", image.clone())]);
    for (image, missing) in [
        (list.clone().without(&digest), "its manifest is missing"),
        (list.without(&layer.digest), "is missing"),
        (image.without(&layer.digest), "is missing"),
    ] {
        let (_layout, reference) = image.layout();
        let ended = index(&reference, &[]).exits(1);
        assert!(
            ended
                .stderr
                .contains("no platform found: no image is complete here"),
            "{ended:?}"
        );
        assert!(ended.stderr.contains(missing), "{ended:?}");
    }
}

#[test]
fn a_damaged_manifest_is_no_gap() {
    let Gappy { image, arm64 } = gappy("layer");
    let (layout, reference) = image.layout();
    let path = soci_testing::image::blob_path(layout.path(), &arm64.digest());
    std::fs::write(path, "{}").unwrap();
    let ended = index(&reference, &[]).exits(1);
    assert!(
        ended.stderr.contains("is corrupt: digest mismatch"),
        "{ended:?}"
    );
}

#[test]
fn a_registry_that_takes_no_gaps_is_quoted_with_them() {
    let Gappy { image, arm64 } = gappy("manifest");
    let registry = FakeRegistry::start();
    let reference = image.push(&registry, "v1");
    let _ = index(&reference, &[]).exits(0);
    // All but the tag is there.
    for least in ["0", "1MiB"] {
        registry.fail(
            Route::PushManifest,
            Fault::status(404, "MANIFEST_BLOB_UNKNOWN"),
        );
        let arguments = ["--min-layer-size", least, "--output-tag", "other"];
        let ended = Program::new([&["index", &reference][..], &arguments].concat()).run();
        let ended = ended.exits(1);
        let missing = format!("{} (linux/arm64); copy these too", arm64.digest());
        assert!(ended.stderr.contains(&missing), "{ended:?}");
        assert!(ended.stderr.contains("MANIFEST_BLOB_UNKNOWN"), "{ended:?}");
    }
}

/// Indexes of one image each, as `docker buildx imagetools` and others make them, within one index.
fn nested(of: impl IntoIterator<Item = (Value, Image)>) -> Image {
    Image::index(of)
}

#[test]
fn indexes_within_an_index_are_flattened() {
    let of = |architecture: &str, seed: u64| {
        let image = Image::for_platform(
            &format!("linux/{architecture}"),
            [&Layer::noise(seed, 5_000)],
        );
        let about = json!({"platform": {"os": "unknown", "architecture": "unknown"}, "annotations": {
            "vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": image.digest(),
        }});
        let attestation = Image::with_config(
            &about["platform"],
            [&Layer::of("application/vnd.in-toto+json", "{}")],
        );
        let platform = json!({"platform": {"os": "linux", "architecture": architecture}});
        // The outer entry says the platform where the inner one does not.
        (
            platform,
            nested([(json!({}), image.clone()), (about, attestation)]),
        )
    };
    let (amd64, arm64) = (of("amd64", 1), of("arm64", 2));
    let image = nested([amd64.clone(), (json!({}), nested([arm64])), amd64]);
    let registry = FakeRegistry::start();
    let (layout, in_layout) = image.layout();
    for reference in [&image.push(&registry, "v1"), &in_layout] {
        let result = index(reference, &[]).exits(0).json();
        assert_eq!(result["indexes"].as_array().unwrap().len(), 2);
        assert_eq!(
            index(reference, &[]).exits(0).json()["outcome"],
            "already-there"
        );
        let _ = Program::new(["verify", &format!("{reference}-soci")])
            .run()
            .exits(0);
        for arguments in [
            &["info", reference][..],
            &["ls", reference, "--platform", "linux/arm64"],
        ] {
            let _ = Program::new(arguments).run().exits(0);
        }
        let _ = index(reference, &["--index-version", "v1"]).exits(0);
        let _ = Program::new(["verify", reference]).run().exits(0);
    }
    let flat = manifest_under(layout.path(), "v1-soci");
    let listed = flat["manifests"].as_array().unwrap();
    let architectures: Vec<_> = listed
        .iter()
        .map(|entry| &entry["platform"]["architecture"])
        .collect();
    assert_eq!(
        json!(architectures),
        json!(["amd64", "unknown", "arm64", "unknown", "amd64", "arm64"])
    );
    for (image, attestation) in [(0, 1), (2, 3)] {
        let link = &listed[attestation]["annotations"]["vnd.docker.reference.digest"];
        assert_eq!(*link, listed[image]["digest"]);
    }
}

#[test]
fn indexes_are_flattened_to_a_bounded_depth_and_number() {
    let image = Image::of([&Layer::noise(1, 100)]);
    let deep =
        |depth: usize| (0..depth).fold(image.clone(), |inner, _| nested([(json!({}), inner)]));
    let (_layout, reference) = deep(4).layout();
    let _ = index(&reference, &[]).exits(0);
    let (_layout, reference) = deep(5).layout();
    let ended = index(&reference, &[]).exits(1);
    assert!(
        ended.stderr.contains("nested more than 4 deep"),
        "{ended:?}"
    );
    let wide = nested((0..40).map(|_| {
        (
            json!({}),
            nested((0..40).map(|_| (json!({}), image.clone()))),
        )
    }));
    let (_layout, reference) = wide.layout();
    let ended = index(&reference, &[]).exits(1);
    assert!(
        ended.stderr.contains("more than 1000 manifests"),
        "{ended:?}"
    );
}

#[test]
fn an_index_without_images_has_no_platform() {
    let config = json!({"os": "unknown", "architecture": "unknown"});
    let attestation =
        Image::with_config(&config, [&Layer::of("application/vnd.in-toto+json", "{}")]);
    for image in [
        nested([]),
        nested([(json!({}), nested([]))]),
        nested([(json!({"platform": config}), attestation.clone())]),
        nested([(json!({}), attestation)]),
    ] {
        let (_layout, reference) = image.layout();
        for arguments in [
            &["verify", &*reference][..],
            &["info", &reference],
            &["ls", &reference],
            &["cat", &reference, "x"],
            &["report", &reference, "-o", "-"],
            &["index", &reference],
            &["index", &reference, "--index-version", "v1"],
        ] {
            let ended = Program::new(arguments).run().exits(1);
            assert!(
                ended
                    .stderr
                    .contains(": no platform found: the image index"),
                "{ended:?}"
            );
        }
    }
}

#[test]
fn one_wrong_answer_leaves_no_platform_out() {
    let arm64 = Image::for_platform("linux/arm64", [&Layer::noise(3, 5_000)]);
    let amd64 = Image::for_platform("linux/amd64", [&Layer::noise(2, 5_000)]);
    // Without a platform, so that its config is asked for.
    let image = nested([
        (
            json!({"platform": {"os": "linux", "architecture": "amd64"}}),
            amd64,
        ),
        (json!({}), arm64),
    ]);
    let indexed = |fault: Option<(Route, usize)>| {
        let registry = FakeRegistry::start();
        let reference = image.push(&registry, "v1");
        if let Some((route, before)) = fault {
            let passes = Fault::Header("x-nothing", "changed".to_owned());
            registry.fail(route, passes).times(before);
            registry.fail(route, Fault::status(404, "UNKNOWN"));
        }
        let given = ["index", &reference, "--json", "--brief"];
        let ended = Program::new([&given[..], &["--min-layer-size", "1KiB"]].concat()).run();
        let asked = |route| registry.requests_to(route).len();
        let requests = [Route::ReadManifest, Route::HeadBlob].map(|route| (route, asked(route)));
        (ended, requests)
    };
    let (undisturbed, requests) = indexed(None);
    let right = undisturbed.exits(0).json();
    for (route, number) in requests {
        for before in 0..number {
            let (ended, _) = indexed(Some((route, before)));
            if ended.code == Some(0) {
                let result = ended.json();
                assert_eq!(
                    result["output_digest"], right["output_digest"],
                    "a wrong 404 to {route:?} number {before}: {ended:?}"
                );
            }
        }
    }
}
