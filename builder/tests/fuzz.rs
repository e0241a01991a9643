//! The fuzz targets' checks, on a few thousand inputs from a fixed seed: inputs that are right, changed a little.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../fuzz/checks.rs"]
mod checks;

use std::{fs, path::Path};

/// Runs `check` on each seed, and then on `rounds` variations.
fn vary(check: impl Fn(&[u8]), rounds: usize, dictionary: &[&[u8]], seeds: &[Vec<u8>]) {
    let mut random = fastrand::Rng::with_seed(1);
    assert!(!seeds.is_empty());
    seeds.iter().for_each(|seed| check(seed));
    for round in 0..rounds {
        let mut input = seeds[round % seeds.len()].clone();
        for _ in 0..random.usize(1..5) {
            let at = random.usize(..=input.len());
            let end = input.len().min(at + random.usize(..9));
            match random.u8(..4) {
                0 => input[at..end].fill_with(|| random.u8(..)),
                1 => drop(input.drain(at..end)),
                2 => {
                    let word = dictionary[random.usize(..dictionary.len())];
                    input.splice(at..end, word.iter().copied());
                }
                _ => {
                    let piece = input[at..end].to_vec();
                    input.splice(at..at, piece);
                }
            }
        }
        check(&input);
    }
}

/// These files of all golden cases of a kind, as far as they are short.
fn golden(kind: &str, file: &str) -> Vec<Vec<u8>> {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(kind);
    let mut paths: Vec<_> = fs::read_dir(cases)
        .unwrap()
        .map(|case| case.unwrap().path().join(file))
        .filter(|path| path.metadata().is_ok_and(|found| found.len() < 100_000))
        .collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

#[test]
fn inflate() {
    let words = [&[0x1f, 0x8b, 8][..], &[0, 0, 0, 0xff, 0xff], &[3, 0]];
    vary(
        checks::inflate,
        3_000,
        &words,
        &golden("layers", "layer.tar.gz"),
    );
}

#[test]
fn tar() {
    let words = [
        &b"ustar\x0000"[..],
        b"ustar  \0",
        b"30 path=",
        b"GNU.sparse.",
        &[0; 512],
    ];
    vary(checks::tar, 3_000, &words, &golden("layers", "layer.tar"));
}

#[test]
fn ztoc() {
    let words = [&[0; 4][..], &[255; 4], &[4, 0, 0, 0], b"sha256:"];
    vary(checks::ztoc, 3_000, &words, &golden("layers", "ztoc-65536"));
}

#[test]
fn manifest() {
    let words = [
        &b"null"[..],
        b"[]",
        b"{}",
        b"\"manifests\":",
        b"\"layers\":",
        b"\\u2028",
        b"-1",
    ];
    let mut seeds = golden("images", "layout/index.json");
    for case in golden_manifests() {
        seeds.push(case);
    }
    vary(checks::manifest, 5_000, &words, &seeds);
}

/// Every manifest that the golden images hold.
fn golden_manifests() -> Vec<Vec<u8>> {
    let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/images");
    let mut blobs = Vec::new();
    for case in fs::read_dir(images).unwrap() {
        for blob in fs::read_dir(case.unwrap().path().join("layout/blobs/sha256")).unwrap() {
            let blob = fs::read(blob.unwrap().path()).unwrap();
            if blob.starts_with(b"{") && blob.windows(13).any(|at| at == b"schemaVersion") {
                blobs.push(blob);
            }
        }
    }
    blobs.sort();
    blobs
}

#[test]
fn reference() {
    let words = [
        &b"@sha256:"[..],
        b":",
        b"/",
        b"oci:",
        b"oci-archive:",
        b"localhost",
        b".",
        b"[",
    ];
    let digest = "0".repeat(64);
    let seeds = [
        "registry.example/app:v1".to_owned(),
        format!("localhost:5000/team/app@sha256:{digest}"),
        format!("10.0.0.1:80/app:v1@sha256:{digest}"),
        "oci:layout:v1".to_owned(),
        "oci-archive:/tmp/image.tar".to_owned(),
    ];
    vary(
        checks::reference,
        50_000,
        &words,
        &seeds.map(String::into_bytes),
    );
}
