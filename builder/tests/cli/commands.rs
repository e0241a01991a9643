//! What the program says of itself, how it refuses misuse, and the commands that look at things.

use std::fs;

use serde_json::json;
use soci_testing::{
    golden,
    image::{Image, Layer, files_of},
    program::Program,
};
use tempfile::TempDir;

use crate::index;

#[test]
fn help_names_commands_and_exit_codes() {
    let help = Program::new(["--help"]).run().exits(0);
    assert_eq!(help.stderr, "");
    for word in [
        "index",
        "info",
        "ztoc",
        "completions",
        "Exit codes",
        "SOCI_REGISTRY_USERNAME",
    ] {
        assert!(help.stdout.contains(word), "{word}: {}", help.stdout);
    }
    let help = Program::new(["index", "--help"]).run().exits(0);
    for word in [
        "host/repo@sha256:",
        "oci-archive:FILE",
        "<tag>-soci",
        "10MiB",
        "4MiB",
    ] {
        assert!(help.stdout.contains(word), "{word}: {}", help.stdout);
    }
}

#[test]
fn version_is_the_packages() {
    let version = Program::new(["--version"]).run().exits(0);
    assert_eq!(
        version.stdout,
        concat!("soci-builder ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn completions_know_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let script = Program::new(["completions", shell]).run().exits(0).stdout;
        for word in ["completions", "ztoc", "reuse-from"] {
            assert!(script.contains(word), "{shell} {word}");
        }
    }
}

#[test]
fn misuse_ends_with_2_and_no_result() {
    let image = "localhost:1/app:v1";
    for arguments in [
        &[][..],
        &["index"],
        &["index", "localhost:1/Upper:v1"],
        &["index", "oci:"],
        &["frobnicate"],
        &["index", image, "--frobnicate"],
        &["index", image, "--index-version", "v3"],
        &["index", image, "--span-size", "0"],
        &["index", image, "--span-size", "9EiB"],
        &["index", image, "--min-layer-size", "few"],
        &["index", image, "--platform", "linux"],
        &["index", image, "--when-too-small", "explode"],
        &["index", image, "--registry-mirror", "no-url"],
        &["ztoc", "build", "layer"],
        &["completions", "tcsh-of-old"],
    ] {
        let ended = Program::new(arguments).run().exits(2);
        assert_eq!(ended.stdout, "", "{arguments:?}");
        assert_ne!(ended.stderr, "", "{arguments:?}");
    }
}

#[test]
fn an_output_tag_that_cannot_be_is_misuse() {
    let (layout, image) = Image::of([&Layer::noise(1, 100)]).layout();
    let before = fs::read(layout.path().join("index.json")).unwrap();
    let long = "x".repeat(129);
    for tag in ["no:colon", "", &long] {
        let ended = index(&image, &["--output-tag", tag]).exits(2);
        assert!(ended.stderr.contains("--output-tag"), "{ended:?}");
    }
    assert_eq!(fs::read(layout.path().join("index.json")).unwrap(), before);
}

#[test]
fn an_output_tag_for_version_1_is_misuse() {
    let (layout, image) = Image::of([&Layer::noise(1, 100)]).layout();
    let before = files_of(layout.path());
    // Nothing is asked of a registry for it.
    for image in [&image, "localhost:1/app:v1"] {
        let ended = index(image, &["--index-version", "v1", "--output-tag", "v2"]).exits(2);
        let said = "--output-tag cannot be combined with --index-version v1";
        assert!(ended.stderr.contains(said), "{ended:?}");
    }
    assert_eq!(files_of(layout.path()), before);
}

#[test]
fn a_failure_is_one_chain() {
    let missing = Program::new(["index", "oci:/does/not/exist:v1"])
        .run()
        .exits(1);
    assert_eq!(missing.stdout, "");
    assert_eq!(
        missing.stderr,
        "soci-builder: cannot index oci:/does/not/exist:v1: /does/not/exist is not an OCI layout: no such directory\n"
    );
    let missing = Program::new(["ztoc", "info", "/does/not/exist"])
        .run()
        .exits(1);
    assert_eq!(
        missing.stderr,
        "soci-builder: cannot read /does/not/exist: No such file or directory (os error 2)\n"
    );
}

#[test]
fn ztoc_build_prints_what_the_reference_does() {
    let mut cases = 0;
    for layer in golden::layers() {
        let output = TempDir::new().unwrap();
        let ztoc = output.path().join("ztoc");
        for (span_size, expected) in layer.expected().as_object().unwrap() {
            let built = Program::new(["ztoc", "build", "--span-size", span_size, "--output"])
                .argument(&ztoc)
                .argument(&layer.file)
                .run()
                .exits(0);
            let digest = expected["digest"].as_str().unwrap();
            assert_eq!(built.stdout, format!("{digest} {}\n", expected["size"]));
            assert_eq!(fs::metadata(&ztoc).unwrap().len(), expected["size"]);

            let info = Program::new(["ztoc", "info", "--json"])
                .argument(&ztoc)
                .run();
            let info = info.exits(0).json();
            assert_eq!(info["digest"], expected["digest"]);
            assert_eq!(info["size"], expected["size"]);
            assert_eq!(info["compressed_size"], layer.stored.len());
            cases += 1;
        }
    }
    assert_eq!(cases, 56);
}

#[test]
fn ztoc_info_lists_spans_and_files() {
    let ztoc = golden::layer("pax").ztoc();
    let info = Program::new(["ztoc", "info", "--json"])
        .argument(&ztoc)
        .run();
    let info = info.exits(0).json();
    let keys: Vec<_> = info.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "build_tool",
            "compressed_size",
            "compression",
            "digest",
            "files",
            "plain_size",
            "size",
            "spans"
        ]
    );
    assert_eq!(info["build_tool"], "AWS SOCI CLI v0.2");
    assert_eq!(info["compression"], "gzip");
    assert_eq!(info["spans"][0]["uncompressed_at"], 0);
    let text = Program::new(["ztoc", "info"])
        .argument(&ztoc)
        .run()
        .exits(0);
    let files = info["files"].as_array().unwrap().len();
    assert!(
        text.stdout.contains(&format!("files        {files}\n")),
        "{text:?}"
    );
}

#[test]
fn ztoc_refuses_what_is_none() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, b"\x28\xb5\x2f\xfd is what zstd begins with").unwrap();
    let output = folder.path().join("ztoc");
    Program::new(["ztoc", "build", "--output"])
        .argument(&output)
        .argument(&file)
        .run()
        .fails_with(&["cannot index", "compressed with zstd"]);
    assert!(!output.exists());
    Program::new(["ztoc", "info"])
        .argument(&file)
        .run()
        .fails_with(&["is not a ztoc"]);
}

#[test]
fn info_shows_indexes_of_both_versions() {
    let (_layout, image) = Image::of([&Layer::noise(1, 9_000), &Layer::zstd()]).layout();
    let bare = Program::new(["info", &image]).run().exits(0);
    assert!(bare.stdout.contains("no SOCI index"), "{bare:?}");

    let v1 = index(&image, &["--index-version", "v1"]).exits(0).json();
    let v2 = index(&image, &[]).exits(0).json();
    let output = format!("{image}-soci");
    for (image, result, version) in [(&image, &v1, "v1"), (&output, &v2, "v2")] {
        let info = Program::new(["info", image, "--json"])
            .run()
            .exits(0)
            .json();
        let platform = &info["platforms"][0];
        assert_eq!(platform["platform"], "linux/amd64");
        let found = &platform["indexes"][0];
        assert_eq!(found["version"], version);
        assert_eq!(found["index_digest"], result["indexes"][0]["index_digest"]);
        assert_eq!(found["build_tool"], "AWS SOCI CLI v0.2");
        assert_eq!(found["layers"][0]["ztoc"]["span_size"], "4194304");
        assert_eq!(found["layers"][0]["prefetch"], false);
        assert_eq!(found["layers"][1]["ztoc"], json!(null));
        assert_eq!(info["image_digest"], result["output_digest"]);

        let text = Program::new(["info", image]).run().exits(0).stdout;
        let digest = found["index_digest"].as_str().unwrap();
        assert!(
            text.contains(&format!("SOCI index {version}    {digest}")),
            "{text}"
        );
        assert!(text.contains("no ztoc"), "{text}");
    }
}
