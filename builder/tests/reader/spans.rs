//! Only the spans that a file lies in are fetched, each once, and each is checked.

use std::fs;

use futures_util::future::join_all;
use soci_builder::reader::Reader;
use soci_format::{limits::Limits, tar::Kind};
use soci_index::run::chain;
use soci_testing::{
    fake_registry::{FakeRegistry, Fault, Route},
    image::{Image, Layer, blob_path, noise, tar_of},
};

use crate::{indexed, open, open_within, read, read_file};

const SPAN: usize = 256 << 10;

/// 8 MiB that compress to no less, with a small file in the middle.
fn large() -> (Layer, Vec<u8>) {
    let small = noise(9, 1_024);
    let layer = Layer::gzip(&tar_of([
        ("before", noise(1, 4 << 20)),
        ("small", small.clone()),
        ("after", noise(2, 4 << 20)),
    ]));
    (layer, small)
}

#[tokio::test]
async fn a_small_file_takes_two_spans_at_most() {
    let registry = FakeRegistry::start();
    let (layer, small) = large();
    let image = Image::of([&layer]).push(&registry, "v1");
    let image = indexed(&image, &["--span-size", &SPAN.to_string()]);
    let before = registry.served(&layer.digest);
    let asked = registry.requests_to(Route::ReadBlob).len();
    let reader = open(&image).await.unwrap();
    assert_eq!(registry.served(&layer.digest), before);
    assert_eq!(read_file(&reader, b"/small").await.unwrap(), small);
    let served = registry.served(&layer.digest) - before;
    // A span ends with the first block behind its size; flate2's blocks are far below 64 KiB.
    let most = 2 * (SPAN + (64 << 10)) as u64;
    assert!(served >= 1_024 && served <= most, "{served} bytes");
    assert_eq!(served, reader.bytes_read());
    // The config, the ztoc and at most two spans.
    assert!(registry.requests_to(Route::ReadBlob).len() - asked <= 4);
    // Again it comes from the cache.
    assert_eq!(read_file(&reader, b"/small").await.unwrap(), small);
    assert_eq!(reader.bytes_read(), served);
}

#[tokio::test]
async fn many_readers_fetch_each_span_once() {
    let registry = FakeRegistry::start();
    let (layer, small) = large();
    let image = Image::of([&layer]).push(&registry, "v1");
    let image = indexed(&image, &["--span-size", &SPAN.to_string()]);
    let before = registry.served(&layer.digest);
    let reader = open(&image).await.unwrap();
    let readers = (0..30).map(|number| {
        let path = [&b"before"[..], b"small", b"after"][number % 3];
        read_file(&reader, path)
    });
    for (number, found) in join_all(readers).await.into_iter().enumerate() {
        let right = [noise(1, 4 << 20), small.clone(), noise(2, 4 << 20)];
        assert!(found.unwrap() == right[number % 3]);
    }
    // All spans; the byte that two of them share comes twice.
    let served = registry.served(&layer.digest) - before;
    assert!(served < layer.size as u64 + 64, "{served}");
}

/// Many layers of many files, whose spans follow each other.
fn stacked(registry: &FakeRegistry) -> (String, [Layer; 3]) {
    let files = |layer: u64| {
        let name = |number| format!("d{}/{layer}-{number}", number % 4);
        tar_of((0..40).map(move |number| {
            let size = fastrand::Rng::with_seed(layer * 100 + number).usize(..60_000);
            (name(number), noise(layer * 100 + number, size))
        }))
    };
    let layers = [
        Layer::gzip(&files(1)),
        Layer::plain(files(2)),
        Layer::gzip(&files(3)),
    ];
    let image = Image::of(&layers).push(registry, "v1");
    let flags = ["--span-size", "40000", "--min-layer-size", "0"];
    (indexed(&image, &flags), layers)
}

/// The regular files of an image: path, layer and place in the layer.
fn files(reader: &Reader) -> Vec<(Vec<u8>, usize, u64)> {
    let root = reader.tree().find(b"/", true).unwrap();
    let all = reader.tree().all(root).into_iter();
    all.filter_map(|(path, node)| {
        let inode = reader.tree().inode(node);
        let is_file = inode.kind == Kind::Regular;
        is_file.then(|| (path, inode.layer, inode.payload().start))
    })
    .collect()
}

#[tokio::test]
async fn files_in_any_order_have_the_same_bytes_however_little_is_kept() {
    let registry = FakeRegistry::start();
    let (image, _) = stacked(&registry);
    let reader = open(&image).await.unwrap();
    let mut right = Vec::new();
    for (path, ..) in files(&reader) {
        let contents = read_file(&reader, &path).await.unwrap();
        right.push((path, contents));
    }
    assert_eq!(right.len(), 120);
    let mut random = fastrand::Rng::with_seed(5);
    // Everything, a tenth, and next to nothing; in the last case some spans are larger than what is kept, and come in pieces.
    for (cached_bytes, span_bytes) in [(64 << 20, 16 << 20), (500_000, 90_000), (50_000, 50_000)] {
        let limits = Limits {
            cached_bytes,
            span_bytes,
            ..Limits::default()
        };
        for _ in 0..2 {
            let reader = open_within(limits, &image).await.unwrap();
            random.shuffle(&mut right);
            // Some of them twice.
            let twice = right[..10].iter();
            let chosen = || right.iter().chain(twice.clone());
            let chosen_files = chosen().map(|(path, _)| reader.file(path).unwrap());
            let found = reader.contents(chosen_files).read().await.unwrap();
            let right: Vec<_> = chosen().map(|(_, bytes)| &bytes[..]).collect();
            assert!(found == right.concat(), "{cached_bytes} bytes");
        }
    }
}

#[tokio::test]
async fn neighbouring_spans_of_many_files_come_with_one_request() {
    let registry = FakeRegistry::start();
    let (image, layers) = stacked(&registry);
    let reader = open(&image).await.unwrap();
    let mut all = files(&reader);
    all.sort_unstable_by_key(|&(_, layer, at)| (layer, at));
    let served = || layers.iter().map(|layer| registry.served(&layer.digest));
    let (asked, before) = (
        registry.requests_to(Route::ReadBlob).len(),
        served().sum::<u64>(),
    );
    let all = all.iter().map(|(path, ..)| reader.file(path).unwrap());
    reader.contents(all).read().await.unwrap();
    // What is needed of each layer is less than what one request may bring.
    let requests = registry.requests_to(Route::ReadBlob).len() - asked;
    assert_eq!(requests, layers.len());
    // Each byte comes once, those that spans share too.
    let served = served().sum::<u64>() - before;
    assert!(served <= layers.iter().map(|layer| layer.size as u64).sum());
    assert_eq!(served, reader.bytes_read());
}

#[tokio::test]
async fn what_could_not_be_read_ahead_is_asked_for_again() {
    let registry = FakeRegistry::start();
    let (layer, _) = large();
    let image = Image::of([&layer]).push(&registry, "v1");
    let image = indexed(&image, &["--span-size", &SPAN.to_string()]);
    let reader = open(&image).await.unwrap();
    let asked = registry.requests_to(Route::ReadBlob).len();
    registry
        .fail(Route::ReadBlob, Fault::status(400, "DENIED_ODDLY"))
        .times(1);
    assert!(read_file(&reader, b"before").await.unwrap() == noise(1, 4 << 20));
    // The run of all spans failed; then each was asked for by itself.
    let requests = registry.requests_to(Route::ReadBlob).len() - asked;
    assert!(requests > (4 << 20) / (SPAN + (64 << 10)), "{requests}");
    // What stays wrong is met again, and told.
    registry
        .fail(Route::ReadBlob, Fault::status(400, "DENIED_ODDLY"))
        .always();
    let error = chain(&read_file(&reader, b"after").await.unwrap_err());
    assert!(error.contains("400"), "{error}");
}

#[tokio::test]
async fn broken_connections_resume_within_a_span() {
    let registry = FakeRegistry::start();
    let (layer, small) = large();
    let image = Image::of([&layer]).push(&registry, "v1");
    let image = indexed(&image, &["--span-size", &SPAN.to_string()]);
    let reader = open(&image).await.unwrap();
    registry
        .fail(Route::ReadBlob, Fault::Cut { after: 100_000 })
        .times(1);
    assert_eq!(read_file(&reader, b"small").await.unwrap(), small);
}

#[tokio::test]
async fn a_damaged_span_is_refused_and_the_others_are_read() {
    let (layer, small) = large();
    let (layout, image) = Image::of([&layer]).layout();
    let image = indexed(&image, &["--span-size", &SPAN.to_string()]);
    let path = blob_path(layout.path(), &layer.digest);
    let mut bytes = fs::read(&path).unwrap();
    let flipped = bytes.len() - 1_000_000;
    bytes[flipped] ^= 1;
    fs::write(path, bytes).unwrap();
    assert_eq!(read(&image, "small").await.unwrap(), small);
    let error = chain(&read(&image, "after").await.unwrap_err());
    assert!(error.contains("cannot read span "), "{error}");
    assert!(error.contains("digest mismatch"), "{error}");
}

#[tokio::test]
async fn spans_too_large_to_keep_are_passed_on() {
    // One span of 40 MB: more than is kept.
    let zeros = vec![0; 20_000_000];
    let files = [
        ("one", &zeros),
        ("two", &noise(4, 1_000)),
        ("three", &zeros),
    ];
    let layer = Layer::gzip(&tar_of(files));
    let (layout, image) = Image::of([&layer]).layout();
    let image = indexed(&image, &["--span-size", "1GiB"]);
    assert!(read(&image, "two").await.unwrap() == noise(4, 1_000));
    assert!(read(&image, "three").await.unwrap() == zeros);
    // Its digest is only known at its end; then the error comes in place of it.
    let path = blob_path(layout.path(), &layer.digest);
    let mut bytes = fs::read(&path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(path, bytes).unwrap();
    let error = chain(&read(&image, "one").await.unwrap_err());
    assert!(error.contains("digest mismatch"), "{error}");
}
