//! A flipped byte anywhere in an image or its index is found: every position of every blob of a small image.

use std::fs;

use soci_builder::verify::verify;
use soci_format::{limits::Limits, oci::Reference};
use soci_store::{
    registry::{Client, Options},
    store::Store,
};
use soci_testing::image::{Image, Layer, files_of, tar_of};

use crate::indexed;

/// Of a checkpoint's window, which is nearly all of a compressed layer's ztoc, version 1 tries some positions only: it is the
/// same ztoc as that of version 2.
const STEP_IN_LARGE: usize = 61;

#[tokio::test]
async fn every_flipped_byte_is_found() {
    let layers = [
        Layer::gzip(&tar_of([("etc/a", "some text")])),
        Layer::plain(tar_of([("b", "other text")])),
    ];
    let (layout, image) = Image::of(&layers).layout();
    let source = image.clone();
    for version in ["v2", "v1"] {
        let image = indexed(&source, &["--index-version", version]);
        let reference: Reference = image.parse().unwrap();
        let client = Client::new(Options::default());
        let is_right = async || {
            let Ok(store) = Store::open(&reference, &client, Limits::default()) else {
                return false;
            };
            let report = verify(&store, &reference, None).await;
            report.is_ok_and(|report| report.problems().is_empty())
        };
        assert!(is_right().await);
        let mut found = 0;
        let original = source_manifest(&source, &client).await;
        for (path, bytes) in files_of(&layout.path().join("blobs")) {
            let name = path.file_name().unwrap().to_str().unwrap();
            // Version 2 does not use the manifest that it was made of.
            if version == "v2" && original.ends_with(name) {
                continue;
            }
            let is_known = version == "v1" && bytes.len() > 10_000;
            let step = if is_known { STEP_IN_LARGE } else { 1 };
            for at in (0..bytes.len()).step_by(step) {
                let mut flipped = bytes.to_vec();
                flipped[at] ^= 1 << (at % 8);
                fs::write(&path, flipped).unwrap();
                assert!(!is_right().await, "byte {at} of {name} ({version})");
                found += 1;
            }
            fs::write(&path, &bytes).unwrap();
        }
        let least = if version == "v1" { 2_000 } else { 35_000 };
        assert!(found > least, "{found}");
        // What version 2 added is not looked at by version 1.
        if version == "v2" {
            fs::remove_dir_all(layout.path()).unwrap();
            Image::of(&layers).write_layout(layout.path(), "v1");
        }
    }
}

/// The digest of the image before it was indexed.
async fn source_manifest(image: &str, client: &Client) -> String {
    let reference: Reference = image.parse().unwrap();
    let store = Store::open(&reference, client, Limits::default()).unwrap();
    let image = store.image(&reference).await.unwrap();
    image.descriptor.digest.to_string()
}
