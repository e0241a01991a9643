//! Images in layouts by the names that other tools give them: whole names, digests, lists of platforms in `index.json`.

use std::{fs, path::Path};

use serde_json::{Value, json};
use soci_testing::{
    image::{Image, Layer},
    program::Program,
};
use tempfile::TempDir;

use crate::index;

const REF_NAME: &str = "org.opencontainers.image.ref.name";
const IMAGE_NAME: &str = "io.containerd.image.name";

/// Layouts, each with several images, whose `index.json` a test writes itself.
struct Images {
    folder: TempDir,
    amd64: Value,
    arm64: Value,
    list: Value,
}

impl Images {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let layout = folder.path().join("layout");
        let amd64 = Image::of([&Layer::noise(1, 9_000)]);
        let arm64 = Image::for_platform("linux/arm64", [&Layer::noise(2, 9_000)]);
        let entry = |image: &Image| {
            image.write_layout(&layout, "v1");
            read_index(&layout)["manifests"][0].clone()
        };
        let list = Image::list([
            ("linux/amd64", amd64.clone()),
            ("linux/arm64", arm64.clone()),
        ]);
        Self {
            amd64: entry(&amd64),
            arm64: entry(&arm64),
            list: entry(&list),
            folder,
        }
    }

    fn layout(&self) -> std::path::PathBuf {
        self.folder.path().join("layout")
    }

    /// Names these in `index.json`, and gives the layout's reference as a directory and as an archive.
    fn name(&self, entries: &[Value]) -> [String; 2] {
        let layout = self.layout();
        let index = json!({"schemaVersion": 2, "manifests": entries});
        fs::write(layout.join("index.json"), index.to_string()).unwrap();
        let path = self.folder.path().join("image.tar");
        let mut archive = tar::Builder::new(fs::File::create(&path).unwrap());
        archive.append_dir_all(".", &layout).unwrap();
        archive.finish().unwrap();
        [
            format!("oci:{}", layout.display()),
            format!("oci-archive:{}", path.display()),
        ]
    }
}

fn read_index(layout: &Path) -> Value {
    serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap()
}

/// An entry with these annotations, and with a platform where one is given.
fn entry(of: &Value, platform: Option<&str>, annotations: Value) -> Value {
    let mut entry = of.clone();
    entry["annotations"] = annotations;
    if let Some(architecture) = platform {
        entry["platform"] = json!({"os": "linux", "architecture": architecture});
    }
    entry
}

/// The digest and the platforms that `info` sees.
fn seen(image: &str) -> (String, Vec<String>) {
    let info = Program::new(["info", image, "--json"])
        .run()
        .exits(0)
        .json();
    let platforms = info["platforms"].as_array().unwrap().iter();
    let platforms = platforms.map(|of| of["platform"].as_str().unwrap().to_owned());
    let digest = info["image_digest"].as_str().unwrap().to_owned();
    (digest, platforms.collect())
}

/// Reads an image by every command that reads.
fn all_read(image: &str) {
    for arguments in [
        &["info", image][..],
        &["verify", image, "--platform", "linux/amd64"],
        &["ls", image, "--platform", "linux/amd64"],
        &["report", image, "-o", "-", "--platform", "linux/amd64"],
    ] {
        let _ = Program::new(arguments).run().exits(0);
    }
}

#[test]
fn a_whole_name_is_found_and_gives_the_output_its_own() {
    let images = Images::new();
    let named = entry(&images.list, None, json!({REF_NAME: "localhost/app:1.2"}));
    for (more, expected) in [
        (&[][..], "localhost/app:1.2-soci"),
        (&["--output-tag", "fast"], "localhost/app:fast"),
        (
            &["--output-tag", "r.example/other:fast"],
            "r.example/other:fast",
        ),
    ] {
        for layout in images.name(std::slice::from_ref(&named)) {
            let result = index(&layout, more).exits(0).json();
            assert_eq!(result["output_tag"], expected);
            let output = format!("{layout}:{expected}");
            assert_eq!(seen(&output).0, result["output_digest"].as_str().unwrap());
            all_read(&output);
            // Now there are two images.
            let image = format!("{layout}:localhost/app:1.2");
            let again = index(&image, more).exits(0).json();
            assert_eq!(again["outcome"], "already-there");
        }
    }
}

#[test]
fn a_tag_to_reuse_from_is_of_the_same_repository() {
    let images = Images::new();
    let named = entry(&images.amd64, None, json!({REF_NAME: "localhost/app:1"}));
    for layout in images.name(std::slice::from_ref(&named)) {
        let image = format!("{layout}:localhost/app:1");
        let _ = index(&image, &["--output-tag", "earlier"]).exits(0);
        let result = index(
            &image,
            &["--output-tag", "later", "--reuse-from", "earlier"],
        );
        assert_eq!(result.exits(0).json()["layers"]["reused"], 1);
    }
}

#[test]
fn docker_s_names_are_found_by_tag_and_whole_and_written_in_its_way() {
    let images = Images::new();
    let name = "docker.io/library/app:1.2";
    let named = entry(
        &images.amd64,
        None,
        json!({REF_NAME: "1.2", IMAGE_NAME: name}),
    );
    for image in ["", ":1.2", ":app:1.2", ":docker.io/library/app:1.2"] {
        let layout = &images.name(std::slice::from_ref(&named))[0];
        let result = index(&format!("{layout}{image}"), &[]).exits(0).json();
        let output = "docker.io/library/app:1.2-soci";
        assert_eq!(result["output_tag"], output);
        for image in [output, "1.2-soci", "app:1.2-soci"] {
            all_read(&format!("{layout}:{image}"));
        }
        let written = &read_index(&images.layout())["manifests"];
        assert_eq!(written[0], named);
        assert_eq!(
            written[1]["annotations"],
            json!({REF_NAME: "1.2-soci", IMAGE_NAME: output})
        );
    }
}

#[test]
fn one_tag_of_two_images_is_not_theirs() {
    let images = Images::new();
    let named = |of: &Value, name: &str| entry(of, None, json!({REF_NAME: "1", IMAGE_NAME: name}));
    let entries = [
        named(&images.amd64, "docker.io/a/x:1"),
        named(&images.arm64, "docker.io/a/y:1"),
    ];
    for layout in images.name(&entries) {
        Program::new(["info", &format!("{layout}:1")])
            .run()
            .fails_with(&[
                "contains 2 images",
                &format!("{layout}:docker.io/a/x:1"),
                &format!("{layout}:docker.io/a/y:1"),
            ]);
        for (name, platform) in [("a/x:1", "linux/amd64"), ("docker.io/a/y:1", "linux/arm64")] {
            let image = format!("{layout}:{name}");
            assert_eq!(seen(&image).1, [platform]);
            let result = index(&image, &[]).exits(0).json();
            let output = format!("{layout}:{}", result["output_tag"].as_str().unwrap());
            assert_eq!(seen(&output).1, [platform]);
        }
    }
}

#[test]
fn digests_choose_what_is_named_and_what_is_not() {
    let images = Images::new();
    let digest = |of: &Value| of["digest"].as_str().unwrap().to_owned();
    let named = entry(&images.list, None, json!({REF_NAME: "v1"}));
    for layout in images.name(std::slice::from_ref(&named)) {
        let list = digest(&images.list);
        for image in [format!("{layout}@{list}"), format!("{layout}:v1@{list}")] {
            assert_eq!(seen(&image).0, list);
        }
        // A platform's image stands in the list only.
        let arm64 = format!("{layout}@{}", digest(&images.arm64));
        assert_eq!(
            seen(&arm64),
            (digest(&images.arm64), vec!["linux/arm64".to_owned()])
        );
        let bare = index(&arm64, &[]).exits(2);
        assert!(
            bare.stderr.contains("set one with --output-tag"),
            "{bare:?}"
        );
        let result = index(&arm64, &["--output-tag", "arm"]).exits(0).json();
        assert_eq!(result["output_tag"], "arm");

        let other = format!("{layout}:v1@{}", digest(&images.arm64));
        Program::new(["info", &other])
            .run()
            .fails_with(&["v1 points to", &list, "not"]);
        let none = format!("{layout}@sha256:{}", "0".repeat(64));
        Program::new(["info", &none])
            .run()
            .fails_with(&["not found in", "it has v1, arm"]);
    }
}

#[test]
fn platforms_in_index_json_are_one_image() {
    let images = Images::new();
    let annotations = [
        json!({}),
        json!({REF_NAME: "v1"}),
        json!({REF_NAME: "v1", IMAGE_NAME: "r.example/app:v1"}),
    ];
    for (annotations, output) in
        annotations
            .iter()
            .zip(["lazy", "v1-soci", "r.example/app:v1-soci"])
    {
        // The platform of an entry, or else of its config.
        for arm64 in [Some("arm64"), None] {
            let entries = [
                entry(&images.amd64, Some("amd64"), annotations.clone()),
                entry(&images.arm64, arm64, annotations.clone()),
            ];
            for layout in images.name(&entries) {
                let asked = ["--output-tag", "lazy"];
                let more = if output == "lazy" { &asked[..] } else { &[] };
                let (digest, platforms) = seen(&layout);
                assert_eq!(platforms, ["linux/amd64", "linux/arm64"]);
                assert_eq!(seen(&format!("{layout}@{digest}")).0, digest);
                let arm64 = Program::new(["ls", &layout, "--platform", "linux/arm64"]);
                assert_eq!(arm64.run().exits(0).stdout.lines().count(), 1);

                let v1 = index(&layout, &["--index-version", "v1"]).exits(0).json();
                assert_eq!(v1["indexes"].as_array().unwrap().len(), 2);
                assert_eq!(v1["image_digest"], digest.as_str());
                all_read(&layout);
                let result = index(&layout, more).exits(0).json();
                assert_eq!(result["output_tag"], output);
                assert_eq!(result["image_digest"], digest.as_str());
                let output = format!("{layout}:{output}");
                assert_eq!(seen(&output).1, ["linux/amd64", "linux/arm64"]);
                all_read(&output);
            }
        }
    }
}

#[test]
fn a_list_in_index_json_may_hold_what_belongs_to_its_images() {
    let images = Images::new();
    let beside = Image::of([&Layer::zstd()]);
    beside.write_layout(&images.layout(), "v1");
    let mut attestation = entry(
        &read_index(&images.layout())["manifests"][0],
        None,
        json!({}),
    );
    attestation["platform"] = json!({"os": "unknown", "architecture": "unknown"});
    let image = entry(&images.amd64, Some("amd64"), json!({}));
    for layout in images.name(&[image, attestation.clone()]) {
        assert_eq!(seen(&layout).1, ["linux/amd64"]);
        let result = index(&layout, &["--output-tag", "lazy"]).exits(0).json();
        // The attestation is part of the image that was made.
        let made = result["output_digest"].as_str().unwrap();
        if let Some(directory) = layout.strip_prefix("oci:") {
            let blob = Path::new(directory)
                .join("blobs")
                .join(made.replace(':', "/"));
            let made: Value = serde_json::from_slice(&fs::read(blob).unwrap()).unwrap();
            let entries = made["manifests"].as_array().unwrap();
            assert!(
                entries
                    .iter()
                    .any(|entry| entry["digest"] == attestation["digest"])
            );
        }
    }
}

#[test]
fn two_names_of_one_digest_are_one_image_and_two_images_are_not() {
    let images = Images::new();
    let named = |of: &Value, name: &str| entry(of, None, json!({REF_NAME: name}));
    for layout in images.name(&[named(&images.amd64, "a"), named(&images.amd64, "b")]) {
        assert_eq!(index(&layout, &[]).exits(0).json()["output_tag"], "a-soci");
    }
    for layout in images.name(&[named(&images.amd64, "a"), named(&images.arm64, "b")]) {
        let choices = [format!("{layout}:a"), format!("{layout}:b")];
        Program::new(["info", &layout]).run().fails_with(&[
            "contains 2 images",
            &choices[0],
            &choices[1],
        ]);
    }
    // Without names and platforms, or twice for one platform, only digests can choose.
    for platform in [None, Some("amd64")] {
        let mut other = entry(&images.arm64, platform, json!({}));
        if platform.is_none() {
            other = images.list.clone();
            other["annotations"] = json!({});
        }
        for layout in images.name(&[entry(&images.amd64, platform, json!({})), other.clone()]) {
            let choice = format!("{layout}@{}", images.amd64["digest"].as_str().unwrap());
            Program::new(["info", &layout])
                .run()
                .fails_with(&["contains 2 images", &choice]);
            let _ = seen(&choice);
        }
    }
}

#[test]
fn a_name_that_is_not_there_is_told_with_those_that_are() {
    let images = Images::new();
    let entries = [entry(
        &images.amd64,
        None,
        json!({REF_NAME: "localhost/app:1"}),
    )];
    for layout in images.name(&entries) {
        Program::new(["info", &format!("{layout}:1")])
            .run()
            .fails_with(&["it has localhost/app:1"]);
    }
    for layout in images.name(&[]) {
        Program::new(["info", &layout])
            .run()
            .fails_with(&["not found in"]);
    }
}

#[test]
fn what_others_wrote_into_index_json_stays() {
    let images = Images::new();
    let mut foreign = entry(&images.arm64, None, json!({REF_NAME: "other", "k": "<v>"}));
    foreign["x-unknown"] = json!({"kept": [1, 2.5]});
    let sha512 = json!({"mediaType": "text/plain", "digest": format!("sha512:{}", "0".repeat(128)), "size": 1});
    let named = entry(&images.amd64, None, json!({REF_NAME: "v1"}));
    let entries = [foreign, sha512, named];
    let layout = &images.name(&entries)[0];
    for version in ["v1", "v2"] {
        let _ = index(&format!("{layout}:v1"), &["--index-version", version]).exits(0);
    }
    let written = read_index(&images.layout());
    let written = written["manifests"].as_array().unwrap();
    assert_eq!(written[..3], entries);
    assert_eq!(written.len(), 5);
}

#[test]
fn a_path_may_have_colons_and_an_at_sign() {
    let images = Images::new();
    let [_, archive] = images.name(&[entry(
        &images.amd64,
        None,
        json!({REF_NAME: "r.example:5000/app:1"}),
    )]);
    let path = Path::new(archive.strip_prefix("oci-archive:").unwrap());
    let odd = path.with_file_name("a:b@c.tar");
    fs::rename(path, &odd).unwrap();
    for name in ["", ":", ":r.example:5000/app:1"] {
        let image = format!("oci-archive:{}{name}", odd.display());
        assert_eq!(seen(&image).1, ["linux/amd64"], "{image}");
    }
}
