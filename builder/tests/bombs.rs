//! Images that unfold to far more than they are: what the program needs of memory does not follow.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "support/mod.rs"]
mod support;

use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

use flate2::{Compression, write::GzEncoder};
use support::image::{Image, Layer, gzip};

/// Bytes of the one file.
const FILE_BYTES: usize = 1 << 30;
/// Zeros in one gzip member; the layer repeats it.
const MEMBER_BYTES: usize = 16 << 20;
/// Address space that the program may have, in KiB: well below the file, and enough for its threads.
const LIMIT_KIB: usize = 768 << 10;

/// An archive of one file of zeros, compressed to a thousandth.
fn bomb() -> Layer {
    let mut header = tar::Header::new_ustar();
    header.set_path("zeros").unwrap();
    header.set_size(FILE_BYTES as u64);
    header.set_cksum();
    let mut zeros = GzEncoder::new(Vec::new(), Compression::best());
    zeros.write_all(&vec![0; MEMBER_BYTES]).unwrap();
    let zeros = zeros.finish().unwrap();
    let mut bytes = gzip(header.as_bytes());
    for _ in 0..FILE_BYTES / MEMBER_BYTES {
        bytes.extend_from_slice(&zeros);
    }
    assert!(bytes.len() < FILE_BYTES / 900);
    Layer::of("application/vnd.oci.image.layer.v1.tar+gzip", bytes)
}

/// Runs the program with no more memory than [`LIMIT_KIB`], and gives what `wc` counts of its output.
fn limited(arguments: &[&str]) -> Output {
    let script = format!("ulimit -v {LIMIT_KIB}; set -o pipefail; \"$@\" | wc -c");
    Command::new("bash")
        .args(["-c", &script, "bash", env!("CARGO_BIN_EXE_soci-builder")])
        .args(arguments)
        .env("MALLOC_ARENA_MAX", "2")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[test]
fn a_layer_a_thousand_times_its_size() {
    let (_layout, image) = Image::of([&bomb()]).layout();
    let counted = |arguments: &[&str]| {
        let ended = limited(arguments);
        assert!(ended.status.success(), "{ended:?}");
        let text = String::from_utf8(ended.stdout).unwrap();
        text.trim().parse::<usize>().unwrap()
    };
    // Read whole, then through its index.
    assert_eq!(counted(&["cat", &image, "zeros"]), FILE_BYTES);
    assert!(
        counted(&[
            "index",
            &image,
            "--min-layer-size",
            "0",
            "--span-size",
            "1MiB"
        ]) > 0
    );
    let indexed = format!("{image}-soci");
    assert_eq!(counted(&["cat", &indexed, "zeros"]), FILE_BYTES);
}
