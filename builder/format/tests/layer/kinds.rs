//! What a layer is: what its media type says, what its bytes say, and which of them is believed.

use soci_format::{
    layer::Unindexable,
    oci::LayerEncoding::{self, Gzip, Uncompressed, Unknown},
    ztoc::Compression,
};
use soci_testing::image::tar_of;

use crate::passes::{checked_pass, gzip};

#[test]
fn media_types_that_lie() {
    let plain = tar_of([("a".to_owned(), b"payload".to_vec())]);
    let zipped = gzip(&plain, 6);
    for (stored, truth) in [(&plain, Uncompressed), (&zipped, Gzip)] {
        let other = if truth == Gzip { Uncompressed } else { Gzip };
        assert!(checked_pass(stored, truth.clone(), 100).ztoc.is_ok());
        assert!(checked_pass(stored, Unknown, 100).ztoc.is_ok());
        for declared in [other, LayerEncoding::Other("zstd".to_owned())] {
            match checked_pass(stored, declared.clone(), 100)
                .ztoc
                .unwrap_err()
            {
                Unindexable::MediaTypeLies {
                    declared: d,
                    found: f,
                } => {
                    assert_eq!((d, f), (declared, truth.clone()));
                }
                refused => panic!("{refused}"),
            }
        }
    }
}

#[test]
fn other_compressions_are_named() {
    for (magic, name) in [
        (&b"\x28\xb5\x2f\xfd"[..], "zstd"),
        (b"\xfd7zXZ\0", "xz"),
        (b"BZh91AY", "bzip2"),
    ] {
        let stored = [magic, &[9; 700_000]].concat();
        for declared in [
            Gzip,
            Uncompressed,
            Unknown,
            LayerEncoding::Other(name.to_owned()),
        ] {
            match checked_pass(&stored, declared, 100).ztoc.unwrap_err() {
                Unindexable::Compression(found) => assert_eq!(found, name),
                refused => panic!("{refused}"),
            }
        }
    }
}

/// An archive starts with a file's name, and that may begin as a compression does.
#[test]
fn names_that_begin_as_a_compression_does() {
    for name in [
        &b"BZh91AY&SY"[..],
        b"BZh.txt",
        b"\x28\xb5\x2f\xfd",
        b"\xfd7zXZ",
        b"\x04\x22\x4d\x18-frame",
        b"\x1f\x8b\x08",
        b"\x1f\x8b",
        b"PK\x03\x04",
    ] {
        let mut stored = tar_of([("x".repeat(name.len()), b"payload".to_vec())]);
        stored[..name.len()].copy_from_slice(name);
        let mut header = tar::Header::from_byte_slice(&stored[..512]).clone();
        header.set_cksum();
        stored[..512].copy_from_slice(header.as_bytes());
        let shown = name.escape_ascii().to_string();
        for declared in [Uncompressed, Unknown] {
            let ztoc = checked_pass(&stored, declared, 100).ztoc.unwrap();
            assert_eq!(ztoc.compression, Compression::Uncompressed, "{shown}");
            assert_eq!(ztoc.toc.iter().next().unwrap().name, name, "{shown}");
        }
        // A type that says something else: what it says is found where the bytes begin so, and else they are an archive.
        assert!(checked_pass(&stored, Gzip, 100).ztoc.is_err(), "{shown}");
        let zstd = LayerEncoding::Other("zstd".to_owned());
        assert!(checked_pass(&stored, zstd, 100).ztoc.is_err(), "{shown}");
        // Without a good checksum it is what it begins as.
        stored[100] ^= 1;
        assert!(checked_pass(&stored, Unknown, 100).ztoc.is_err(), "{shown}");
    }
}
