//! Layers that cannot be indexed: left out with a reason, or a failure where that is asked for.

use std::io::Read;

use flate2::read::GzDecoder;
use soci_testing::{
    fake_registry::FakeRegistry,
    image::{GZIP, Image, Layer, REPOSITORY, gzip, noise, tar_of},
};

use crate::index;

/// A tar archive with a PAX header for everything that follows.
fn with_global_header() -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let record = b"20 comment=all of it";
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::XGlobalHeader);
    header.set_size(record.len() as u64);
    archive
        .append_data(&mut header, "pax_global_header", &record[..])
        .unwrap();
    [archive.into_inner().unwrap(), tar_of([("file", "text")])].concat()
}

/// A layer whose digest is right and whose gzip stream ends too early.
fn cut_gzip() -> Layer {
    let mut bytes = gzip(&tar_of([("file", noise(9, 30_000))]));
    bytes.truncate(bytes.len() / 2);
    Layer::of(GZIP, bytes)
}

/// The same with a flipped bit in the middle.
fn damaged_gzip() -> Layer {
    let plain = tar_of([("file", "text ".repeat(9_000))]);
    let mut bytes = gzip(&plain);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    let mut found = Vec::new();
    let read = GzDecoder::new(&bytes[..]).read_to_end(&mut found);
    assert!(read.is_err(), "the flipped bit does no harm");
    Layer::of(GZIP, bytes)
}

#[test]
fn a_layer_that_cannot_be_indexed_is_left_out() {
    for (bad, words) in [
        (Layer::gzip(&with_global_header()), "global"),
        (cut_gzip(), "invalid gzip data at byte"),
        (damaged_gzip(), "invalid gzip data at byte"),
        (
            Layer::of(GZIP, tar_of([("file", "text")])),
            "its media type says gzip",
        ),
        (
            Layer::of(
                GZIP,
                [&[0x28, 0xb5, 0x2f, 0xfd][..], &noise(1, 99)].concat(),
            ),
            "compressed with zstd",
        ),
        (Layer::gzip(&noise(3, 5_000)), "unsupported tar archive"),
    ] {
        let good = Layer::noise(1, 10_000);
        let registry = FakeRegistry::start();
        let reference = Image::of([&good, &bad]).push(&registry, "v1");

        index(&reference, &["--strict"]).fails_with(&[
            "cannot index layer 2 of 2",
            &bad.digest.to_string(),
            "the layer cannot be indexed",
            words,
        ]);
        assert!(registry.tagged(REPOSITORY, "v1-soci").is_none(), "{words}");

        let ended = index(&reference, &[]).exits(0);
        let warning = format!("warning: layer {} is skipped: ", bad.digest);
        assert!(ended.stderr.contains(&warning), "{ended:?}");
        let result = ended.json();
        assert_eq!(result["outcome"], "indexed");
        let layers = &result["indexes"][0]["layers"];
        assert_eq!(layers[0]["state"], "indexed");
        assert_eq!(layers[1]["state"], "skipped");
        let reason = layers[1]["reason"].as_str().unwrap();
        assert!(reason.contains(words), "{reason}");
        assert!(registry.tagged(REPOSITORY, "v1-soci").is_some(), "{words}");
    }
}

#[test]
fn an_image_of_nothing_else_is_unsupported() {
    let registry = FakeRegistry::start();
    let reference = Image::of([&cut_gzip()]).push(&registry, "v1");
    let result = index(&reference, &[]).exits(3).json();
    assert_eq!(result["outcome"], "unsupported");
    assert!(registry.tagged(REPOSITORY, "v1-soci").is_none());
}
