//! Every golden image, from a registry, a layout and an archive: the same digests.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{Read, Write},
    path::Path,
};

use serde_json::{Value, json};
use soci_format::digest::Digest;
use soci_testing::{
    fake_registry::FakeRegistry,
    golden,
    image::{Image, Layer, REPOSITORY, files_of},
    program::Program,
};
use tempfile::TempDir;

/// Ours keep the attestations as they are; the reference rewrites them.
const DEVIATES: &str = "oci-multi-platform-with-attestations";

#[test]
fn images_come_out_the_same_from_everywhere() {
    let mut compared = 0;
    for case in golden::images() {
        let expected = golden::expected(&case);
        let image = Image::from_layout(&case.join("layout"));
        for (version, name) in [("v1", "create"), ("v2", "convert")] {
            let Some(wanted) = expected[name].get("result") else {
                continue;
            };
            let registry = FakeRegistry::start();
            let from_registry = run(&image.push(&registry, "latest"), version, &expected);
            let (_layout, reference) = image.layout();
            let from_layout = run(&reference, version, &expected);
            let folder = TempDir::new().unwrap();
            let archive = folder.path().join("image.tar");
            archive_of(&image, &archive);
            let from_archive = run(
                &format!("oci-archive:{}", archive.display()),
                version,
                &expected,
            );
            assert_eq!(
                facts(&from_registry),
                facts(&from_layout),
                "{}",
                case.display()
            );
            assert_eq!(
                facts(&from_registry),
                facts(&from_archive),
                "{}",
                case.display()
            );
            if !(case.ends_with(DEVIATES) && version == "v2") {
                assert_eq!(
                    &results(&from_registry, version),
                    wanted,
                    "{}",
                    case.display()
                );
            }
            if version == "v2" {
                let (tagged, _) = registry.tagged(REPOSITORY, "latest-soci").unwrap();
                assert_eq!(tagged.to_string(), from_registry["output_digest"]);
            }
            is_complete(&archive, &from_archive);
            compared += 1;
        }
    }
    assert_eq!(compared, 24);
}

fn run(image: &str, version: &str, expected: &Value) -> Value {
    let number = |key: &str| expected[key].to_string();
    let (minimum, span) = (number("min_layer_size"), number("span_size"));
    let run = Program::new([
        "index",
        image,
        "--json",
        "--index-version",
        version,
        "--min-layer-size",
        &minimum,
        "--span-size",
        &span,
    ]);
    let result = run.run().exits(0).json();
    assert_eq!(result["outcome"], "indexed");
    result
}

/// What does not depend on where the image is.
fn facts(result: &Value) -> Value {
    json!([
        result["image_digest"],
        result["output_digest"],
        result["indexes"],
        result["bytes_read"]
    ])
}

fn results(result: &Value, version: &str) -> Value {
    if version == "v2" {
        return json!([result["output_digest"]]);
    }
    let indexes = result["indexes"].as_array().unwrap().iter();
    indexes
        .map(|index| index["index_digest"].clone())
        .filter(|digest| !digest.is_null())
        .collect()
}

/// Packs an image as other tools do: `index.json` not at the end.
fn archive_of(image: &Image, path: &Path) {
    let layout = TempDir::new().unwrap();
    image.write_layout(layout.path(), "latest");
    let mut archive = tar::Builder::new(File::create(path).unwrap());
    for name in ["index.json", "oci-layout"] {
        archive
            .append_path_with_name(layout.path().join(name), name)
            .unwrap();
    }
    archive
        .append_dir_all("blobs", layout.path().join("blobs"))
        .unwrap();
    archive.finish().unwrap();
}

/// Every blob of the archive is what its name says; the new image is named, the old one still is; and what the new one
/// names is there.
fn is_complete(path: &Path, result: &Value) {
    let mut blobs = BTreeSet::new();
    let mut texts = Vec::new();
    let mut index = Value::Null;
    let mut archive = tar::Archive::new(File::open(path).unwrap());
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().to_str().unwrap().to_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        if name == "index.json" {
            assert!(index.is_null(), "index.json comes twice");
            index = serde_json::from_slice(&bytes).unwrap();
        } else if let Some(hex) = name
            .strip_prefix("blobs/sha256/")
            .filter(|hex| !hex.is_empty())
        {
            assert_eq!(Digest::of(&bytes).hex(), hex);
            assert!(blobs.insert(format!("sha256:{hex}")), "{hex} comes twice");
            texts.extend(serde_json::from_slice::<Value>(&bytes));
        }
    }
    let mut named: BTreeSet<&str> = BTreeSet::new();
    for entry in index["manifests"].as_array().unwrap() {
        named.insert(entry["digest"].as_str().unwrap());
    }
    assert!(named.contains(result["image_digest"].as_str().unwrap()));
    assert!(named.contains(result["output_digest"].as_str().unwrap()));
    for text in &texts {
        for list in ["manifests", "layers"] {
            for entry in text[list].as_array().into_iter().flatten() {
                named.insert(entry["digest"].as_str().unwrap());
            }
        }
    }
    for digest in named {
        assert!(blobs.contains(digest), "{digest} is named and missing");
    }
}

/// Layers above 8 GiB have their size in a PAX record, and only there.
#[test]
fn an_archive_with_sizes_in_pax_records_stays_readable() {
    let image = Image::of([&Layer::noise(1, 9_000)]);
    let layout = TempDir::new().unwrap();
    image.write_layout(layout.path(), "latest");
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("image.tar");
    let mut archive = tar::Builder::new(File::create(&path).unwrap());
    for (file, bytes) in files_of(layout.path()) {
        let size = bytes.len().to_string();
        archive
            .append_pax_extensions([("size", size.as_bytes())])
            .unwrap();
        let mut header = tar::Header::new_ustar();
        header
            .set_path(file.strip_prefix(layout.path()).unwrap())
            .unwrap();
        header.set_size(0);
        header.set_cksum();
        // The builder would write no bytes for a size of 0.
        let out = archive.get_mut();
        out.write_all(header.as_bytes()).unwrap();
        out.write_all(&bytes).unwrap();
        out.write_all(&vec![0; bytes.len().next_multiple_of(512) - bytes.len()])
            .unwrap();
    }
    archive.finish().unwrap();
    let reference = format!("oci-archive:{}", path.display());
    let arguments = ["index", &reference, "--json", "--min-layer-size", "0"];
    let result = Program::new(arguments).run().exits(0).json();
    is_complete(&path, &result);
}
