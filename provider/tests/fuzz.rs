//! The fuzz targets' checks, on a few thousand inputs from a fixed seed: events and results that are right, changed a little.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../fuzz/checks.rs"]
mod checks;

use std::{fs, path::Path};

/// Runs `check` on each file of `folders`, and then on `rounds` variations of them.
fn vary(check: impl Fn(&[u8]), rounds: u64, words: &[&str], folders: &[&str]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let entries = folders
        .iter()
        .flat_map(|folder| fs::read_dir(root.join(folder)).into_iter().flatten());
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let seeds: Vec<_> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
    assert!(!seeds.is_empty());
    seeds.iter().for_each(|seed| check(seed));
    let mut random = Numbers(1);
    for _ in 0..rounds {
        let mut input = seeds[random.below(seeds.len())].clone();
        for _ in 0..=random.below(3) {
            let at = random.below(input.len() + 1);
            let end = input.len().min(at + random.below(9));
            match random.below(3) {
                0 => drop(input.drain(at..end)),
                1 => {
                    let word = words[random.below(words.len())];
                    drop(input.splice(at..end, word.bytes()));
                }
                _ => {
                    let piece = input[at..end].to_vec();
                    drop(input.splice(at..at, piece));
                }
            }
        }
        check(&input);
    }
}

/// The numbers of Knuth's MMIX generator: any would do, as long as they are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
}

const WORDS: [&str; 10] = [
    "null", "{}", "[]", "\"\"", "-1", "1e99", "true", "\\u0000", "sha256:", "Delete",
];

#[test]
fn event() {
    vary(
        checks::event,
        5_000,
        &WORDS,
        &["tests/events", "tests/data/fuzz/event"],
    );
}

#[test]
fn push() {
    vary(
        checks::push,
        5_000,
        &WORDS,
        &[
            "tests/on_push_events",
            "tests/start_times_events",
            "tests/data/fuzz/push",
        ],
    );
}

#[test]
fn result() {
    vary(
        checks::result,
        5_000,
        &WORDS,
        &["fuzz/seeds/result", "tests/data/fuzz/result"],
    );
}
