//! Files that are not where, or not as long as, their ztoc says: `cat` fails, and never ends well with other bytes than the file has.

use std::process::Command;

use soci_format::ztoc::{FileMetadata, Toc, Ztoc};
use soci_testing::{
    image::{Image, Layer},
    program::Program,
};

use crate::{damage::Index, indexed};

/// Changes the entry `name` of a ztoc.
fn with(ztoc: &mut Ztoc, name: &str, change: impl Fn(&mut FileMetadata<'_>)) {
    let mut toc = Toc::default();
    for mut file in ztoc.toc.iter() {
        if file.name == name.as_bytes() {
            change(&mut file);
        }
        toc.push(&file);
    }
    ztoc.toc = toc;
}

/// What `cat` says of `name` where the ztoc of its layer was changed.
#[track_caller]
fn refused(name: &str, change: impl FnOnce(&mut Ztoc)) -> String {
    let mut index = Index::new();
    let layer = usize::from(name == "c");
    change(&mut index.ztocs[layer]);
    let (_layout, image) = index.written(|_, _| {});
    // The other layer's files are what they were.
    let other = if layer == 0 { "c" } else { "a" };
    assert_eq!(cat(&image, other).0, Some(0));
    let (code, said) = cat(&image, name);
    assert_eq!(code, Some(1), "{name}: {said}");
    said
}

/// Exit code and stderr; what is printed need not be text.
fn cat(image: &str, name: &str) -> (Option<i32>, String) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_soci-builder"));
    let ended = program.args(["cat", image, name]).output().unwrap();
    (
        ended.status.code(),
        String::from_utf8_lossy(&ended.stderr).into_owned(),
    )
}

#[track_caller]
fn says(said: &str, words: &str) {
    assert!(said.contains(words), "no {words:?} in: {said}");
}

#[test]
fn a_size_that_is_not_the_file_s() {
    // "a" has 90,000 bytes and "b" follows; "c" has 50,000 and is the last one.
    for (name, size, words) in [
        ("a", 89_999, "header in the archive says 90000"),
        ("a", 90_001, "header in the archive says 90000"),
        ("a", 89_000, "header in the archive says 90000"),
        ("a", 10, "header in the archive says 90000"),
        ("a", 0, "header in the archive says 90000"),
        ("a", 90_624, "the next header is at byte 90624"),
        ("a", 120_000, "the next header is at byte 90624"),
        ("a", i64::MAX, "the archive has"),
        ("b", 99_999, "header in the archive says 100000"),
        ("b", 0, "header in the archive says 100000"),
        ("b", 1_000_000, "the archive has"),
        ("c", 49_999, "header in the archive says 50000"),
        ("c", 0, "header in the archive says 50000"),
        ("c", 50_100, "header in the archive says 50000"),
        ("c", 60_000, "the archive has"),
    ] {
        let said = refused(name, |ztoc| with(ztoc, name, |file| file.size = size));
        says(&said, words);
    }
}

#[test]
fn an_offset_that_is_not_the_file_s() {
    for (name, offset, words) in [
        ("a", 1_024, "header in the archive is not that of a file"),
        ("a", 513, "no file can start there"),
        ("a", 0, "no file can start there"),
        ("b", 1 << 40, "the archive has"),
        ("c", 1_024, "header in the archive is not that of a file"),
    ] {
        let said = refused(name, |ztoc| {
            with(ztoc, name, |file| (file.offset, file.size) = (offset, 100));
        });
        says(&said, words);
    }
}

#[test]
fn an_archive_of_another_size() {
    // More than there is: the last span is too short. Less: the file does not lie within it.
    for name in ["b", "c"] {
        let longer = |ztoc: &mut Ztoc| {
            ztoc.plain_size += 1 << 20;
            with(ztoc, name, |file| file.size += 1 << 19);
        };
        let _ = refused(name, longer);
        let shorter = |ztoc: &mut Ztoc| ztoc.plain_size -= 10_000;
        says(&refused(name, shorter), "the archive has");
    }
}

#[test]
fn a_span_of_more_bytes_than_its_checkpoints_say() {
    // Where the third span starts, one byte less: the second has one too many.
    let said = refused("a", |ztoc| {
        let at = 12 + 2 * (17 + 32_768) + 8;
        let plain = u64::from_le_bytes(ztoc.checkpoints[at..at + 8].try_into().unwrap());
        ztoc.checkpoints[at..at + 8].copy_from_slice(&(plain - 1).to_le_bytes());
    });
    says(&said, "it inflates to more than");
}

/// Archives with names, links and attributes that need headers of their own are as right as others.
#[test]
fn honest_files_of_every_kind_are_read() {
    let mut archive = tar::Builder::new(Vec::new());
    let mut put = |name: &str, bytes: &[u8], attribute: Option<&str>| {
        if let Some(value) = attribute {
            let records = [("SCHILY.xattr.user.a", value.as_bytes())];
            archive.append_pax_extensions(records).unwrap();
        }
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, bytes).unwrap();
    };
    let long = "n".repeat(300);
    let files = [
        ("empty", &b""[..], None),
        (&long[..], b"behind an empty one", None),
        ("with", b"attributes", Some("value")),
        ("block", &[b'x'; 512], None),
        ("last", b"one", Some("other")),
    ];
    for (name, bytes, attribute) in files {
        put(name, bytes, attribute);
    }
    let with_end = archive.into_inner().unwrap();
    let without_end = with_end[..with_end.len() - 1_024].to_vec();
    for archive in [with_end, without_end] {
        for layer in [Layer::gzip(&archive), Layer::plain(archive.clone())] {
            let (_layout, image) = Image::of([&layer]).layout();
            indexed(&image, &["--span-size", "100"]);
            for image in [format!("{image}-soci"), image] {
                for (name, bytes, _) in files {
                    let printed = Program::new(["cat", &image, name]).run().exits(0);
                    assert_eq!(printed.stdout.as_bytes(), bytes, "{name}");
                }
            }
        }
    }
}
