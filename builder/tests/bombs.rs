//! Images that unfold to far more than they are: what the program needs of memory does not follow.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::{
    fs,
    io::Write,
    process::{Command, Output, Stdio},
};

use flate2::{Compression, write::GzEncoder};
use soci_format::ztoc::{FileMetadata, Toc, Ztoc};
use soci_testing::{
    bent_ztoc,
    image::{GZIP, Image, Layer, blob_path, gzip, tar_of},
    program::Program,
};

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
    Layer::of(GZIP, bytes)
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

/// Headers of empty files, as many as a megabyte of gzip can hold.
fn many_files() -> Layer {
    let mut header = tar::Header::new_ustar();
    header.set_path("file").unwrap();
    header.set_size(0);
    header.set_cksum();
    Layer::of(GZIP, gzip(&header.as_bytes().repeat(10_000)).repeat(80))
}

/// Extended attributes of nearly a mebibyte for each file.
fn large_attributes() -> Layer {
    let value = vec![b'x'; 1_000_000];
    let mut archive = tar::Builder::new(Vec::new());
    archive
        .append_pax_extensions([("SCHILY.xattr.user.x", &value[..])])
        .unwrap();
    let mut header = tar::Header::new_ustar();
    header.set_path("file").unwrap();
    header.set_size(0);
    header.set_cksum();
    archive.append(&header, &b""[..]).unwrap();
    let archive = archive.into_inner().unwrap();
    Layer::of(GZIP, gzip(&archive[..archive.len() - 1_024]).repeat(300))
}

/// Blocks of ten bytes.
fn many_blocks() -> Layer {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    for piece in tar_of([("file", vec![7; 100_000])]).chunks(10) {
        encoder.write_all(piece).unwrap();
        encoder.flush().unwrap();
    }
    Layer::of(GZIP, encoder.finish().unwrap())
}

#[test]
fn layers_whose_ztocs_would_fill_the_memory_are_left_out() {
    let hostile = [many_files(), large_attributes(), many_blocks()];
    let good = Layer::gzip(&tar_of([("good", "text")]));
    for layer in &hostile {
        assert!(layer.size < 8 << 20);
        let (directory, image) = Image::of([&good, layer]).layout();
        let index = [
            "index",
            &image,
            "--min-layer-size",
            "0",
            "--span-size",
            "1",
            "--json",
        ];
        let ended = limited(&[&index[..], &["--strict"]].concat());
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{said}");
        assert!(said.contains("its ztoc would take more than"), "{said}");

        let report = Program::new(index).run().exits(0);
        assert!(
            report
                .stderr
                .contains("is skipped: its ztoc would take more than")
        );
        let layers = &report.json()["indexes"][0]["layers"];
        assert_eq!(layers[0]["state"], "indexed");
        assert_eq!(layers[1]["state"], "skipped");

        // A single file, and a layer that has to be read whole.
        let file = blob_path(directory.path(), &layer.digest);
        let output = directory.path().join("ztoc");
        let (file, output) = (file.to_str().unwrap(), output.to_str().unwrap());
        let ended = limited(&["ztoc", "build", file, "-o", output, "--span-size", "1"]);
        assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    }
}

/// One text that a ztoc names 20,000 times: 10 MB that would unfold to 40 GB.
#[test]
fn a_ztoc_that_would_unfold_is_refused() {
    let layer = gzip(&tar_of([("file", "text")]));
    let directory = tempfile::TempDir::new().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (stored, made, bent) = (path("layer"), path("made"), path("bent"));
    fs::write(&stored, layer).unwrap();
    assert!(
        limited(&["ztoc", "build", &stored, "-o", &made])
            .status
            .success()
    );
    let text = vec![b'A'; 1_000_000];
    let mut xattrs = vec![(&b""[..], &b""[..]); 20_000];
    xattrs[0] = (&text, &text);
    let mut toc = Toc::default();
    toc.push(&FileMetadata {
        xattrs,
        ..FileMetadata::default()
    });
    let ztoc = Ztoc {
        toc,
        ..Ztoc::parse(&fs::read(&made).unwrap()).unwrap()
    };
    fs::write(
        &bent,
        bent_ztoc::share_the_first(ztoc.into_bytes(), bent_ztoc::attributes),
    )
    .unwrap();
    let ended = limited(&["ztoc", "info", &bent]);
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(
        said.contains("its parts are larger than the file itself"),
        "{said}"
    );
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
    // The inflater that `verify` compares with is ahead of ours by little.
    assert!(counted(&["verify", &indexed]) > 0);
}
