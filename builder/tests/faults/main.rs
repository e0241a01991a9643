//! Bad input and bad luck, through the whole program: it says what happened, and nothing that had a tag loses it.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod archives;
mod copies;
mod disk;
mod layouts;
mod parts;
mod patience;
mod refusals;
mod repairs;
mod secrets;
mod signals;
mod together;

use soci_format::digest::Digest;
use soci_testing::{
    fake_registry::FakeRegistry,
    image::{Image, Layer, REPOSITORY},
    program::Program,
};

/// `soci-builder index IMAGE`, small layers included, with many spans.
fn program(image: &str) -> Program {
    let options = ["--json", "--min-layer-size", "0", "--span-size", "64KiB"];
    Program::new([&["index", image], &options[..]].concat())
}

/// An image whose config need not be read, so that the first blob asked for is the layer.
fn listed(layer: &Layer) -> Image {
    Image::list([("linux/amd64", Image::of([layer]))])
}

fn output_tag(registry: &FakeRegistry) -> Option<Digest> {
    registry
        .tagged(REPOSITORY, "v1-soci")
        .map(|(digest, _)| digest)
}

/// The digest that an image's output has when nothing goes wrong.
fn output_of(image: &Image) -> Digest {
    let registry = FakeRegistry::start();
    let result = program(&image.push(&registry, "v1")).run().exits(0).json();
    result["output_digest"].as_str().unwrap().parse().unwrap()
}
