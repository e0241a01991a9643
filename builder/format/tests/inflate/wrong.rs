//! One wrong stream per rule: the fault has the right name and the right place.

use soci_format::inflate::Fault;

use crate::{
    bits::{BitWriter, LENGTH_ORDER},
    judges::zlib,
    ours::inflate_bytes,
    streams::{HEADER, plain_member, wrapped},
};

fn fault_of(stream: &[u8]) -> (u64, Fault) {
    assert!(zlib(stream).is_none(), "zlib refuses it too");
    inflate_bytes(stream).1.expect_err("it is wrong")
}

/// A fixed-Huffman block, the last one: a literal, then a match of three bytes at this distance code.
fn copies_from(distance_code: usize) -> Vec<u8> {
    let bits = BitWriter::default().put(1, 1).put(1, 2);
    bits.code(0x30 + usize::from(b'a'), 8)
        .code(1, 7)
        .code(distance_code, 5)
        .code(0, 7)
        .bytes()
}

#[test]
fn garbage_behind_the_last_member() {
    let member = plain_member(b"plain", 6);
    for garbage in [
        &b"\0"[..],
        &[0; 600],
        b"x",
        b"\x1f",
        b"\x1f\x8c",
        b"\x1f\x8b\x07",
    ] {
        let stream = [&member[..], garbage].concat();
        let (at, fault) = fault_of(&stream);
        let (good, expected) = match garbage {
            b"\x1f" => (1, Fault::Truncated),
            b"\x1f\x8c" => (1, Fault::NotGzip),
            b"\x1f\x8b\x07" => (2, Fault::Method),
            _ => (0, Fault::NotGzip),
        };
        assert_eq!((at, fault), ((member.len() + good) as u64, expected));
    }
}

#[test]
fn matches_that_reach_before_their_member() {
    let valid = wrapped(&copies_from(0), b"aaaa");
    assert_eq!(inflate_bytes(&valid).1, Ok(4));
    let reaching = wrapped(&copies_from(1), b"aaaa");
    assert_eq!(fault_of(&reaching).1, Fault::TooFarBack);
    // What another member wrote is as far away.
    let after_another = [plain_member(b"enough to reach into", 6), reaching].concat();
    assert_eq!(fault_of(&after_another).1, Fault::TooFarBack);
    // A megabyte before it, so that the member starts anywhere in the buffer.
    let after_much = [
        plain_member(&[7; 1_000_003], 6),
        wrapped(&copies_from(1), b"aaaa"),
    ]
    .concat();
    assert_eq!(fault_of(&after_much).1, Fault::TooFarBack);
}

#[test]
fn codes_that_do_not_exist() {
    // Distance codes 30 and 31 of the fixed code, and its length codes 286 and 287.
    for code in [30, 31] {
        assert_eq!(fault_of(&wrapped(&copies_from(code), b"")).1, Fault::NoCode);
    }
    for code in [0xc6, 0xc7] {
        let block = BitWriter::default()
            .put(1, 1)
            .put(1, 2)
            .code(code, 8)
            .put(0, 40);
        assert_eq!(fault_of(&wrapped(&block.bytes(), b"")).1, Fault::NoCode);
    }
    let reserved_block = BitWriter::default().put(7, 3).put(0, 40);
    assert_eq!(
        fault_of(&wrapped(&reserved_block.bytes(), b"")).1,
        Fault::BlockType
    );
}

/// The start of a dynamic block: how many codes, and the lengths of the length codes.
fn dynamic(literals: usize, distances: usize, length_codes: &[(usize, usize)]) -> BitWriter {
    let bits = BitWriter::default().put(1, 1).put(2, 2);
    let bits = bits.put(literals - 257, 5).put(distances - 1, 5).put(15, 4);
    LENGTH_ORDER.iter().fold(bits, |bits, symbol| {
        let length = length_codes.iter().find(|(of, _)| of == symbol);
        bits.put(length.map_or(0, |&(_, length)| length), 3)
    })
}

/// A block whose length codes are 1 (code 0) and 18 (code 10) and 2 (code 11).
fn with_lengths(write: impl Fn(BitWriter) -> BitWriter) -> Vec<u8> {
    let bits = dynamic(257, 1, &[(1, 1), (2, 2), (18, 2)]);
    let block = write(bits).put(0, 40).bytes();
    wrapped(&block, b"")
}

fn zeros(bits: BitWriter, count: usize) -> BitWriter {
    bits.code(3, 2).put(count - 11, 7)
}

#[test]
fn codes_that_fit_badly() {
    // Code 18 is the higher symbol of two bits, so it is 11 and length 2 is 10.
    let two = |bits: BitWriter| bits.code(2, 2);
    let one = |bits: BitWriter| bits.code(0, 1);

    // Three codes of one bit: over-subscribed. One of two bits: incomplete.
    let stream = with_lengths(|bits| one(one(zeros(zeros(one(one(bits)), 138), 116))));
    assert_eq!(fault_of(&stream).1, Fault::CodeLengths);
    let stream = with_lengths(|bits| one(two(zeros(zeros(bits, 138), 118))));
    assert_eq!(fault_of(&stream).1, Fault::CodeLengths);
    // A single code of one bit is allowed, and so is a single distance.
    let single = dynamic(257, 1, &[(1, 1), (2, 2), (18, 2)]);
    let single = one(one(zeros(zeros(single, 138), 118))).code(0, 1);
    let single = wrapped(&single.bytes(), b"");
    assert_eq!(zlib(&single), Some(vec![]));
    assert_eq!(inflate_bytes(&single).1, Ok(0));
    // A single distance of two bits is not.
    let stream = with_lengths(|bits| two(one(zeros(zeros(bits, 138), 118))));
    assert_eq!(fault_of(&stream).1, Fault::CodeLengths);
    // No code for the end of the block.
    let stream = with_lengths(|bits| one(zeros(zeros(one(one(bits)), 138), 117)));
    assert_eq!(fault_of(&stream).1, Fault::NoEndOfBlock);
    // The length codes themselves: none, one, over-subscribed.
    for lengths in [&[][..], &[(1, 1)], &[(1, 1), (2, 1), (18, 1)]] {
        let block = dynamic(257, 1, lengths).put(0, 400).bytes();
        assert_eq!(fault_of(&wrapped(&block, b"")).1, Fault::CodeLengths);
    }
}

#[test]
fn codes_that_are_too_many() {
    for (literals, distances) in [(287, 1), (288, 30), (257, 31), (286, 32)] {
        let block = dynamic(literals, distances, &[(1, 1), (18, 1)]).put(0, 400);
        assert_eq!(
            fault_of(&wrapped(&block.bytes(), b"")).1,
            Fault::TooManyCodes
        );
    }
    // More zeros than there are codes.
    let stream = with_lengths(|bits| zeros(zeros(bits, 138), 138));
    assert_eq!(fault_of(&stream).1, Fault::RepeatOfNothing);
    // A repetition of nothing.
    let block = dynamic(257, 1, &[(16, 1), (1, 1)]).code(1, 1).put(0, 400);
    assert_eq!(
        fault_of(&wrapped(&block.bytes(), b"")).1,
        Fault::RepeatOfNothing
    );
}

#[test]
fn trailers_and_stored_lengths() {
    let good = plain_member(b"plain", 0);
    let flipped = |from_end: usize| {
        let mut stream = good.clone();
        let at = stream.len() - from_end;
        stream[at] ^= 1;
        fault_of(&stream)
    };
    assert_eq!(flipped(8).1, Fault::Checksum);
    assert_eq!(flipped(1), (good.len() as u64 - 1, Fault::Length));
    let mut stream = good.clone();
    stream[HEADER.len() + 3] ^= 1;
    assert_eq!(fault_of(&stream).1, Fault::StoredLength);
}

#[test]
fn headers() {
    for (at, byte, expected) in [
        (0, 0x1e, Fault::NotGzip),
        (1, 0x8c, Fault::NotGzip),
        (2, 7, Fault::Method),
        (3, 0x20, Fault::HeaderFlags),
        (3, 0x80, Fault::HeaderFlags),
    ] {
        let mut stream = plain_member(b"plain", 6);
        stream[at] = byte;
        assert_eq!(fault_of(&stream), (at as u64, expected));
    }
    let mut stream = crate::headers::with_all_fields(b"plain");
    let name = stream
        .windows(5)
        .position(|bytes| bytes == b"layer")
        .unwrap();
    stream[name] ^= 1;
    assert_eq!(fault_of(&stream).1, Fault::HeaderChecksum);
    assert_eq!(fault_of(b""), (0, Fault::Truncated));
}
