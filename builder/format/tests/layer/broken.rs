//! Layers that are cut or damaged say where; a source that fails is something else.

use std::io::{self, Read};

use soci_format::{
    layer::{self, Options, Unindexable},
    oci::LayerEncoding::{Gzip, Unknown},
};
use soci_testing::image::tar_of;

use crate::passes::{GOLDEN, chain, checked_pass, gzip, plain_of};

#[test]
fn truncated_gzip_layers_say_where() {
    for (name, stored) in GOLDEN
        .iter()
        .filter(|(_, stored)| stored.starts_with(&[0x1f, 0x8b]))
    {
        let ends = (2..stored.len())
            .step_by(1 + stored.len() / 40)
            .chain([stored.len() - 1]);
        for end in ends {
            let refused = match checked_pass(&stored[..end], Gzip, 65_536).ztoc {
                Err(refused) => refused,
                Ok(_) => panic!("{name} cut at {end} is no layer"),
            };
            let text = chain(&refused);
            assert!(has_byte_offset(&text), "{name} cut at {end}: {text}");
            if let Unindexable::Gzip { at, .. } = refused {
                assert!(at.0 <= end as u64, "{name} cut at {end}: {text}");
            }
        }
    }
}

#[test]
fn corrupted_gzip_layers_say_where() {
    for (name, stored) in GOLDEN
        .iter()
        .filter(|(_, stored)| stored.starts_with(&[0x1f, 0x8b]))
    {
        // Only what later headers say of time and system, and the bits between data and checksum, may change.
        let plain = plain_of(stored);
        let first = stored.len() / 3;
        for at in (first..stored.len()).step_by(1 + stored.len() / 25) {
            let mut broken = stored.clone();
            broken[at] ^= 0x10;
            match checked_pass(&broken, Gzip, 65_536).ztoc {
                Ok(_) => assert!(
                    plain_of(&broken) == plain,
                    "{name} with byte {at} changed is no layer"
                ),
                Err(refused) => {
                    let text = chain(&refused);
                    assert!(has_byte_offset(&text), "{name}, byte {at}: {text}");
                }
            }
        }
    }
}

/// Whether the text says "byte" and a number.
fn has_byte_offset(text: &str) -> bool {
    text.split("byte ")
        .skip(1)
        .any(|after| after.starts_with(|c: char| c.is_ascii_digit()))
}

#[test]
fn broken_archives_in_good_gzip() {
    let mut bad_checksum = tar_of([("a".to_owned(), b"payload".to_vec())]);
    bad_checksum[0] ^= 1;
    let cut_payload = tar_of([("a".to_owned(), vec![1; 5_000])])[..2_000].to_vec();
    for plain in [bad_checksum, cut_payload] {
        for stored in [plain.clone(), gzip(&plain, 6)] {
            let refused = checked_pass(&stored, Unknown, 100).ztoc.unwrap_err();
            assert!(matches!(refused, Unindexable::Tar(_)), "{refused}");
            assert!(has_byte_offset(&chain(&refused)), "{}", chain(&refused));
        }
    }
}

/// Fails after some bytes.
struct Failing<'a>(&'a [u8]);

impl Read for Failing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(io::Error::other("connection reset")),
            n => Ok(n),
        }
    }
}

#[test]
fn a_source_that_fails_is_no_bad_layer() {
    let plain = tar_of([("a".to_owned(), vec![3; 600_000])]);
    let options = Options {
        span_size: 100_000,
        build_tool: String::new(),
        bytes_max: 1 << 30,
    };
    let zipped = gzip(&plain, 0);
    let broken = [&zipped[..300_000], &[0; 300_000]].concat();
    for stored in [&plain, &zipped, &broken] {
        for end in [0, 3, 20, 400_000] {
            let error = layer::pass(
                Failing(&stored[..end]),
                Unknown,
                &options,
                &mut layer::no_spare_core,
            )
            .unwrap_err();
            assert_eq!(error.to_string(), "connection reset");
        }
    }
}
