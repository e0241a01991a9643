//! `report`, as a shell sees it.

use std::{
    fs::{self, File},
    os::unix::fs::{PermissionsExt, symlink},
};

use soci_testing::{
    fake_registry::FakeRegistry,
    image::{Image, Layer, noise, tar_of},
    program::{Program, indexed},
};
use tempfile::TempDir;

use crate::Page;

fn layers() -> [Layer; 2] {
    let files = [("bin/sh", noise(1, 90_000)), ("etc/passwd", noise(2, 500))];
    [
        Layer::gzip(&tar_of(files)),
        Layer::gzip(&tar_of([("srv/app", "text")])),
    ]
}

#[test]
fn the_page_says_what_the_index_says() {
    let registry = FakeRegistry::start();
    let image = Image::of(&layers()).push(&registry, "v1");
    for version in ["v1", "v2"] {
        let flags = ["--index-version", version, "--min-layer-size", "1000"];
        let image = indexed(&image, &flags);
        let page = Page::of(&image, None, &[]);
        let info = Program::new(["info", "--json", &image])
            .run()
            .exits(0)
            .json();
        let index = &info["platforms"][0]["indexes"][0];
        let digests = [
            &info["image_digest"],
            &info["platforms"][0]["manifest_digest"],
            &index["index_digest"],
            &index["layers"][0]["ztoc"]["digest"],
            &index["layers"][0]["digest"],
            &index["layers"][1]["digest"],
        ];
        for digest in digests {
            assert!(page.text.contains(digest.as_str().unwrap()), "{digest}");
        }
        assert!(page.text.contains(&format!("<h1>{image}</h1>")));
        assert!(page.text.contains("All 3 files"));
        assert!(page.text.contains("No ztoc: read whole"));
        // The same image gives the same bytes.
        assert_eq!(page.text, Page::of(&image, None, &[]).text);
    }
}

#[test]
fn a_start_is_compared_with_a_full_pull() {
    let (_layout, image) = Image::of(&layers()).layout();
    let image = indexed(&image, &["--span-size", "30000"]);
    let list = "# comment\n\n/bin/sh\r\n  etc/passwd\n/none\n";
    let flags = ["--bandwidth", "1000", "--latency", "500"];
    let page = Page::of(&image, Some(list), &flags);
    for text in [
        "at 1000 B per second and 500 ms",
        "Found: 2 of 3 paths",
        "Not found: 1 of 3 paths",
        "none not found",
    ] {
        assert!(page.text.contains(text), "no {text:?} in {}", page.text);
    }
    // A list from stdin is the same list.
    let folder = TempDir::new().unwrap();
    let (list, file) = (page.folder.path().join("start"), folder.path().join("page"));
    let report = Program::new(["report", &image, "--start-files", "-", "-o"]);
    let report = report.argument(&file).stdin(File::open(list).unwrap());
    let _ = flags.iter().fold(report, Program::argument).run().exits(0);
    assert_eq!(page.text, fs::read_to_string(file).unwrap());
}

#[test]
fn an_image_without_an_index_has_a_page_that_says_so() {
    let (_layout, image) = Image::of(&layers()).layout();
    let page = Page::of(&image, Some("bin/sh"), &[]);
    assert!(page.text.contains("No index."));
    assert!(page.text.contains("the whole layer"));
    let none = Image::of([]).layout();
    let page = Page::of(&none.1, Some("/\nbin"), &[]);
    assert!(page.text.contains("Found: 1 of 2 paths"));
}

#[test]
fn very_many_layers_and_spans_make_no_very_large_page() {
    // Each archive has 2,048 bytes, and so 21 spans.
    let layers: Vec<_> = (0..1_000)
        .map(|number: u32| Layer::plain(tar_of([("file", number.to_string())])))
        .collect();
    let (_layout, image) = Image::of(&layers).layout();
    let image = indexed(&image, &["--span-size", "100"]);
    let page = Page::of(&image, Some("file"), &[]);
    let count = |text: &str| page.text.matches(text).count();
    assert_eq!(count("<article "), 1_000);
    assert_eq!(count("A square is 3 spans"), 1);
    assert_eq!(count(" title=\"span"), 7_000);
    assert_eq!(count("<td class=\"digest\">"), 10_000);
    // 476 layers have all their rows, the next has 4 of 21, and the others have none.
    assert_eq!(count(", except the last 17<"), 1);
    assert_eq!(count(", except the last 21<"), 523);
    let megabytes = page.text.len() / 1_000_000;
    assert!(megabytes < 5, "{megabytes} MB");
}

#[test]
fn a_file_is_replaced_whole() {
    let (_layout, image) = Image::of(&layers()).layout();
    let folder = TempDir::new().unwrap();
    let (file, link) = (folder.path().join("page"), folder.path().join("link"));
    fs::write(&file, "old").unwrap();
    symlink("page", &link).unwrap();
    let _ = Program::new(["report", &image, "-o"])
        .argument(&link)
        .run()
        .exits(0);
    assert!(
        fs::read_to_string(&file)
            .unwrap()
            .starts_with("<!doctype html>")
    );
    assert!(link.is_symlink());
    // As readable as any file that is made here.
    let other = folder.path().join("other");
    fs::write(&other, "").unwrap();
    let mode = |file| fs::metadata(file).unwrap().permissions().mode();
    assert_eq!(mode(&file), mode(&other));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    // What is no file is written into.
    for stdout in ["/dev/stdout", "-"] {
        let printed = Program::new(["report", &image, "-o", stdout])
            .run()
            .exits(0);
        assert_eq!(printed.stdout, fs::read_to_string(&file).unwrap());
    }
}

#[test]
fn what_fails_is_named_and_leaves_nothing() {
    let (_layout, image) = Image::of(&layers()).layout();
    Program::new(["report", &image, "-o", "none/page.html"])
        .run()
        .fails_with(&["cannot write none/page.html: No such file"]);
    Program::new(["report", &image, "-o", "page", "--start-files", "none"])
        .run()
        .fails_with(&["cannot read none: No such file"]);
    let gone = image.replace(":v1", ":v2");
    Program::new(["report", &gone, "-o", "page"])
        .run()
        .fails_with(&["cannot read oci:", ":v2: "]);
    for wrong in [["--bandwidth", "0"], ["--latency", "x"]] {
        let report = Program::new(["report", &image, "-o", "page"]);
        let ended = wrong.iter().fold(report, Program::argument).run().exits(2);
        assert!(ended.stderr.contains(wrong[0]), "{ended:?}");
    }
}
