//! Files to prefetch: found as a container finds them, and named where they are not.

use std::fs;

use serde_json::{Value, json};
use soci_testing::{
    image::{Image, Layer, noise},
    program::{Ended, Program},
    scratch::scratch,
};
use tar::EntryType;

use crate::index;

/// Spans of 64 KiB, so that files lie in spans of their own.
const SPANS: [&str; 2] = ["--span-size", "64KiB"];

/// An archive of files with their contents, and links with their targets.
fn archive(members: &[(&str, EntryType, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, kind, contents) in members {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(*kind);
        header.set_mode(0o755);
        header.set_size(0);
        if kind.is_file() {
            header.set_size(contents.len() as u64);
            archive.append_data(&mut header, name, *contents).unwrap();
        } else {
            let target = std::str::from_utf8(contents).unwrap();
            archive.append_link(&mut header, name, target).unwrap();
        }
    }
    archive.into_inner().unwrap()
}

/// A base with links, a layer that replaces and hides, and a small one with links only.
fn layers() -> [Layer; 3] {
    let noise = noise(7, 200_000);
    let base = archive(&[
        ("usr/bin/first", EntryType::Regular, &noise),
        ("usr/bin/big", EntryType::Regular, &noise),
        ("usr/bin/soft", EntryType::Symlink, b"big"),
        ("usr/bin/hard", EntryType::Link, b"usr/bin/big"),
        ("bin", EntryType::Symlink, b"usr/bin"),
        ("etc/hidden", EntryType::Regular, b"hidden"),
        ("etc/replaced", EntryType::Regular, b"old"),
    ]);
    let upper = archive(&[
        ("etc/.wh.hidden", EntryType::Regular, b""),
        ("opt/filler", EntryType::Regular, &noise),
        ("etc/replaced", EntryType::Regular, b"new"),
    ]);
    let top = archive(&[
        ("app/current", EntryType::Symlink, b"../usr/bin/big"),
        ("app/small", EntryType::Regular, b"small"),
    ]);
    [Layer::gzip(&base), Layer::gzip(&upper), Layer::gzip(&top)]
}

/// Indexes an image with files to prefetch, but for the top layer, which is too small.
fn prefetch(image: &str, tag: &str, files: &[&str], more: &[&str]) -> Ended {
    let mut arguments = vec!["index", image, "--json", "--min-layer-size", "1KiB"];
    arguments.extend(["--output-tag", tag]);
    arguments.extend(SPANS);
    arguments.extend(files.iter().flat_map(|file| ["--prefetch-file", file]));
    arguments.extend(more);
    Program::new(arguments).run()
}

/// The prefetched spans by layer, as `info` shows them.
fn spans(image: &str, tag: &str) -> Value {
    let image = image.replace(":v1", &format!(":{tag}"));
    let info = Program::new(["info", &image, "--json"]).run().exits(0);
    let info = info.json();
    let layers = info["platforms"][0]["indexes"][0]["layers"].as_array();
    let layers = layers.unwrap().iter();
    layers
        .map(|layer| layer["prefetch_spans"].clone())
        .collect()
}

#[test]
fn a_path_is_resolved_as_in_a_container() {
    let (_layout, image) = Image::of(&layers()).layout();
    let _ = prefetch(&image, "plain", &["usr/bin/big"], &[]).exits(0);
    let big = spans(&image, "plain");
    assert_eq!((&big[1], &big[2]), (&Value::Null, &Value::Null));
    let (start, end) = (&big[0][0]["start_span"], &big[0][0]["end_span"]);
    assert!(start.as_u64() > Some(0) && end.as_u64() > start.as_u64());
    for (number, path) in [
        "/usr/bin/big",
        "/bin/big",
        "/usr/bin/soft",
        "/usr/bin/hard",
        "/bin/../bin/./big",
        "app/current",
    ]
    .into_iter()
    .enumerate()
    {
        let tag = format!("p{number}");
        let ended = prefetch(&image, &tag, &[path], &["--strict"]).exits(0);
        assert_eq!(ended.json()["prefetch_not_found"], Value::Null, "{ended:?}");
        assert_eq!(spans(&image, &tag), big, "{path}");
    }
    // Of a replaced file, that of the topmost layer.
    let _ = prefetch(&image, "replaced", &["etc/replaced"], &[]).exits(0);
    let replaced = spans(&image, "replaced");
    assert_eq!((&replaced[0], &replaced[2]), (&Value::Null, &Value::Null));
    assert!(replaced[1][0]["start_span"].as_u64() > Some(0));
    let shown = Program::new(["info", &image.replace(":v1", ":p0")]).run();
    let words = format!("  prefetch spans {start}-{end}\n");
    assert!(shown.stdout.contains(&words), "{shown:?}");
    let verified = Program::new(["verify", &image.replace(":v1", ":p0")]).run();
    let _ = verified.exits(0);
}

#[test]
fn what_cannot_be_prefetched_is_named() {
    let (_layout, image) = Image::of(&layers()).layout();
    let paths = ["/no/such", "etc/hidden", "usr/bin", "app/small", "bin/big"];
    let reasons = [
        ("/no/such", "no such file"),
        ("etc/hidden", "no such file"),
        ("usr/bin", "it is a directory, not a regular file"),
        ("app/small", "it is in layer 3 (sha256:"),
    ];
    let ended = prefetch(&image, "v1-soci", &paths, &[]).exits(0);
    let result = ended.json();
    let named = result["prefetch_not_found"].as_array().unwrap();
    assert_eq!(named.len(), reasons.len(), "{result}");
    for (found, (path, reason)) in named.iter().zip(reasons) {
        assert_eq!(
            (&found["path"], &found["platform"]),
            (&json!(path), &json!("linux/amd64"))
        );
        assert!(
            found["reason"].as_str().unwrap().starts_with(reason),
            "{found}"
        );
        let warning = format!("warning: cannot prefetch {path} (linux/amd64): {reason}");
        assert!(ended.stderr.contains(&warning), "{ended:?}");
    }
    // The others are prefetched, also from ztocs that were there.
    let again = prefetch(&image, "again", &paths, &["--reuse-from", "v1-soci"]).exits(0);
    assert_eq!(
        again.json()["layers"],
        json!({"indexed": 0, "reused": 2, "skipped": 1})
    );
    assert_eq!(again.json()["output_digest"], result["output_digest"]);
    assert_eq!(spans(&image, "again"), spans(&image, "v1-soci"));

    let strict = prefetch(&image, "strict", &paths, &["--strict"]);
    strict.fails_with(&["cannot prefetch /no/such (linux/amd64): no such file; etc/hidden"]);
    let gone = Program::new(["info", &image.replace(":v1", ":strict")]);
    gone.run().fails_with(&["strict"]);
}

#[test]
fn an_image_without_an_index_prefetches_nothing() {
    let (_layout, image) = Image::of(&layers()).layout();
    let arguments = ["index", &image, "--json", "--prefetch-file", "bin/big"];
    let ended = Program::new(arguments).run().exits(0);
    let result = ended.json();
    assert_eq!(result["outcome"], "nothing-to-index");
    assert_eq!(result["prefetch_not_found"][0]["path"], "bin/big");
    assert!(
        ended.stderr.contains("cannot prefetch bin/big"),
        "{ended:?}"
    );
    Program::new(arguments)
        .argument("--strict")
        .run()
        .fails_with(&["cannot prefetch bin/big"]);
}

#[test]
fn each_platform_has_its_own_files() {
    let of = |name: &str| Layer::gzip(&archive(&[(name, EntryType::Regular, b"text")]));
    let (both, arm) = (of("both"), of("arm"));
    let image = Image::list([
        ("linux/amd64", Image::for_platform("linux/amd64", [&both])),
        (
            "linux/arm64",
            Image::for_platform("linux/arm64", [&both, &arm]),
        ),
    ]);
    let (_layout, image) = image.layout();
    let files = ["--prefetch-file", "both", "--prefetch-file", "arm"];
    let result = index(&image, &files).exits(0).json();
    assert_eq!(
        result["prefetch_not_found"],
        json!([{"platform": "linux/amd64", "path": "arm", "reason": "no such file"}])
    );
}

#[test]
fn an_unknown_layer_casts_doubt_and_hides_nothing() {
    let of = |name: &str| Layer::gzip(&archive(&[(name, EntryType::Regular, b"text")]));
    let (_layout, image) = Image::of(&[of("low"), Layer::zstd(), of("high")]).layout();
    let files = ["low", "high", "lost"].map(|file| ["--prefetch-file", file]);
    let ended = index(&image, &files.concat()).exits(0);
    assert!(
        ended.stderr.contains("low is prefetched from the layer"),
        "{ended:?}"
    );
    assert!(!ended.stderr.contains("high is prefetched"), "{ended:?}");
    let not_found = &ended.json()["prefetch_not_found"];
    assert_eq!(not_found.as_array().unwrap().len(), 1);
    let reason = not_found[0]["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("no such file, unless in layer 2 (sha256:"),
        "{reason}"
    );
}

#[test]
fn a_list_of_files_comes_from_a_file() {
    let (_layout, image) = Image::of(&layers()).layout();
    let folder = scratch();
    let list = folder.path().join("list");
    let wanted = prefetch(&image, "wanted", &["bin/big", "etc/replaced"], &[]).exits(0);
    for text in [
        "# the server\n\n/bin/big\r\n  etc/replaced",
        r#" ["/usr/bin/../bin/big", " etc/replaced ", ""]"#,
    ] {
        fs::write(&list, text).unwrap();
        let from = ["--prefetch-files-from", list.to_str().unwrap()];
        let ended = prefetch(&image, "listed", &[], &from).exits(0);
        assert_eq!(
            ended.json()["output_digest"],
            wanted.json()["output_digest"]
        );
        let stdin = prefetch_from_stdin(&image, &fs::File::open(&list).unwrap());
        assert_eq!(
            stdin.json()["output_digest"],
            wanted.json()["output_digest"]
        );
        // Together with those that the command line names.
        let both = prefetch(&image, "both", &["usr/bin/first"], &from).exits(0);
        assert_ne!(both.json()["output_digest"], wanted.json()["output_digest"]);
    }
    for (text, words) in [
        ("[\"a\"", "not a JSON array of strings"),
        ("[1]", "not a JSON array"),
    ] {
        fs::write(&list, text).unwrap();
        let from = ["--prefetch-files-from", list.to_str().unwrap()];
        prefetch(&image, "x", &[], &from).fails_with(&["cannot read the list of files", words]);
    }
    prefetch(&image, "x", &[], &["--prefetch-files-from", "none"])
        .fails_with(&["cannot read the list of files to prefetch none: No such file"]);
}

fn prefetch_from_stdin(image: &str, list: &fs::File) -> Ended {
    let arguments = [
        "index",
        image,
        "--json",
        "--min-layer-size",
        "1KiB",
        "--output-tag",
        "stdin",
    ];
    let from = ["--prefetch-files-from", "-"];
    Program::new([&arguments[..], &SPANS, &from].concat())
        .stdin(list.try_clone().unwrap())
        .run()
        .exits(0)
}
