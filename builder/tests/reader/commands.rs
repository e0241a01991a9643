//! `ls` and `cat`, as a shell sees them.

use serde_json::json;
use soci_testing::{
    fake_registry::{FakeRegistry, Route},
    image::{Image, Layer, tar_of},
    program::Program,
};

use crate::indexed;

/// Two layers with a directory, a link, and a name that would clear a terminal.
fn layers() -> [Layer; 2] {
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    header.set_mode(0o777);
    header.set_mtime(1_700_000_000);
    archive
        .append_link(&mut header, "sh", "bin/busybox")
        .unwrap();
    let mut header = tar::Header::new_ustar();
    header.set_size(3);
    header.set_mode(0o4755);
    header.set_uid(7);
    archive
        .append_data(&mut header, "bin/busybox", &b"abc"[..])
        .unwrap();
    let lower = archive.into_inner().unwrap();
    [
        Layer::gzip(&lower),
        Layer::gzip(&tar_of([("odd\u{1b}[2Jname", "12345678901")])),
    ]
}

#[test]
fn a_directory_is_listed_as_people_know_it() {
    for version in ["v1", "v2"] {
        let registry = FakeRegistry::start();
        let image = Image::of(&layers()).push(&registry, "v1");
        let image = indexed(&image, &["--index-version", version]);
        let listed = Program::new(["ls", &image]).run().exits(0);
        assert_eq!(listed.stderr, "");
        let lines: Vec<_> = listed.stdout.lines().collect();
        assert_eq!(lines.len(), 3, "{listed:?}");
        assert!(lines[0].starts_with("drwxr-xr-x 0 0  0 "), "{}", lines[0]);
        assert!(lines[1].starts_with("-rw-r--r-- 0 0 11 "), "{}", lines[1]);
        assert!(lines[1].ends_with(r"odd\u{1b}[2Jname"), "{}", lines[1]);
        let link = "lrwxrwxrwx 0 0  0 2023-11-14T22:13:20Z sh -> bin/busybox";
        assert_eq!(lines[2], link);

        let all = Program::new(["ls", "-R", &image]).run().exits(0).stdout;
        assert!(all.contains("-rwsr-xr-x 7 0  3 "), "{all}");
        assert!(all.contains(" bin/busybox\n"), "{all}");
        let one = Program::new(["ls", "--json", &image, "sh"]).run().exits(0);
        let one = one.json();
        assert_eq!(one["index"]["version"], version);
        assert_eq!(
            one["entries"][0],
            json!({
                "path": "sh", "type": "reg", "mode": "4755", "uid": 7, "gid": 0, "size": 3,
                "modified": "1970-01-01T00:00:00Z", "layer": 1
            })
        );
    }
}

#[test]
fn a_file_is_printed_byte_by_byte() {
    let (_layout, image) = Image::of(&layers()).layout();
    let image = indexed(&image, &[]);
    let printed = Program::new(["cat", &image, "/sh"]).run().exits(0);
    assert_eq!((&*printed.stdout, &*printed.stderr), ("abc", ""));
    for (path, words) in [
        ("bin", "bin is a directory, not a regular file"),
        ("/none", "cannot find /none: none not found"),
    ] {
        Program::new(["cat", &image, path])
            .run()
            .fails_with(&["cannot read oci:", words]);
    }
}

#[test]
fn several_files_are_printed_in_order_from_one_reading_of_the_index() {
    let registry = FakeRegistry::start();
    let image = Image::of(&layers()).push(&registry, "v1");
    let image = indexed(&image, &[]);
    let odd = "odd\u{1b}[2Jname";
    let requests = || registry.requests_to(Route::ReadBlob).len();
    let before = requests();
    let printed = Program::new(["cat", &image, "sh"]).run().exits(0);
    assert_eq!(printed.stdout, "abc");
    let of_one = requests() - before;
    let printed = Program::new(["cat", &image, odd, "sh", "/bin/busybox", odd]);
    assert_eq!(
        printed.run().exits(0).stdout,
        "12345678901abcabc12345678901"
    );
    // One span more, for the other layer.
    assert_eq!(requests() - before, of_one + (of_one + 1));

    let failing = Program::new(["cat", &image, "sh", "none", odd]);
    let ended = failing.run().exits(1);
    assert_eq!(ended.stdout, "abc");
    let words = "cannot find none: none not found";
    assert!(ended.stderr.contains(words), "{ended:?}");
    assert_eq!(Program::new(["cat", &image]).run().exits(2).stdout, "");
}

#[test]
fn one_of_several_platforms_is_chosen() {
    let registry = FakeRegistry::start();
    let of = |text: &str| Layer::gzip(&tar_of([("which", text)]));
    let (arm, risc) = (of("arm"), of("risc"));
    let image = Image::list([
        ("linux/arm/v7", Image::for_platform("linux/arm/v7", [&arm])),
        (
            "linux/riscv64",
            Image::for_platform("linux/riscv64", [&risc]),
        ),
    ]);
    let image = indexed(&image.push(&registry, "v1"), &[]);
    for (platform, text) in [("linux/arm", "arm"), ("linux/riscv64", "risc")] {
        let arguments = ["cat", &image, "which", "--platform", platform];
        assert_eq!(Program::new(arguments).run().exits(0).stdout, text);
    }
    let there = ["linux/arm/v7, linux/riscv64", "--platform"];
    Program::new(["cat", &image, "which"])
        .run()
        .fails_with(&there);
    Program::new(["ls", &image, "--platform", "linux/s390x"])
        .run()
        .fails_with(&there);
    let arguments = ["verify", &image, "--platform", "linux/s390x"];
    Program::new(arguments)
        .run()
        .fails_with(&["no platform linux/s390x; it has linux/arm/v7, linux/riscv64"]);
}

#[test]
fn what_is_right_is_verified() {
    for version in ["v1", "v2"] {
        let registry = FakeRegistry::start();
        let image = Image::of(&layers()).push(&registry, "v1");
        let image = indexed(
            &image,
            &["--index-version", version, "--prefetch-file", "sh"],
        );
        let reads = registry.requests_to(Route::ReadBlob).len();
        let said = Program::new(["verify", &image]).run().exits(0);
        assert!(said.stdout.ends_with("\nOK\n"), "{said:?}");
        assert!(said.stdout.contains("1 span, 2 entries: OK"), "{said:?}");
        let report = Program::new(["verify", &image, "--json"]).run().exits(0);
        let report = report.json();
        let platform = &report["platforms"][0];
        assert_eq!(platform["indexes"][0]["version"], version);
        assert_eq!(platform["layers"][1]["files"], 1);
        assert_eq!(platform["layers"][1]["problems"], json!([]));
        // Each layer once, each ztoc, and the config twice; the list of spans to prefetch, and its ztoc once more.
        assert!(registry.requests_to(Route::ReadBlob).len() - reads <= 2 * (2 + 2 + 3 + 2));
    }
}

#[test]
fn an_image_without_an_index_has_nothing_that_could_be_right() {
    let (_layout, image) = Image::of(&layers()).layout();
    let ended = Program::new(["verify", &image]).run().exits(1);
    assert!(ended.stdout.contains("! it has no SOCI index"), "{ended:?}");
    assert!(ended.stderr.contains("it has no SOCI index"), "{ended:?}");
}

#[test]
fn nothing_in_an_image_reaches_the_terminal() {
    let bell = "\u{1b}[2J\u{7}";
    let registry = FakeRegistry::start();
    let layer = Layer::gzip(&tar_of([("a", "1")]));
    let platform = format!("linux/{bell}");
    let image = Image::list([
        (&*platform, Image::for_platform(&platform, [&layer])),
        (
            "linux/arm/v7",
            Image::for_platform("linux/arm/v7", [&layer]),
        ),
    ]);
    let image = image.push(&registry, "v1");
    let tool = ["--build-tool-identifier", bell];
    let text = Program::new(["index", &image, "--min-layer-size", "0"])
        .run()
        .exits(0);
    let image = indexed(&image, &[&tool[..], &["--output-tag", "odd"]].concat());
    let shown = [
        text,
        Program::new(["info", &image]).run().exits(0),
        Program::new(["verify", &image]).run(),
        Program::new(["ls", &image]).run().exits(1),
    ];
    for ended in shown {
        let all = format!("{}{}", ended.stdout, ended.stderr);
        assert!(all.contains(r"linux/\u{1b}["), "{ended:?}");
        let harmless = |c: char| c == '\n' || !c.is_control();
        assert!(all.chars().all(harmless), "{ended:?}");
    }
}
