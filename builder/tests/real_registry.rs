//! Debian's `docker-registry` and `skopeo`: programs of other people judge what we push.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::{collections::HashMap, path::Path, process::Command};

use bytes::Bytes;
use serde_json::{Value, json};
use soci_format::digest::Digest;
use soci_testing::{
    fake_registry::FakeRegistry,
    image::{Image, Layer, files_of, noise, tar_of},
    program::{Ended, Program},
    real_registry::RealRegistry,
};
use tempfile::TempDir;

/// A registry that skopeo pushes to and pulls from.
struct Registry(RealRegistry);

impl Registry {
    fn start() -> Self {
        Self(RealRegistry::start())
    }

    /// Pushes with skopeo.
    fn push(&self, image: &Image, tag: &str) -> String {
        let layout = TempDir::new().unwrap();
        image.write_layout(layout.path(), tag);
        let reference = format!("{}/team/app:{tag}", self.0.host());
        let from = format!("oci:{}:{tag}", layout.path().display());
        let to = format!("docker://{reference}");
        skopeo(&[
            "copy",
            "--all",
            "--preserve-digests",
            "--dest-tls-verify=false",
            &from,
            &to,
        ]);
        reference
    }

    /// Pulls with skopeo, all that the tag leads to: into a folder, because into a layout it compresses layers. The image
    /// index comes by itself: Debian's version writes it anew, without the `artifactType` that it does not know.
    fn pull(&self, tag: &str) -> Pulled {
        let folder = TempDir::new().unwrap();
        let from = format!("docker://{}/team/app:{tag}", self.0.host());
        let to = format!("dir:{}", folder.path().display());
        skopeo(&["copy", "--all", "--src-tls-verify=false", &from, &to]);
        let root = skopeo(&["inspect", "--raw", "--tls-verify=false", &from]);
        Pulled::read(folder.path(), root.into())
    }
}

/// What skopeo pulled.
struct Pulled {
    /// Manifests and blobs; each is what its name says.
    files: HashMap<Digest, Bytes>,
    root: Digest,
}

impl Pulled {
    fn read(folder: &Path, root_bytes: Bytes) -> Self {
        let root = Digest::of(&root_bytes);
        let mut files = HashMap::from([(root, root_bytes)]);
        for (path, bytes) in files_of(folder) {
            let name = path.file_name().unwrap().to_str().unwrap();
            if !["version", "manifest.json"].contains(&name) {
                let digest = Digest::of(&bytes);
                assert_eq!(digest.hex(), name.trim_end_matches(".manifest.json"));
                files.insert(digest, bytes);
            }
        }
        Self { files, root }
    }

    fn manifest(&self, digest: &Digest) -> Value {
        serde_json::from_slice(&self.files[digest]).unwrap()
    }
}

fn skopeo(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("skopeo")
        .arg("--insecure-policy")
        .args(arguments)
        .output()
        .expect("skopeo is missing; `make setup` installs it");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "skopeo {arguments:?}: {said}");
    output.stdout
}

fn index(image: &str, more: &[&str]) -> Ended {
    let arguments = [
        "index",
        image,
        "--json",
        "--min-layer-size",
        "0",
        "--span-size",
        "256KiB",
    ];
    Program::new([&arguments[..], more].concat()).run()
}

/// A few MB in several layers: `top` decides what is in the last one.
fn layers(top: u64) -> Vec<Layer> {
    let files = |seed: u64, count: usize, bytes: usize| {
        let text = |number| "some text ".repeat(number % 500);
        let files = (0..count).map(|number| {
            let bytes = [
                noise(seed + number as u64, bytes),
                text(number).into_bytes(),
            ]
            .concat();
            (format!("usr/share/{seed}/{number}"), bytes)
        });
        tar_of(files)
    };
    vec![
        Layer::gzip(&files(10, 300, 6_000)),
        Layer::gzip(&files(1_000, 40, 20_000)),
        Layer::plain(files(2_000, 100, 5_000)),
        Layer::gzip(&files(top, 30, 9_000)),
    ]
}

fn digest(value: &Value) -> Digest {
    value.as_str().unwrap().parse().unwrap()
}

#[test]
fn what_is_pushed_can_be_pulled() {
    let registry = Registry::start();
    let layers = layers(5_000);
    let image = Image::list([("linux/arm64", Image::for_platform("linux/arm64", &layers))]);
    let reference = registry.push(&image, "v1");

    let first = index(&reference, &[]).exits(0).json();
    assert_eq!(first["outcome"], "indexed");
    assert_eq!(first["image_digest"], image.digest().to_string());
    let pulled = registry.pull("v1-soci");
    assert_eq!(pulled.root, digest(&first["output_digest"]));
    for layer in &layers {
        assert!(pulled.files.contains_key(&layer.digest));
    }
    let output = pulled.manifest(&pulled.root);
    let entries = output["manifests"].as_array().unwrap();
    assert_eq!(entries.len(), 2);
    let soci_index = &first["indexes"][0]["index_digest"];
    assert_eq!(&entries[1]["digest"], soci_index);
    let manifest = pulled.manifest(&digest(&entries[0]["digest"]));
    assert_eq!(
        &manifest["annotations"]["com.amazon.soci.index-digest"],
        soci_index
    );
    let soci_index = pulled.manifest(&digest(soci_index));
    let ztocs = soci_index["layers"].as_array().unwrap();
    assert_eq!(ztocs.len(), layers.len());
    for ztoc in ztocs {
        let bytes = &pulled.files[&digest(&ztoc["digest"])];
        assert_eq!(ztoc["size"], bytes.len());
    }

    let second = index(&reference, &[]).exits(0).json();
    assert_eq!(second["outcome"], "already-there");
    assert_eq!(second["bytes_read"], 0);
    assert_eq!(second["output_digest"], first["output_digest"]);
}

#[test]
fn a_redeploy_reads_the_changed_layer_only() {
    let registry = Registry::start();
    let first = registry.push(&Image::of(&layers(5_000)), "v1");
    index(&first, &[]).exits(0).json();
    let changed = layers(6_000);
    let second = registry.push(&Image::of(&changed), "v2");
    let result = index(&second, &["--reuse-from", "v1-soci"]).exits(0).json();
    assert_eq!(result["bytes_read"], changed[3].size);
    let states = result["indexes"][0]["layers"].as_array().unwrap().iter();
    let states: Vec<_> = states
        .map(|layer| layer["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["reused", "reused", "reused", "indexed"]);
    let pulled = registry.pull("v2-soci");
    assert_eq!(pulled.root, digest(&result["output_digest"]));
}

/// This registry keeps no lists of referrers.
#[test]
fn version_1_stands_under_the_referrers_tag() {
    let registry = Registry::start();
    let image = Image::of(&layers(5_000));
    let reference = registry.push(&image, "v1");
    let v1 = ["--index-version", "v1"];
    let first = index(&reference, &v1).exits(0).json();
    assert_eq!(first["outcome"], "indexed");
    assert_eq!(first["output_digest"], image.digest().to_string());
    let soci_index = digest(&first["indexes"][0]["index_digest"]);

    let pulled = registry.pull(&format!("sha256-{}", image.digest().hex()));
    assert!(pulled.files.contains_key(&soci_index));
    let second = index(&reference, &v1).exits(0).json();
    assert_eq!(second["outcome"], "already-there");
    assert_eq!(second["bytes_read"], 0);
    let info = Program::new(["info", &reference, "--json"])
        .run()
        .exits(0)
        .json();
    let found = &info["platforms"][0]["indexes"][0];
    assert_eq!(
        (found["version"].as_str(), digest(&found["index_digest"])),
        (Some("v1"), soci_index)
    );
}

/// As those that are public: several platforms that share layers, each with an attestation.
fn public() -> Image {
    let shared = layers(5_000);
    let mut entries = Vec::new();
    for (number, architecture) in (0..).zip(["amd64", "arm64", "s390x"]) {
        let own = Layer::noise(7_000 + number, 400_000);
        let platform = format!("linux/{architecture}");
        let image = Image::for_platform(&platform, shared[..3].iter().chain([&own]));
        let config = json!({"os": "unknown", "architecture": "unknown"});
        let statement = Layer::of(
            "application/vnd.in-toto+json",
            format!("{{\"of\":{number}}}"),
        );
        let attestation = Image::with_config(&config, [&statement]);
        let says = json!({"platform": config, "annotations": {
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": image.digest(),
        }});
        let platform = json!({"os": "linux", "architecture": architecture});
        entries.push((json!({"platform": platform}), image));
        entries.push((says, attestation));
    }
    Image::index(entries)
}

/// The manifest under a tag, as skopeo has it.
fn raw(reference: &str) -> Vec<u8> {
    let image = format!("docker://{reference}");
    skopeo(&["inspect", "--raw", "--tls-verify=false", &image])
}

#[test]
fn a_mirror_is_what_skopeo_and_an_index_afterwards_give() {
    let source = FakeRegistry::start();
    let registry = Registry::start();
    let image = public();
    let reference = image.push(&source, "v1");
    let mirror = format!("{}/mirror/app", registry.0.host());
    let result = index(&reference, &["--copy-to", &mirror]).exits(0).json();
    assert_eq!(result["outcome"], "indexed");
    // Each layer came over the network once, in one request.
    for (digest, bytes) in image.blobs() {
        assert_eq!(source.served(digest), bytes.len() as u64);
        assert_eq!(source.reads_of(digest), 1);
    }

    let copied = registry.push(&image, "v1");
    let indexed = index(&copied, &[]).exits(0).json();
    assert_eq!(indexed["output_digest"], result["output_digest"]);
    assert_eq!(indexed["indexes"], result["indexes"]);
    for tag in ["v1", "v1-soci"] {
        let of = |repository| format!("{}/{repository}/app:{tag}", registry.0.host());
        let [one, other] = ["mirror", "team"].map(|repository| raw(&of(repository)));
        assert_eq!(one, other, "{tag}");
    }
    let output = format!("{mirror}:v1-soci");
    let _ = Program::new(["verify", &output]).run().exits(0);

    let again = index(&reference, &["--copy-to", &mirror]).exits(0).json();
    assert_eq!(again["outcome"], "already-there");
    assert_eq!(again["bytes_read"], 0);
}

#[test]
fn a_registry_takes_blobs_over_from_its_own_repositories() {
    let registry = Registry::start();
    let image = Image::of(&layers(5_000));
    let reference = registry.push(&image, "v1");
    let host = registry.0.host();
    let mirror = format!("{host}/mirror/app");
    let result = index(&reference, &["--copy-to", &mirror]).exits(0).json();
    let copy = &result["copy"];
    assert_eq!(copy["mounted"], image.blobs().len(), "{copy}");
    assert_eq!(
        (&copy["uploaded"], &copy["bytes_uploaded"]),
        (&json!(0), &json!(0))
    );
    let bytes: usize = layers(5_000).iter().map(|layer| layer.size).sum();
    assert_eq!(result["bytes_read"], bytes);
    assert_eq!(raw(&format!("{mirror}:v1")), image.manifests()[0].1);
}
