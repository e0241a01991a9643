//! A stdout that takes nothing: its reader is gone, or the disk behind it is full. What went wrong before decides the exit code.

use std::{
    fs::{self, File},
    io,
    process::Stdio,
};

use soci_testing::{
    image::{Image, Layer, blob_path, tar_of},
    program::{Program, indexed},
};
use tempfile::TempDir;

use crate::SMALL;

/// A pipe whose reader has seen enough.
fn closed() -> Stdio {
    let (_, writer) = io::pipe().unwrap();
    writer.into()
}

/// A file on a disk that is full.
fn full() -> Stdio {
    File::options()
        .write(true)
        .open("/dev/full")
        .unwrap()
        .into()
}

/// A layout with a layer of some files, and the reference of its image with an index.
fn image() -> (TempDir, String) {
    let files = [("a", vec![b'a'; 100_000]), ("b", vec![b'b'; 100_000])];
    let (layout, image) = Image::of([&Layer::gzip(&tar_of(files))]).layout();
    let image = indexed(&image, &[]);
    (layout, image)
}

/// Commands that fail, each with its exit code and a word of what it says.
fn failures(run: impl Fn(&[&str], i32, &str)) {
    let nowhere = "oci:/nonexistent:x";
    let (layout, image) = image();
    let small = &image["oci:".len()..].rsplit_once(':').unwrap().0;
    let small = format!("oci:{small}:v1");
    let (zstd, unsupported) = Image::of([&Layer::zstd()]).layout();
    let damaged = {
        let layer = Layer::noise(1, 50_000);
        let (layout, image) = Image::of([&layer]).layout();
        let image = indexed(&image, &[]);
        fs::write(blob_path(layout.path(), &layer.digest), "").unwrap();
        (layout, image)
    };

    run(&["index", "--json", nowhere], 1, nowhere);
    run(&["index", nowhere], 1, nowhere);
    run(
        &["index", "--json", &small, "--output-tag", "no tag"],
        2,
        "cannot be a tag",
    );
    let too_small = ["index", &small, "--when-too-small", "fail"];
    run(&too_small, 3, "nothing to index");
    run(
        &[&too_small[..], &["--json"]].concat(),
        3,
        "nothing to index",
    );
    let unsupported = [&["index", &unsupported, "--json"], &SMALL[..]].concat();
    run(&unsupported, 3, "can be indexed");
    for command in ["info", "verify", "ls"] {
        run(&[command, nowhere], 1, nowhere);
        run(&[command, "--json", nowhere], 1, nowhere);
    }
    run(&["verify", &damaged.1], 1, &damaged.1);
    run(&["verify", "--json", &damaged.1], 1, &damaged.1);
    run(&["cat", nowhere, "a"], 1, nowhere);
    run(&["cat", &image, "a", "none", "b"], 1, "cannot find none");
    run(&["report", nowhere, "-o", "-"], 1, nowhere);
    let nothing = layout.path().join("nothing");
    let nothing = nothing.to_str().unwrap();
    run(&["ztoc", "info", nothing], 1, nothing);
    run(&["ztoc", "build", nothing, "-o", nothing], 1, nothing);
    run(&["--frobnicate"], 2, "--frobnicate");
    drop((layout, zstd, damaged));
}

/// Commands that succeed.
fn successes(run: impl Fn(&[&str])) {
    let (layout, image) = image();
    let output = layout.path().join("ztoc");
    let output = output.to_str().unwrap();
    let layer = layout.path().join("layer");
    fs::write(&layer, &Layer::noise(1, 50_000).bytes).unwrap();
    run(&["index", &image]);
    run(&["index", "--json", &image]);
    for command in ["info", "verify", "ls"] {
        run(&[command, &image]);
        run(&[command, "--json", &image]);
    }
    run(&["cat", &image, "a", "b"]);
    run(&["report", &image, "-o", "-"]);
    run(&["ztoc", "build", layer.to_str().unwrap(), "-o", output]);
    run(&["ztoc", "info", output]);
    run(&["completions", "bash"]);
    run(&["--help"]);
    run(&["index", "--help"]);
    run(&["--version"]);
}

#[test]
fn a_failure_stays_one() {
    failures(|arguments, code, words| {
        for stdout in [closed, full] {
            let ended = Program::new(arguments).stdout(stdout()).run().exits(code);
            assert!(ended.stderr.contains(words), "{arguments:?}: {ended:?}");
        }
        // Without anybody to tell, too.
        let program = Program::new(arguments).stdout(closed());
        let _ = program.stderr(closed()).run().exits(code);
    });
}

#[test]
fn a_result_that_nobody_wants_is_no_failure() {
    successes(|arguments| {
        let ended = Program::new(arguments).stdout(closed()).run().exits(0);
        assert!(!ended.stderr.contains("soci-builder: "), "{ended:?}");
    });
}

#[test]
fn a_result_that_is_lost_is_a_failure() {
    successes(|arguments| {
        let ended = Program::new(arguments).stdout(full()).run().exits(1);
        let words = "cannot write to standard output: No space left on device";
        assert!(ended.stderr.contains(words), "{arguments:?}: {ended:?}");
    });
}

/// In both modes, and in one line.
#[test]
fn an_outcome_that_fails_says_why() {
    let (_layout, small) = Image::of([&Layer::noise(1, 1000)]).layout();
    let (_layout2, zstd) = Image::of([&Layer::zstd()]).layout();
    for mode in [&[][..], &["--json"]] {
        let arguments = [&["index", &small, "--when-too-small", "fail"], mode].concat();
        let ended = Program::new(arguments).run().exits(3);
        let line = ended.stderr.lines().last().unwrap();
        assert!(line.starts_with("soci-builder: nothing to index in oci:"));
        assert!(line.contains("smaller than 10.0 MiB"), "{line}");

        let arguments = [&["index", &zstd], &SMALL[..], mode].concat();
        let ended = Program::new(arguments).run().exits(3);
        let line = ended.stderr.lines().last().unwrap();
        assert!(line.starts_with("soci-builder: no layer of oci:"), "{line}");
    }
}
