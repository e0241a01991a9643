//! The golden layers, against what stands in the reference implementation's ztocs for them, listed in `tests/data/toc`: in `all.txt` members, archive size and digest of the listing; and some whole listings.

use std::{fs, path::Path};

use soci_format::digest::Digest;
use soci_testing::golden;

use crate::toc::{Toc, toc_of};

fn expected(file: &str) -> String {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/toc"));
    let path = folder.join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every case with its plain tar stream.
pub(crate) fn layers() -> Vec<(String, Vec<u8>)> {
    let layers = golden::layers().into_iter();
    layers
        .map(|layer| (layer.name.clone(), layer.plain()))
        .collect()
}

#[test]
fn every_layer_has_the_references_table_of_contents() {
    let found: String = layers()
        .iter()
        .map(|(case, stream)| {
            let Toc {
                members,
                listing,
                end,
            } = toc_of(stream);
            let archive_bytes = end.unwrap_or_else(|error| panic!("{case}: {error}"));
            let digest = Digest::of(listing.as_bytes());
            format!("{case} {members} {archive_bytes} {digest}\n")
        })
        .collect();
    assert_eq!(found, expected("all.txt"));
}

#[test]
fn odd_layers_have_the_references_entries() {
    let layers = layers();
    for case in [
        "entry-types",
        "gnu-long-names",
        "no-end-marker",
        "one-zero-block-then-garbage",
        "pax",
        "ustar-prefix",
        "v7-headers",
    ] {
        let (_, stream) = layers.iter().find(|(name, _)| name == case).expect(case);
        assert_eq!(
            toc_of(stream).listing,
            expected(&format!("{case}.txt")),
            "{case}"
        );
    }
}
