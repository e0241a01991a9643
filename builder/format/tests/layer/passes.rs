//! Passes over bytes in memory, and what they are compared with.

use std::{
    error::Error,
    io::{Read, Write as _},
    sync::LazyLock,
};

use sha2::{Digest as _, Sha256};
use soci_format::{
    layer::{self, Options, Pass},
    oci::LayerEncoding::{self, Unknown},
    ztoc::{DEFAULT_BUILD_TOOL, Ztoc},
};
use soci_testing::golden;

/// Every golden layer: name and compressed bytes.
pub(crate) static GOLDEN: LazyLock<Vec<(String, Vec<u8>)>> = LazyLock::new(|| {
    let layers = golden::layers().into_iter();
    layers.map(|layer| (layer.name, layer.stored)).collect()
});

pub(crate) fn pass_of(source: impl Read, declared: LayerEncoding, span_size: u64) -> Pass {
    let options = Options {
        span_size,
        build_tool: DEFAULT_BUILD_TOOL.to_owned(),
        bytes_max: 1 << 30,
    };
    layer::pass(source, declared, &options, &mut layer::no_spare_core).unwrap()
}

/// The pass over bytes in memory. Whatever it finds, their digest and their number are right.
pub(crate) fn checked_pass(stored: &[u8], declared: LayerEncoding, span_size: u64) -> Pass {
    let pass = pass_of(stored, declared, span_size);
    assert_eq!(pass.digest.to_string(), sha256(stored));
    assert_eq!(pass.size, stored.len() as u64);
    pass
}

pub(crate) fn ztoc_of(stored: &[u8], span_size: u64) -> Ztoc {
    checked_pass(stored, Unknown, span_size).ztoc.unwrap()
}

/// The error with its causes, as a program prints it.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    let hex = Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<String>();
    format!("sha256:{hex}")
}

pub(crate) fn plain_of(stored: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    flate2::read::MultiGzDecoder::new(stored)
        .read_to_end(&mut plain)
        .unwrap();
    plain
}

pub(crate) fn gzip(plain: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(level));
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}
