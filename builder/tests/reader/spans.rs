//! Only the spans that a file lies in are fetched, each once, and each is checked.

use std::fs;

use futures_util::future::join_all;
use soci_index::run::chain;
use soci_testing::{
    fake_registry::{FakeRegistry, Fault, Route},
    image::{Image, Layer, blob_path, noise, tar_of},
};

use crate::{indexed, open, read};

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
    let file = reader.file(b"/small").unwrap();
    assert_eq!(file.read().await.unwrap(), small);
    let served = registry.served(&layer.digest) - before;
    // A span ends with the first block behind its size; flate2's blocks are far below 64 KiB.
    let most = 2 * (SPAN + (64 << 10)) as u64;
    assert!(served >= 1_024 && served <= most, "{served} bytes");
    assert_eq!(served, reader.bytes_read());
    // The config, the ztoc and at most two spans.
    assert!(registry.requests_to(Route::ReadBlob).len() - asked <= 4);
    // Again it comes from the cache.
    let again = reader.file(b"/small").unwrap();
    assert_eq!(again.read().await.unwrap(), small);
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
        reader.file(path).unwrap().read()
    });
    for (number, found) in join_all(readers).await.into_iter().enumerate() {
        let right = [noise(1, 4 << 20), small.clone(), noise(2, 4 << 20)];
        assert!(found.unwrap() == right[number % 3]);
    }
    // All spans; the byte that two of them share comes twice.
    let served = registry.served(&layer.digest) - before;
    assert!(served < layer.size as u64 + 64, "{served}");
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
    let file = reader.file(b"small").unwrap();
    assert_eq!(file.read().await.unwrap(), small);
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
