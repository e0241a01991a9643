//! Layers that ask for more than a ztoc may take: refused while they are read, whatever they ask for, with their digest all the same.

use std::io::Write as _;

use soci_format::{
    layer::{self, Options, Pass, Unindexable},
    oci::LayerEncoding::Unknown,
};
use soci_testing::image::tar_of;

use crate::passes::{gzip, sha256};

const LIMIT: u64 = 1 << 20;

fn pass(stored: &[u8], span_size: u64, bytes_max: u64) -> Pass {
    let options = Options {
        span_size,
        build_tool: String::new(),
        bytes_max,
    };
    let pass = layer::pass(stored, Unknown, &options, &mut layer::no_spare_core).unwrap();
    assert_eq!(pass.digest.to_string(), sha256(stored));
    assert_eq!(pass.size, stored.len() as u64);
    pass
}

/// One gzip member with a flush, and so an end of a block, after every `every` bytes.
fn flushed(plain: &[u8], every: usize) -> Vec<u8> {
    let level = flate2::Compression::fast();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
    for piece in plain.chunks(every) {
        encoder.write_all(piece).unwrap();
        encoder.flush().unwrap();
    }
    encoder.finish().unwrap()
}

/// A member with extended attributes of so many bytes each, in PAX records.
fn with_records(sizes: &[usize]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let records: Vec<_> = sizes
        .iter()
        .enumerate()
        .map(|(at, &size)| (format!("SCHILY.xattr.user.{at}"), vec![b'x'; size]))
        .collect();
    let records = records.iter().map(|(key, value)| (&key[..], &value[..]));
    builder.append_pax_extensions(records).unwrap();
    let mut header = tar::Header::new_ustar();
    header.set_path("a").unwrap();
    header.set_size(0);
    header.set_cksum();
    builder.append(&header, &b""[..]).unwrap();
    let mut bytes = builder.into_inner().unwrap();
    // Without the end of the archive, so that others can follow.
    bytes.truncate(bytes.len() - 1_024);
    bytes
}

fn without_end(archive: Vec<u8>) -> Vec<u8> {
    archive[..archive.len() - 1_024].to_vec()
}

/// Layers that unfold to more than [`LIMIT`], with the span size that makes them do so.
fn hostile() -> Vec<(&'static str, Vec<u8>, u64)> {
    let letters = tar_of([("a".to_owned(), b"ab".repeat(2_000))]);
    let named = |name: String| without_end(tar_of([(name, Vec::new())]));
    let empty = named("a".to_owned()).repeat(5_000);
    let long = (0..40).flat_map(|at| named(format!("{at}/{}", "n".repeat(30_000))));
    let long: Vec<u8> = long.collect();
    vec![
        ("many spans", flushed(&letters, 10), 1),
        (
            "many spans of an archive that is not compressed",
            letters.repeat(4),
            1,
        ),
        ("many files", gzip(&empty, 9), 4 << 20),
        ("many files, not compressed", empty.clone(), 4 << 20),
        (
            "many files in many members",
            gzip(&empty[..5_120], 9).repeat(500),
            4 << 20,
        ),
        ("long names", gzip(&long, 9), 4 << 20),
        (
            "large attributes",
            gzip(&with_records(&[300_000, 400_000, 200_000]).repeat(2), 9),
            4 << 20,
        ),
        (
            "many attributes",
            gzip(&with_records(&[0; 20_000]), 9),
            4 << 20,
        ),
    ]
}

#[test]
fn a_layer_that_unfolds_to_more_than_it_may_is_refused() {
    for (what, stored, span_size) in hostile() {
        match pass(&stored, span_size, LIMIT).ztoc {
            Err(Unindexable::TooLarge { limit, .. }) => assert_eq!(limit, LIMIT, "{what}"),
            other => panic!("{what}: {:?}", other.map(|ztoc| ztoc.size_max())),
        }
    }
}

#[test]
fn exactly_the_limit_is_allowed() {
    for (what, stored, span_size) in hostile() {
        let ztoc = pass(&stored, span_size, 1 << 30).ztoc.unwrap();
        let size = ztoc.size_max() as u64;
        assert!(size > LIMIT, "{what} takes only {size} bytes");
        assert!(ztoc.clone().into_bytes().len() as u64 <= size, "{what}");
        assert!(
            pass(&stored, span_size, size).ztoc.unwrap() == ztoc,
            "{what}"
        );
        let refused = pass(&stored, span_size, size - 1).ztoc;
        assert!(
            matches!(refused, Err(Unindexable::TooLarge { .. })),
            "{what}"
        );
    }
}
