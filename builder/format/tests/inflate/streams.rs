//! The streams that the tests read: the golden layers, and made ones of every kind of block, header and member.

use std::sync::LazyLock;

use soci_testing::golden;

use zlib_rs::{Deflate, DeflateConfig, DeflateFlush, Status, Strategy};

/// Every golden gzip layer, by name.
pub(crate) static GOLDEN: LazyLock<Vec<(String, Vec<u8>)>> = LazyLock::new(|| {
    let layers = golden::layers().into_iter();
    let streams: Vec<_> = layers
        .filter(golden::Layer::is_gzip)
        .map(|layer| (layer.name, layer.stored))
        .collect();
    assert_eq!(streams.len(), 25);
    streams
});

pub(crate) const STRATEGIES: [Strategy; 5] = [
    Strategy::Default,
    Strategy::Filtered,
    Strategy::HuffmanOnly,
    Strategy::Rle,
    Strategy::Fixed,
];

/// A gzip member from zlib-rs, flushed (an empty stored block) after every `flush_every` bytes.
pub(crate) fn member(plain: &[u8], level: i32, strategy: Strategy, flush_every: usize) -> Vec<u8> {
    const GZIP: i32 = 16;
    let mut deflate = Deflate::new_with_config(DeflateConfig {
        level,
        strategy,
        window_bits: GZIP + 15,
        ..DeflateConfig::default()
    });
    let mut stream = vec![0; 2 * plain.len() + 1000 + 20 * (plain.len() / flush_every)];
    for piece in plain.chunks(flush_every) {
        let (from, to) = (deflate.total_in(), deflate.total_out());
        let status = deflate.compress(piece, &mut stream[to as usize..], DeflateFlush::SyncFlush);
        assert_eq!(status, Ok(Status::Ok));
        assert_eq!(deflate.total_in() - from, piece.len() as u64);
    }
    let to = deflate.total_out() as usize;
    let status = deflate.compress(&[], &mut stream[to..], DeflateFlush::Finish);
    assert_eq!(status, Ok(Status::StreamEnd));
    stream.truncate(deflate.total_out() as usize);
    stream
}

/// A member without flushes.
pub(crate) fn plain_member(plain: &[u8], level: i32) -> Vec<u8> {
    member(plain, level, Strategy::Default, usize::MAX)
}

/// The simplest gzip header.
pub(crate) const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// A member of these deflate bytes, which hold `plain`.
pub(crate) fn wrapped(deflate: &[u8], plain: &[u8]) -> Vec<u8> {
    let checksum = crc32fast::hash(plain).to_le_bytes();
    let length = (plain.len() as u32).to_le_bytes();
    [&HEADER[..], deflate, &checksum, &length].concat()
}

/// Text-like, repeated, random and sparse stretches in turn: every kind of code and distance.
pub(crate) fn mixed(seed: u64, length: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut plain = Vec::with_capacity(length + 4096);
    while plain.len() < length {
        let stretch = random.usize(1..4096);
        match random.u8(0..5) {
            0 => plain.extend((0..stretch).map(|_| random.u8(..))),
            1 => plain.extend((0..stretch).map(|_| b"etaoin shrdlu\n"[random.usize(0..14)])),
            2 => plain.extend(std::iter::repeat_n(random.u8(..), stretch)),
            3 => plain.extend((0..stretch).map(|_| random.u8(..) & random.u8(..) & random.u8(..))),
            _ if plain.is_empty() => {}
            _ => {
                let from = plain.len() - random.usize(1..=plain.len().min(32 * 1024));
                let end = plain.len().min(from + stretch);
                plain.extend_from_within(from..end);
            }
        }
    }
    plain.truncate(length);
    plain
}

/// Short streams of every kind, for tests that try each byte or bit.
pub(crate) static SMALL: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let text = b"a stream, a small stream, a very small stream of small pieces";
    let mut streams = vec![
        plain_member(b"", 6),
        plain_member(text, 0),
        plain_member(text, 9),
        member(text, 9, Strategy::Fixed, 20),
        member(&mixed(1, 300), 9, Strategy::HuffmanOnly, 100),
        [
            plain_member(b"", 6),
            plain_member(text, 1),
            plain_member(b"end", 0),
        ]
        .concat(),
        crate::headers::with_all_fields(text),
    ];
    streams.push(plain_member(&mixed(2, 700), 6));
    streams
});
