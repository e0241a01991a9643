//! Gzip headers: every optional field, alone and together.

use crate::{
    judges::{flate2, zlib},
    ours::inflate_bytes,
    streams::{HEADER, plain_member},
};

const CHECKSUM: u8 = 2;
const EXTRA: u8 = 4;
const NAME: u8 = 8;
const COMMENT: u8 = 16;

fn with_fields(flags: u8, plain: &[u8]) -> Vec<u8> {
    let mut stream = HEADER.to_vec();
    stream[3] = flags;
    let mut field = |flag, bytes: &[u8]| {
        if flags & flag != 0 {
            stream.extend(bytes);
        }
    };
    field(EXTRA, &[6, 0, b'B', b'C', 2, 0, 0x1f, 0x8b]);
    field(NAME, b"layer.tar\0");
    field(COMMENT, b"a comment\0");
    if flags & CHECKSUM != 0 {
        let checksum = crc32fast::hash(&stream).to_le_bytes();
        stream.extend(&checksum[..2]);
    }
    stream.extend(&plain_member(plain, 6)[HEADER.len()..]);
    stream
}

pub(crate) fn with_all_fields(plain: &[u8]) -> Vec<u8> {
    with_fields(EXTRA | NAME | COMMENT | CHECKSUM, plain)
}

#[test]
fn every_combination_of_fields() {
    // Bit 0 says "text" and changes nothing.
    for flags in 0..32 {
        let stream = with_fields(flags, b"plain");
        let (seen, verdict) = inflate_bytes(&stream);
        assert_eq!(verdict, Ok(5), "flags {flags:#x}");
        assert_eq!(zlib(&stream).as_deref(), Some(&b"plain"[..]));
        assert_eq!(flate2(&stream), b"plain");
        let header = stream.len() - (plain_member(b"plain", 6).len() - HEADER.len());
        assert_eq!(seen.boundaries[0].compressed_at.0, header as u64);
    }
}

#[test]
fn empty_and_long_fields() {
    for extra in [0, 1, 65535] {
        let mut stream = HEADER.to_vec();
        stream[3] = EXTRA | NAME | COMMENT;
        stream.extend((extra as u16).to_le_bytes());
        stream.extend(vec![8; extra]);
        stream.extend(vec![b'n'; extra]);
        stream.extend([0, 0]);
        stream.extend(&plain_member(b"plain", 6)[HEADER.len()..]);
        assert_eq!(inflate_bytes(&stream).1, Ok(5));
        assert_eq!(zlib(&stream).as_deref(), Some(&b"plain"[..]));
    }
}
