//! The layers under `tests/golden`, against what stands in the reference implementation's ztocs for them, listed
//! in `tests/data/toc`: in `all.txt` members, archive size and digest of the listing; and some whole listings.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use soci_format::digest::Digest;

use crate::toc::{Toc, toc_of};

fn tests_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

fn expected(file: &str) -> String {
    let path = tests_dir().join("data/toc").join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every case with its plain tar stream.
pub(crate) fn layers() -> Vec<(String, Vec<u8>)> {
    let dir = tests_dir().join("golden/layers");
    let mut layers: Vec<_> = fs::read_dir(dir)
        .expect("golden layers")
        .map(|case| {
            let case = case.expect("a case").path();
            let name = case.file_name().expect("a name").to_string_lossy();
            (name.into_owned(), plain(&case))
        })
        .collect();
    layers.sort();
    layers
}

fn plain(case: &Path) -> Vec<u8> {
    if let Ok(plain) = fs::read(case.join("layer.tar")) {
        return plain;
    }
    let file = fs::File::open(case.join("layer.tar.gz")).expect("a layer");
    let mut plain = Vec::new();
    flate2::read::MultiGzDecoder::new(file)
        .read_to_end(&mut plain)
        .expect("valid gzip");
    plain
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
