//! Every golden layer: the ztoc that we write is what the reference implementation wrote, byte for byte.

use std::fs;

use soci_format::{
    digest::Digest,
    oci::LayerEncoding::{Gzip, Uncompressed},
    ztoc::Ztoc,
};
use soci_testing::golden;

use crate::passes::checked_pass;

#[test]
fn layers() {
    let mut cases = 0;
    for layer in golden::layers() {
        let name = &layer.name;
        let encoding = if layer.is_gzip() { Gzip } else { Uncompressed };
        for (span_size, expected) in layer.expected().as_object().unwrap() {
            let pass = checked_pass(&layer.stored, encoding.clone(), span_size.parse().unwrap());
            assert_eq!(pass.digest, Digest::of(&layer.stored));
            let ztoc = pass.ztoc.unwrap();
            let size_max = ztoc.size_max();
            let bytes = ztoc.clone().into_bytes();
            assert!(bytes.len() <= size_max, "{name}");
            assert_eq!(Ztoc::parse(&bytes).unwrap(), ztoc, "{name}");
            if span_size == "65536" {
                assert!(bytes == fs::read(layer.ztoc()).unwrap(), "{name}");
            }
            assert_eq!(expected["size"], bytes.len(), "{name} {span_size}");
            let digest = Digest::of(&bytes).to_string();
            assert_eq!(expected["digest"], digest, "{name} {span_size}");
            cases += 1;
        }
    }
    assert_eq!(cases, 56);
}
