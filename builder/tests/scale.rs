//! Images far larger than usual: in layers, in files of a layer, in bytes of a layer.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use soci_testing::{
    fake_registry::{FakeRegistry, Route},
    image::{Image, Layer, blob_path, noise, tar_of},
    program::Program,
};

#[test]
fn a_thousand_layers() {
    let layers: Vec<Layer> = (0..1_000)
        .map(|number| Layer::gzip(&tar_of([(format!("file-{number}"), "text")])))
        .collect();
    let (_layout, image) = Image::of(&layers).layout();
    let arguments = ["index", &image, "--json", "--min-layer-size", "0"];
    let result = Program::new(arguments).run().exits(0).json();
    let total: usize = layers.iter().map(|layer| layer.size).sum();
    assert_eq!(result["bytes_read"], total);
    let reported = result["indexes"][0]["layers"].as_array().unwrap();
    assert_eq!(reported.len(), 1_000);
    for (reported, layer) in reported.iter().zip(&layers) {
        assert_eq!(reported["digest"], layer.digest.to_string());
        assert_eq!(reported["state"], "indexed");
    }
    let again = Program::new(arguments).run().exits(0).json();
    assert_eq!(again["outcome"], "already-there");
    assert_eq!(again["output_digest"], result["output_digest"]);
}

#[test]
fn a_layer_of_300_000_files() {
    const FILES: usize = 300_000;
    let name = |number: usize| format!("folder-{}/file-{number}", number % 100);
    let layer = Layer::gzip(&tar_of((0..FILES).map(|number| (name(number), b"text"))));
    let (layout, image) = Image::of([&layer]).layout();
    let arguments = ["index", &image, "--json", "--min-layer-size", "0"];
    let result = Program::new(arguments).run().exits(0).json();
    assert_eq!(result["indexes"][0]["layers"][0]["state"], "indexed");

    let output = format!("{image}-soci");
    let info = Program::new(["info", &output, "--json"])
        .run()
        .exits(0)
        .json();
    let ztoc = info["platforms"][0]["indexes"][0]["layers"][0]["ztoc"]["digest"].as_str();
    let ztoc = blob_path(layout.path(), &ztoc.unwrap().parse().unwrap());
    let info = Program::new(["ztoc", "info", "--json"])
        .argument(ztoc)
        .run()
        .exits(0)
        .json();
    let files = info["files"].as_array().unwrap();
    assert_eq!(files.len(), FILES);
    assert_eq!(files[FILES - 1]["name"], name(FILES - 1));
    // Header and contents of one file take two blocks; the contents come second.
    assert_eq!(files[FILES - 1]["offset"], (FILES - 1) * 1_024 + 512);
}

#[test]
fn a_file_of_1_kb_out_of_a_layer_of_300_mb_takes_two_spans_at_most() {
    /// The default size of a span, and a block of deflate: a span ends with the first one behind its size.
    const SPAN_MAX: u64 = (4 << 20) + (64 << 10);
    let small: String = ('a'..='z').cycle().take(1_024).collect();
    let layer = Layer::gzip(&tar_of([
        ("before", &noise(1, 150_000_000)[..]),
        ("small", small.as_bytes()),
        ("after", &noise(2, 150_000_000)),
    ]));
    assert!(layer.size > 300_000_000);
    let registry = FakeRegistry::start();
    let image = Image::of([&layer]).push(&registry, "v1");
    let _ = Program::new(["index", &image]).run().exits(0);
    let (read, asked) = (
        registry.served(&layer.digest),
        registry.requests_to(Route::ReadBlob).len(),
    );
    let image = format!("{image}-soci");
    let printed = Program::new(["cat", &image, "/small"]).run().exits(0);
    assert_eq!(printed.stdout, small);
    let read = registry.served(&layer.digest) - read;
    assert!((1_024..=2 * SPAN_MAX).contains(&read), "{read} bytes");
    // The config, the ztoc and the spans.
    assert!(registry.requests_to(Route::ReadBlob).len() - asked <= 4);
}
