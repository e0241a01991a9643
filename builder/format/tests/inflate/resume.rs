//! Boundaries are where blocks end, all of them; and from every checkpoint the rest of the member can be decoded
//! by another inflater, from nothing but the compressed bytes and the checkpoint, and by our own to the end of the stream.

use soci_format::inflate::{
    Boundary, CompressedAt, UncompressedAt,
    checkpoint::{Checkpoints, Zinfo},
};

use crate::{
    bits::{BitReader, block},
    ours::{Seen, inflate_bytes, resume, window_of},
    streams::{GOLDEN, STRATEGIES, member, mixed, plain_member},
};

/// Boundaries as the bit reader finds them, and the uncompressed bytes.
fn by_bits(stream: &[u8]) -> (Vec<Boundary>, Vec<u8>) {
    let (mut boundaries, mut plain) = (Vec::new(), Vec::new());
    let mut bits = BitReader {
        bytes: stream,
        at: 0,
    };
    while bits.at / 8 < stream.len() {
        let start = bits.at / 8;
        bits.at += 8 * header_length(&stream[start..]);
        loop {
            boundaries.push(Boundary {
                compressed_at: CompressedAt(bits.at.div_ceil(8) as u64),
                bits: (bits.at.next_multiple_of(8) - bits.at) as u8,
                uncompressed_at: UncompressedAt(plain.len() as u64),
            });
            if block(&mut bits, &mut plain) {
                break;
            }
        }
        bits.at = bits.at.next_multiple_of(8) + 8 * 8;
    }
    (boundaries, plain)
}

/// Length of a gzip header.
fn header_length(header: &[u8]) -> usize {
    let flags = header[3];
    let mut at = 10;
    if flags & 4 != 0 {
        at += 2 + usize::from(u16::from_le_bytes([header[10], header[11]]));
    }
    for flag in [8, 16] {
        if flags & flag != 0 {
            at += 1 + header[at..].iter().position(|&byte| byte == 0).unwrap();
        }
    }
    if flags & 2 != 0 { at + 2 } else { at }
}

fn check_boundaries(stream: &[u8], what: &str) -> Seen {
    let (seen, verdict) = inflate_bytes(stream);
    assert!(verdict.is_ok(), "{what}: {verdict:?}");
    let (boundaries, plain) = by_bits(stream);
    assert!(plain == seen.plain, "{what}: other bytes");
    assert_eq!(seen.boundaries, boundaries, "{what}");
    seen
}

/// Decodes on from a checkpoint to the end of its member, knowing nothing but the window and the bytes behind it.
fn resumed(stream: &[u8], from: Boundary, window: &[u8]) -> Vec<u8> {
    let mut plain = window.to_vec();
    let mut bits = BitReader {
        bytes: stream,
        at: 8 * from.compressed_at.0 as usize - usize::from(from.bits),
    };
    while !block(&mut bits, &mut plain) {}
    plain.split_off(window.len())
}

/// Every checkpoint leads on, to bytes that are the same and end where the member does.
fn check_checkpoints(stream: &[u8], seen: &Seen, span_size: u64, what: &str) -> usize {
    let mut checkpoints = Checkpoints::new(span_size);
    for &boundary in &seen.boundaries {
        let before = &seen.plain[..boundary.uncompressed_at.0 as usize];
        checkpoints.offer(boundary, &window_of(before));
    }
    let zinfo = checkpoints.finish();
    let zinfo = Zinfo::parse(&zinfo).unwrap();
    assert_eq!(zinfo.span_size, span_size);
    for (boundary, window) in zinfo.iter() {
        let rest = resumed(stream, boundary, window);
        let wanted = &seen.plain[boundary.uncompressed_at.0 as usize..];
        assert!(wanted.starts_with(&rest), "{what} from {boundary:?}");
        let ours = resume(seen, boundary, window);
        assert!(ours.0 == *seen, "{what}: our own from {boundary:?}");
        assert_eq!(ours.1, Ok(seen.plain.len() as u64), "{what}");
        let is_last_member = !seen
            .boundaries
            .iter()
            .any(|other| other.uncompressed_at.0 > boundary.uncompressed_at.0 + rest.len() as u64);
        assert!(
            !is_last_member || rest.len() == wanted.len(),
            "{what}: it ends too early"
        );
    }
    zinfo.iter().len()
}

#[test]
fn golden_layers() {
    let mut checkpoints = 0;
    for (name, stream) in GOLDEN.iter() {
        let seen = check_boundaries(stream, name);
        checkpoints += check_checkpoints(stream, &seen, 65_536, name);
    }
    assert!(checkpoints > 60, "{checkpoints}");
}

#[test]
fn made_streams() {
    let plain = mixed(9, 60_000);
    for strategy in STRATEGIES {
        for level in [0, 1, 9] {
            let first = member(&plain, level, strategy, 7_001);
            let stream = [first, plain_member(b"", 6), plain_member(&plain, level)].concat();
            let what = format!("level {level}, {strategy:?}");
            let seen = check_boundaries(&stream, &what);
            check_checkpoints(&stream, &seen, 20_000, &what);
        }
    }
}
