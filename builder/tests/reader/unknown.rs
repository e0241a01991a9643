//! Layers that cannot be indexed, and layers that cannot be read at all, among others: the rest can be read, and what is uncertain
//! is said.

use serde_json::json;
use soci_testing::{
    image::{GZIP, Image, Layer, gzip, noise, tar_of},
    program::Program,
};

use crate::indexed;

/// As `git archive` writes it: a global PAX header first.
fn with_global_header() -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let record = b"20 comment=all of it";
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::XGlobalHeader);
    header.set_size(record.len() as u64);
    archive
        .append_data(&mut header, "pax_global_header", &record[..])
        .unwrap();
    let files = tar_of([("git/file", "from git"), ("both", "from git")]);
    let mut bytes = archive.into_inner().unwrap();
    // Without the end marker: more follows.
    bytes.truncate(bytes.len() - 1024);
    [bytes, files].concat()
}

/// An image of three layers, the second one as given; indexed but for that one.
fn between(middle: &Layer) -> (tempfile::TempDir, String) {
    let low = Layer::gzip(&tar_of([
        ("low", "low"),
        ("both", "below"),
        ("top", "below"),
    ]));
    let high = Layer::gzip(&tar_of([("high", "high"), ("top", "above")]));
    let (layout, image) = Image::of(&[low, middle.clone(), high]).layout();
    let image = indexed(&image, &[]);
    (layout, image)
}

#[test]
fn what_runtimes_pass_over_is_passed_over() {
    let padded = |padding: &[u8]| {
        let files = tar_of([("git/file", "from git"), ("both", "from git")]);
        Layer::of(GZIP, [&gzip(&files)[..], padding].concat())
    };
    for middle in [
        Layer::gzip(&with_global_header()),
        Layer::plain(with_global_header()),
        padded(&[0; 1]),
        padded(&[0; 512]),
        padded(&[0; 100_000]),
    ] {
        let (_layout, image) = between(&middle);
        let listed = Program::new(["ls", "-R", &image]).run().exits(0);
        assert_eq!(listed.stderr, "");
        let lines = listed.stdout.lines();
        let names: Vec<_> = lines.map(|line| line.rsplit(' ').next().unwrap()).collect();
        assert_eq!(names, ["both", "git", "git/file", "high", "low", "top"]);
        let all = ["low", "both", "git/file", "high", "top"];
        let printed = Program::new([&["cat", &*image], &all[..]].concat()).run();
        let printed = printed.exits(0);
        assert_eq!(printed.stdout, "lowfrom gitfrom githighabove");
        assert_eq!(printed.stderr, "");
        let _ = Program::new(["report", &image, "-o", "-"]).run().exits(0);
    }
}

#[test]
fn an_unknown_layer_leaves_the_rest_readable() {
    let mut cut = gzip(&tar_of([("file", noise(9, 30_000))]));
    cut.truncate(cut.len() / 2);
    for middle in [Layer::zstd(), Layer::of(GZIP, cut)] {
        let (_layout, image) = between(&middle);
        let listed = Program::new(["ls", &image, "--json"]).run().exits(0);
        let name = format!("layer 2 ({})", middle.digest);
        let warning = format!("warning: {name} cannot be read");
        assert!(listed.stderr.starts_with(&warning), "{listed:?}");
        assert_eq!(listed.stderr.lines().count(), 1);
        let listing = listed.json();
        let unknown = &listing["unknown_layers"];
        assert_eq!(unknown[0]["layer"], 2);
        assert_eq!(unknown[0]["digest"], json!(middle.digest));
        assert!(unknown[0]["reason"].as_str().unwrap().len() > 10);
        let entries = listing["entries"].as_array().unwrap().iter();
        let entries: Vec<_> = entries
            .map(|entry| (entry["path"].as_str().unwrap(), entry["uncertain"] == true))
            .collect();
        let expected = [
            ("both", true),
            ("high", false),
            ("low", true),
            ("top", false),
        ];
        assert_eq!(entries, expected);

        let above = Program::new(["cat", &image, "high", "top"]).run().exits(0);
        assert_eq!((&*above.stdout, &*above.stderr), ("highabove", ""));
        // What lies below is printed, and the exit code says that it is uncertain.
        let below = Program::new(["cat", &image, "high", "low"]).run().exits(1);
        assert_eq!(below.stdout, "highlow");
        let words = format!("low may not be the file that a container sees: {name}");
        assert!(below.stderr.contains(&words), "{below:?}");
        let nowhere = Program::new(["cat", &image, "none"]).run().exits(1);
        let words = format!("cannot find none, unless it is in {name}");
        assert!(nowhere.stderr.contains(&words), "{nowhere:?}");
        let _ = Program::new(["report", &image, "-o", "-"]).run().exits(0);
    }
}
