//! The same verdict as zlib, and the same bytes, on valid and on broken streams.

use zlib_rs::Strategy;

use crate::{
    judges::{flate2, zlib},
    ours::inflate_bytes,
    streams::{GOLDEN, SMALL, STRATEGIES, member, mixed, plain_member},
};

/// Both judges and we agree on a valid stream.
fn agree_on_valid(stream: &[u8], plain: &[u8], what: &str) {
    let (seen, verdict) = inflate_bytes(stream);
    assert_eq!(verdict, Ok(plain.len() as u64), "{what}");
    assert!(seen.plain == plain, "{what}: other bytes");
    assert!(zlib(stream).as_deref() == Some(plain), "{what}: zlib");
}

/// Where zlib finds a stream valid, so do we, and with the same bytes; else neither does.
fn agree(stream: &[u8], what: &str) {
    let (seen, verdict) = inflate_bytes(stream);
    match (zlib(stream), verdict) {
        (Some(theirs), Ok(_)) => assert!(theirs == seen.plain, "{what}: other bytes"),
        (None, Err(_)) => {}
        (theirs, ours) => panic!(
            "{what}: {ours:?}, but zlib says valid: {}",
            theirs.is_some()
        ),
    }
}

#[test]
fn golden_layers() {
    for (name, stream) in GOLDEN.iter() {
        agree_on_valid(stream, &flate2(stream), name);
    }
}

#[test]
fn every_level_and_strategy() {
    for length in [0, 1, 2, 255, 5_000, 400_000] {
        let plain = mixed(length as u64, length);
        for level in 0..=9 {
            for strategy in STRATEGIES {
                for flush_every in [usize::MAX, 1 + length / 3] {
                    let stream = member(&plain, level, strategy, flush_every);
                    let what = format!("{length} bytes, level {level}, {strategy:?}");
                    agree_on_valid(&stream, &plain, &what);
                }
            }
        }
    }
}

#[test]
fn members_of_all_sizes_in_a_row() {
    let mut random = fastrand::Rng::with_seed(7);
    let (mut stream, mut plain) = (Vec::new(), Vec::new());
    for seed in 0..200 {
        let length = if seed % 3 == 0 {
            0
        } else {
            random.usize(..9_000)
        };
        let piece = mixed(seed, length);
        stream.extend(plain_member(&piece, random.i32(0..=9)));
        plain.extend(piece);
        if seed % 50 == 0 {
            agree_on_valid(&stream, &plain, "members so far");
        }
    }
    agree_on_valid(&stream, &plain, "200 members");
}

#[test]
fn every_truncation_is_an_error() {
    for stream in SMALL.iter() {
        for end in 0..stream.len() {
            let (_, verdict) = inflate_bytes(&stream[..end]);
            // A cut between two members leaves a valid stream.
            if zlib(&stream[..end]).is_none() {
                let (at, _) = verdict.expect_err("a truncated stream is no success");
                assert!(at <= end as u64);
            } else {
                assert!(verdict.is_ok());
                assert!(stream[end..].starts_with(&[0x1f, 0x8b]));
            }
        }
    }
}

#[test]
fn every_bit_flip() {
    for stream in SMALL.iter() {
        for bit in 0..8 * stream.len() {
            let mut flipped = stream.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            agree(&flipped, &format!("bit {bit} of {stream:02x?}"));
        }
    }
}

/// Overwrites, inserts, removes and copies bytes, and cuts the end off.
fn mutated(random: &mut fastrand::Rng, stream: &[u8]) -> Vec<u8> {
    let mut stream = stream.to_vec();
    for _ in 0..random.usize(1..4) {
        let at = random.usize(..stream.len());
        match random.u8(0..6) {
            0 => stream[at] = random.u8(..),
            1 => stream[at] ^= 1 << random.u8(0..8),
            2 => stream.insert(at, random.u8(..)),
            3 if stream.len() > 1 => drop(stream.remove(at)),
            4 => stream.truncate(at + 1),
            _ => {
                let end = stream.len().min(at + random.usize(1..40));
                let piece = stream[at..end].to_vec();
                let to = random.usize(..=stream.len());
                stream.splice(to..to, piece);
            }
        }
    }
    stream
}

/// `MUTATED_STREAMS=1000000` tries so many; each is a mutation of the same few streams.
#[test]
fn thousands_of_mutations() {
    let rounds = std::env::var("MUTATED_STREAMS").map_or(20_000, |rounds| rounds.parse().unwrap());
    let mut random = fastrand::Rng::with_seed(20_260_801);
    let larger = [mixed(3, 3_000), mixed(4, 40_000)];
    let larger = larger.iter().flat_map(|plain| {
        STRATEGIES.map(|strategy| member(plain, 6, strategy, 1 + plain.len() / 2))
    });
    let streams: Vec<_> = SMALL.iter().cloned().chain(larger).collect();
    for round in 0..rounds {
        let stream = mutated(&mut random, &streams[round % streams.len()]);
        agree(&stream, &format!("round {round}"));
    }
}

/// Random bytes behind a block header: nearly always wrong, and every way of being wrong.
#[test]
fn random_blocks() {
    let mut random = fastrand::Rng::with_seed(5);
    let mut stream = member(&[], 6, Strategy::Default, 1)[..10].to_vec();
    for round in 0..40_000 {
        stream.truncate(10);
        let length = random.usize(1..120);
        stream.extend((0..length).map(|_| random.u8(..)));
        stream[10] = stream[10] & !6 | [2, 4, 4, 0][round % 4];
        agree(&stream, &format!("{stream:02x?}"));
    }
}
