//! Every golden case: what we write is what the reference implementation wrote, byte for byte.

use std::{fs, path::Path};

use soci_builder::{
    digest::Digest,
    layer::{self, Options},
    oci::LayerEncoding,
    ztoc::{DEFAULT_BUILD_TOOL, Ztoc},
};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");

fn ztoc_of(layer: &Path, span_size: u64) -> Ztoc {
    let encoding = match layer.extension() {
        Some(extension) if extension == "gz" => LayerEncoding::Gzip,
        _ => LayerEncoding::Uncompressed,
    };
    let options = Options {
        span_size,
        build_tool: DEFAULT_BUILD_TOOL.to_owned(),
    };
    let bytes = fs::read(layer).unwrap();
    let pass = layer::pass(&bytes[..], encoding, &options).unwrap();
    assert_eq!(
        (pass.digest, pass.size),
        (Digest::of(&bytes), bytes.len() as u64)
    );
    pass.ztoc.unwrap()
}

#[test]
fn layers() {
    let mut cases = 0;
    for case in fs::read_dir(Path::new(GOLDEN).join("layers")).unwrap() {
        let case = case.unwrap().path();
        let layer = ["layer.tar.gz", "layer.tar"]
            .map(|name| case.join(name))
            .into_iter()
            .find(|path| path.exists());
        let layer = layer.unwrap();
        let expected: serde_json::Value =
            serde_json::from_slice(&fs::read(case.join("expected.json")).unwrap()).unwrap();
        for (span_size, expected) in expected.as_object().unwrap() {
            let ztoc = ztoc_of(&layer, span_size.parse().unwrap());
            let bytes = ztoc.clone().into_bytes();
            assert_eq!(Ztoc::parse(&bytes).unwrap(), ztoc, "{}", case.display());
            if span_size == "65536" {
                assert!(
                    bytes == fs::read(case.join("ztoc-65536")).unwrap(),
                    "{}",
                    case.display()
                );
            }
            assert_eq!(
                expected["size"],
                bytes.len(),
                "{} {span_size}",
                case.display()
            );
            assert_eq!(
                expected["digest"],
                Digest::of(&bytes).to_string(),
                "{} {span_size}",
                case.display()
            );
            cases += 1;
        }
    }
    assert_eq!(cases, 56);
}
