//! The container image: its recipe, with a program that is not optimized. `make image` tries the one that is released, in the same way.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    collections::BTreeMap,
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::Command,
};

use flate2::read::GzDecoder;
use serde_json::{Value, json};
use soci_format::digest::Digest;
use soci_testing::{program::built, scratch::scratch};
use tar::Archive;

const PROGRAM: &str = "usr/local/bin/soci-builder";
const BILL: &str = "usr/share/doc/soci-builder/sbom.cdx.json";

fn script(name: &str, arguments: &[&str]) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("container");
    let program = built("soci-builder").with_file_name("static/soci-builder");
    assert!(
        program.is_file(),
        "builder/container/static-program debug builds {}",
        program.display()
    );
    let output = Command::new(folder.join(name))
        .args(arguments)
        .env("CARGO_TARGET_DIR", program.ancestors().nth(3).unwrap())
        .env_remove("ARCH")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{name} {arguments:?}; `make setup` installs what is missing: {said}"
    );
    String::from_utf8(output.stdout).unwrap()
}

/// An OCI layout.
struct Layout(PathBuf);

impl Layout {
    fn index(&self) -> Value {
        serde_json::from_slice(&fs::read(self.0.join("index.json")).unwrap()).unwrap()
    }

    fn blob(&self, descriptor: &Value) -> Vec<u8> {
        let digest = descriptor["digest"].as_str().unwrap();
        let blob = fs::read(self.0.join("blobs").join(digest.replace(':', "/"))).unwrap();
        assert_eq!(Digest::of(&blob).to_string(), digest);
        blob
    }

    fn json(&self, descriptor: &Value) -> Value {
        serde_json::from_slice(&self.blob(descriptor)).unwrap()
    }
}

/// A layer's files: mode, owner, time, contents.
fn files(layer: &[u8]) -> BTreeMap<String, (u32, u64, u64, Vec<u8>)> {
    let mut archive = Archive::new(GzDecoder::new(layer));
    let entries = archive.entries().unwrap().map(Result::unwrap);
    let files = entries.filter(|entry| entry.header().entry_type().is_file());
    files
        .map(|mut entry| {
            let path = entry.path().unwrap().display().to_string();
            let header = entry.header();
            let (mode, owner) = (header.mode().unwrap() & 0o7777, header.uid().unwrap());
            let time = header.mtime().unwrap();
            let mut contents = Vec::new();
            entry.read_to_end(&mut contents).unwrap();
            (path, (mode, owner, time, contents))
        })
        .collect()
}

#[test]
fn it_is_reproducible_says_what_it_is_and_works() {
    let scratch = scratch();
    let [first, second] = ["first", "second"].map(|name| scratch.path().join(name));
    let [named, again] =
        [&first, &second].map(|folder| script("image", &["debug", folder.to_str().unwrap()]));
    let (image, digest) = named.trim().rsplit_once(' ').unwrap();
    assert_eq!(again.trim().rsplit_once(' ').unwrap().1, digest);
    assert_eq!(
        image,
        format!("{}:{}", first.display(), env!("CARGO_PKG_VERSION"))
    );

    let layout = Layout(first);
    let entries = layout.index()["manifests"].clone();
    assert_eq!(entries[0]["digest"], digest);
    let index = layout.json(&entries[0]);
    assert_eq!(index["manifests"].as_array().unwrap().len(), 1);
    let descriptor = &index["manifests"][0];
    assert_eq!(descriptor["platform"]["os"], "linux");
    let manifest = layout.json(descriptor);
    assert_eq!(manifest["layers"].as_array().unwrap().len(), 1);
    let config = layout.json(&manifest["config"]);
    assert_eq!(config["config"]["User"], "65532:65532");
    assert_eq!(
        config["config"]["Entrypoint"],
        json!([format!("/{PROGRAM}")])
    );
    for notes in [
        &config["config"]["Labels"],
        &manifest["annotations"],
        &index["annotations"],
    ] {
        assert_eq!(
            notes["org.opencontainers.image.version"],
            env!("CARGO_PKG_VERSION")
        );
        assert_eq!(notes["org.opencontainers.image.licenses"], "Apache-2.0");
    }

    let files = files(&layout.blob(&manifest["layers"][0]));
    let names: Vec<_> = files.keys().map(String::as_str).collect();
    let documents = ["LICENSE", "THIRD-PARTY-NOTICES", "sbom.cdx.json"];
    let documents = documents.map(|name| format!("usr/share/doc/soci-builder/{name}"));
    let mut expected = vec!["etc/ssl/certs/ca-certificates.crt", PROGRAM];
    expected.extend(documents.iter().map(String::as_str));
    expected.sort_unstable();
    assert_eq!(names, expected);
    let times: Vec<_> = files.values().map(|file| (file.1, file.2)).collect();
    assert!(times.windows(2).all(|two| two[0] == two[1]), "{times:?}");
    assert_eq!(times[0].0, 0);
    assert_eq!(files[PROGRAM].0, 0o755);
    let notices = String::from_utf8_lossy(&files[documents[1].as_str()].3);
    // What is linked in, or lies beside it, and is no crate.
    for licence in [
        "GNU LESSER GENERAL PUBLIC LICENSE",
        "Mozilla Public License",
    ] {
        assert!(notices.contains(licence), "{licence}");
    }

    assert_eq!(entries.as_array().unwrap().len(), 2);
    let artifact = layout.json(&entries[1]);
    assert_eq!(artifact["artifactType"], "application/vnd.cyclonedx+json");
    for field in ["mediaType", "digest", "size"] {
        assert_eq!(artifact["subject"][field], descriptor[field]);
    }
    let bill = layout.json(&artifact["layers"][0]);
    assert_eq!(
        bill,
        serde_json::from_slice::<Value>(&files[BILL].3).unwrap()
    );
    let components = bill["components"].as_array().unwrap();
    let program = components.iter().find(|one| one["name"] == "soci-builder");
    let digest = Digest::of(&files[PROGRAM].3).to_string();
    let listed = program.unwrap()["hashes"][0]["content"].as_str();
    assert_eq!(listed, digest.strip_prefix("sha256:"));
    for name in ["glibc", "certifi", "rust-std", "aws-lc-rs"] {
        assert!(components.iter().any(|one| one["name"] == name), "{name}");
    }

    script("check", &[image]);
}
