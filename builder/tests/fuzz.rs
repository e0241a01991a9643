//! The fuzz targets' checks, on a few thousand inputs from a fixed seed: inputs that are right, changed a little.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../fuzz/checks/mod.rs"]
mod checks;

use std::{fs, path::Path};

use soci_testing::golden;

/// Runs `check` on each input that a fuzzer once found, on each seed, and then on `rounds` variations.
fn vary(
    target: &str,
    check: impl Fn(&[u8]),
    rounds: usize,
    dictionary: &[&[u8]],
    seeds: &[Vec<u8>],
) {
    files(&format!("tests/data/fuzz/{target}"))
        .iter()
        .for_each(|found| check(found));
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

/// Every file of a folder; none where there is no such folder.
fn files(folder: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// As far as they are short: long inputs take long.
fn short(mut seeds: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    seeds.retain(|seed| seed.len() < 100_000);
    seeds
}

/// The golden layers, those in gzip or the others.
fn golden_layers(in_gzip: bool) -> Vec<Vec<u8>> {
    let layers = golden::layers().into_iter();
    let layers = layers.filter(|layer| layer.is_gzip() == in_gzip);
    short(layers.map(|layer| layer.stored).collect())
}

#[test]
fn inflate() {
    let words = [&[0x1f, 0x8b, 8][..], &[0, 0, 0, 0xff, 0xff], &[3, 0]];
    vary(
        "inflate",
        checks::inflate,
        3_000,
        &words,
        &golden_layers(true),
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
    vary("tar", checks::tar, 3_000, &words, &golden_layers(false));
}

#[test]
fn archive() {
    let words = [
        &b"ustar\x0000"[..],
        b"ustar  \0",
        b"index.json\0",
        b"./",
        b"12 size=512\n",
        b"GNU.sparse.",
        b"00000000000\0",
        &[0; 512],
    ];
    vary(
        "archive",
        checks::archive,
        5_000,
        &words,
        &files("fuzz/seeds/archive"),
    );
}

#[test]
fn ztoc() {
    let golden = golden::layers().into_iter();
    let golden = golden.map(|layer| fs::read(layer.ztoc()).unwrap());
    let words = [&[0; 4][..], &[255; 4], &[4, 0, 0, 0], b"sha256:"];
    vary(
        "ztoc",
        checks::ztoc,
        3_000,
        &words,
        &short(golden.collect()),
    );
}

#[test]
fn pax() {
    let words = [
        &b"12 path=a/b\n"[..],
        b"11 size=10\n",
        b"mtime=",
        b"linkpath=",
        b"GNU.sparse.",
        b"\n",
        b"=",
        b"9",
    ];
    let seeds = [b"30 mtime=1350244992.023960108\n17 path=a/b/c/d/e\n".to_vec()];
    vary("pax", checks::pax, 20_000, &words, &seeds);
}

#[test]
fn zinfo() {
    let words = [
        &[0; 8][..],
        &[255; 8],
        &[1],
        &[7],
        &[3, 0],
        &[1, 0, 0, 255, 255],
    ];
    let checkpoints = [[0; 17], [1; 17]].concat();
    let seeds = [[&[2][..], &checkpoints, &[3, 0]].concat()];
    vary("zinfo", checks::zinfo, 2_000, &words, &seeds);
}

#[test]
fn registry() {
    let words = [
        &b"Bearer "[..],
        b"realm=\"",
        b"\\\"",
        b"\n",
        b"<",
        b">; rel=next",
        b"{\"errors\":[",
        b"\\u0007",
        b"\xff",
    ];
    vary(
        "registry",
        checks::registry,
        20_000,
        &words,
        &files("fuzz/seeds/registry"),
    );
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
    let images = golden::images().into_iter();
    let indexes = images.map(|image| fs::read(image.join("layout/index.json")).unwrap());
    let seeds: Vec<_> = indexes.chain(golden_manifests()).collect();
    vary("manifest", checks::manifest, 5_000, &words, &seeds);
}

/// Every manifest that the golden images hold.
fn golden_manifests() -> Vec<Vec<u8>> {
    let mut blobs = Vec::new();
    for image in golden::images() {
        for blob in fs::read_dir(image.join("layout/blobs/sha256")).unwrap() {
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
    vary(
        "reference",
        checks::reference,
        50_000,
        &words,
        &files("fuzz/seeds/reference"),
    );
}

#[test]
fn layout() {
    let words = [
        &b"null"[..],
        b"\"org.opencontainers.image.ref.name\":\"a/b:1\"",
        b"\"io.containerd.image.name\":\"docker.io/library/app:1\"",
        b"\"platform\":{\"os\":\"unknown\",\"architecture\":\"unknown\"},",
        b"\"artifactType\":\"x\",",
        b"\n",
        b"@sha256:",
        b"docker.io/",
        b":",
        b"00",
    ];
    vary(
        "layout",
        checks::layout,
        10_000,
        &words,
        &files("fuzz/seeds/layout"),
    );
}
