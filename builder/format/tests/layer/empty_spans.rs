//! Blocks and members without uncompressed bytes, wherever they stand: every span but the last has compressed and uncompressed bytes, as the SOCI
//! snapshotter asks, and the spans together are the layer.

use std::convert::Infallible;

use soci_format::{
    inflate::{Boundary, Gunzip, Sink, checkpoint::Zinfo},
    ztoc::Ztoc,
};
use soci_testing::image::tar_of;

use crate::{
    passes::{gzip, plain_of, sha256, ztoc_of},
    spans::checkpoints,
};

/// A raw deflate stream, written block by block.
#[derive(Default)]
struct Blocks {
    bytes: Vec<u8>,
    /// Bits of the last byte that are used; 0 for all of them.
    bits: u8,
}

impl Blocks {
    fn bit(mut self, bit: bool) -> Self {
        if self.bits == 0 {
            self.bytes.push(0);
        }
        *self.bytes.last_mut().unwrap() |= u8::from(bit) << self.bits;
        self.bits = (self.bits + 1) % 8;
        self
    }

    /// The lowest `count` bits of `value`, the lowest first.
    fn bits(self, value: u32, count: u32) -> Self {
        (0..count).fold(self, |this, at| this.bit(value >> at & 1 == 1))
    }

    /// A block that is only stored: it starts and ends at a byte.
    fn stored(self, plain: &[u8], last: bool) -> Self {
        let length = u16::try_from(plain.len()).unwrap();
        let mut this = self.bit(last).bits(0, 2);
        this.bits = 0;
        this.bytes.extend(length.to_le_bytes());
        this.bytes.extend((!length).to_le_bytes());
        this.bytes.extend(plain);
        this
    }

    /// A block of fixed codes, here for bytes below 144: it ends anywhere in a byte.
    fn fixed(self, plain: &[u8], last: bool) -> Self {
        let code = |this: Self, byte: &u8| {
            assert!(*byte < 144);
            // Codes begin with their highest bit.
            let code = u32::from(*byte + 0x30);
            (0..8)
                .rev()
                .fold(this, |this, at| this.bit(code >> at & 1 == 1))
        };
        let this = self.bit(last).bits(1, 2);
        plain.iter().fold(this, code).bits(0, 7)
    }

    /// The gzip member of these blocks, which hold `plain`.
    fn member(self, plain: &[u8]) -> Vec<u8> {
        let mut crc = flate2::Crc::new();
        crc.update(plain);
        let mut member = b"\x1f\x8b\x08\0\0\0\0\0\0\xff".to_vec();
        member.extend(self.bytes);
        member.extend(crc.sum().to_le_bytes());
        member.extend(crc.amount().to_le_bytes());
        member
    }
}

/// The archive in stored blocks of 1,000 bytes, with `between` before each of them.
fn stored_blocks(plain: &[u8], between: impl Fn(Blocks) -> Blocks) -> Vec<u8> {
    let pieces = plain.chunks(1_000);
    let count = pieces.len();
    let blocks = pieces
        .enumerate()
        .fold(Blocks::default(), |blocks, (at, piece)| {
            between(blocks).stored(piece, at + 1 == count)
        });
    blocks.member(plain)
}

/// An archive of letters, and every way that we know to put nothing into its gzip stream.
fn layers() -> Vec<(&'static str, Vec<u8>)> {
    let plain = tar_of([("letters".to_owned(), b"abcdefgh".repeat(800))]);
    let nothing = gzip(b"", 6);
    let whole = gzip(&plain, 6);
    let empty = |blocks: Blocks| blocks.stored(b"", false);
    let five = |blocks| (0..5).fold(blocks, |blocks, _| empty(blocks));
    let first = |before: fn(Blocks) -> Blocks| {
        let halves = plain.split_at(2_000);
        before(Blocks::default())
            .fixed(halves.0, false)
            .fixed(halves.1, true)
            .member(&plain)
    };
    let flushed = |flush, every| {
        let mut deflate = flate2::Compress::new(flate2::Compression::default(), false);
        let mut bytes = Vec::with_capacity(1 << 20);
        for piece in plain.chunks(every) {
            deflate.compress_vec(piece, &mut bytes, flush).unwrap();
            // Two in a row are two empty blocks, where the first one ended at a byte.
            deflate.compress_vec(b"", &mut bytes, flush).unwrap();
        }
        let end = flate2::FlushCompress::Finish;
        deflate.compress_vec(b"", &mut bytes, end).unwrap();
        Blocks { bytes, bits: 0 }.member(&plain)
    };
    vec![
        (
            "an empty stored block first",
            first(|blocks| blocks.stored(b"", false)),
        ),
        (
            "an empty block of fixed codes first",
            first(|blocks| blocks.fixed(b"", false)),
        ),
        (
            "both kinds, several times",
            first(|blocks| {
                (0..9).fold(blocks, |blocks, _| {
                    blocks
                        .fixed(b"", false)
                        .fixed(b"", false)
                        .stored(b"", false)
                })
            }),
        ),
        ("an empty member first", [&nothing[..], &whole].concat()),
        (
            "many empty members first",
            [&nothing.repeat(50)[..], &whole].concat(),
        ),
        (
            "empty members with empty blocks first",
            [
                five(Blocks::default()).stored(b"", true).member(b""),
                whole.clone(),
            ]
            .concat(),
        ),
        ("an empty member last", [&whole[..], &nothing].concat()),
        (
            "many empty members last",
            [&whole[..], &nothing.repeat(50)].concat(),
        ),
        ("an empty block before each", stored_blocks(&plain, empty)),
        ("five empty blocks before each", stored_blocks(&plain, five)),
        (
            "an empty block of fixed codes before each",
            stored_blocks(&plain, |blocks| blocks.fixed(b"", false)),
        ),
        (
            "flushed every 100 bytes",
            flushed(flate2::FlushCompress::Sync, 100),
        ),
        (
            "flushed whole every 1,000 bytes",
            flushed(flate2::FlushCompress::Full, 1_000),
        ),
        (
            "only empty blocks",
            five(Blocks::default()).fixed(b"", true).member(b""),
        ),
        ("only empty members", nothing.repeat(7)),
    ]
}

/// Keeps the uncompressed bytes.
struct Plain(Vec<u8>);

impl Sink for Plain {
    type Error = Infallible;

    fn compressed(&mut self, _: &[u8]) {}

    fn uncompressed(&mut self, bytes: &[u8]) -> Result<(), Infallible> {
        self.0.extend(bytes);
        Ok(())
    }

    fn boundary(&mut self, _: Boundary, _: &[u8]) {}
}

/// What each span gives, read from its own checkpoint.
fn spans_of(ztoc: &Ztoc, stored: &[u8]) -> Vec<Vec<u8>> {
    let checkpoints = Zinfo::parse(&ztoc.checkpoints).unwrap();
    let ends = checkpoints.iter().skip(1).map(|(next, _)| {
        let last_byte = next.compressed_at.0 as usize;
        (last_byte, next.uncompressed_at.0)
    });
    let ends = ends.chain([(stored.len(), ztoc.plain_size)]);
    let spans = checkpoints.iter().zip(ends);
    spans
        .map(|((start, window), (end, plain_end))| {
            let mut span = &stored[start.first_byte().0 as usize..end];
            let mut plain = Plain(Vec::new());
            // A span ends within a member, which is an error for who does not know that it is one.
            let _ = Gunzip::resume(start, window).run(&mut span, &mut plain);
            plain
                .0
                .truncate((plain_end - start.uncompressed_at.0) as usize);
            plain.0
        })
        .collect()
}

#[test]
fn every_span_but_the_last_has_bytes() {
    for (what, stored) in layers() {
        let plain = plain_of(&stored);
        for span_size in [1, 99, 999, 1_000, 4 << 20] {
            let ztoc = ztoc_of(&stored, span_size);
            let what = format!("{what}, span size {span_size}");
            assert_eq!(ztoc.empty_span(), None, "{what}");
            let spans = spans_of(&ztoc, &stored);
            assert_eq!(ztoc.max_span_id as usize + 1, spans.len(), "{what}");
            let (_, others) = spans.split_last().unwrap();
            assert!(others.iter().all(|span| !span.is_empty()), "{what}");
            let archive = &plain[..ztoc.plain_size as usize];
            assert!(spans.concat() == archive, "{what}");
            let checkpoints = checkpoints(&ztoc.checkpoints);
            for pair in checkpoints.windows(2) {
                let start = |one: (usize, u8, usize, &[u8])| one.0 - usize::from(one.1 > 0);
                assert!(start(pair[0]) < start(pair[1]), "{what}: {pair:?}");
                assert!(pair[0].2 < pair[1].2, "{what}");
            }
            // The first span starts where the first block with uncompressed bytes does, as late as can be.
            let (first, ..) = checkpoints[0];
            assert!(
                ztoc.span_digests[0].to_string()
                    == sha256(
                        &stored[first - usize::from(checkpoints[0].1 > 0)
                            ..checkpoints.get(1).map_or(stored.len(), |next| next.0)]
                    ),
                "{what}"
            );
        }
    }
}

#[test]
fn the_last_of_several_first_checkpoints_stays() {
    let plain = tar_of([("a".to_owned(), vec![7; 3_000])]);
    let blocks = Blocks::default().stored(b"", false).fixed(b"", false);
    // 10 bytes of header, 5 of an empty block, then 10 bits.
    let stored = blocks.fixed(&plain, true).member(&plain);
    let ztoc = ztoc_of(&stored, 1 << 20);
    let zinfo = Zinfo::parse(&ztoc.checkpoints).unwrap();
    let places: Vec<_> = zinfo
        .iter()
        .map(|(at, _)| (at.compressed_at.0, at.bits))
        .collect();
    assert_eq!(places, [(17, 6)]);
    assert_eq!(ztoc.span_digests[0].to_string(), sha256(&stored[16..]));
}
