//! Layouts that are damaged, and what is taken back where a run does not come to its end.

use std::{
    fs,
    path::Path,
    sync::{Arc, atomic::AtomicBool},
};

use bytes::Bytes;
use soci_format::{digest::Digest, oci::Descriptor};
use soci_store::layout::{Layout, Transaction};
use soci_testing::image::{Image, Layer, blob_path, files_of};
use tempfile::TempDir;

use crate::program;

#[test]
fn damage_is_named_and_nothing_is_left() {
    let layer = Layer::noise(1, 90_000);
    let image = Image::of([&Layer::noise(2, 40_000), &layer]);
    let second = format!("cannot index layer 2 of 2 ({})", layer.digest);
    let missing = format!("its layer {} is missing", layer.digest);
    let manifest = |layout: &Path| blob_path(layout, &image.digest());
    let stored = |layout: &Path| blob_path(layout, &layer.digest);
    let flip = |path: &Path| {
        let mut bytes = fs::read(path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(path, bytes).unwrap();
    };
    type Spoil<'a> = &'a dyn Fn(&Path);
    let cases: [(Spoil<'_>, &[&str]); 9] = [
        (
            &|layout| fs::write(layout.join("index.json"), "{").unwrap(),
            &["index.json: EOF"],
        ),
        (
            &|layout| fs::remove_file(layout.join("index.json")).unwrap(),
            &["index.json is missing"],
        ),
        (
            &|layout| fs::remove_file(layout.join("oci-layout")).unwrap(),
            &["oci-layout is missing"],
        ),
        (
            &|layout| fs::remove_file(manifest(layout)).unwrap(),
            &["manifest sha256:"],
        ),
        (
            &|layout| flip(&manifest(layout)),
            &["is corrupt: digest mismatch"],
        ),
        (
            &|layout| fs::remove_file(stored(layout)).unwrap(),
            &["no image is complete here", &missing],
        ),
        (
            &|layout| fs::write(stored(layout), "short").unwrap(),
            &[&second, "has 5 bytes, but its descriptor says"],
        ),
        (
            &|layout| flip(&stored(layout)),
            &[&second, "digest mismatch"],
        ),
        (
            &|layout| {
                fs::remove_file(stored(layout)).unwrap();
                fs::create_dir(stored(layout)).unwrap();
            },
            &[&second, "not a regular file"],
        ),
    ];
    for (spoil, words) in cases {
        let (layout, reference) = image.layout();
        spoil(layout.path());
        let before = files_of(layout.path());
        program(&reference).run().fails_with(words);
        assert_eq!(files_of(layout.path()), before, "{words:?}");
    }
}

#[test]
fn an_archive_that_is_cut_is_left_alone() {
    let (layout, _) = Image::of([&Layer::noise(1, 9_000)]).layout();
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("image.tar");
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_dir_all(".", layout.path()).unwrap();
    let bytes = archive.into_inner().unwrap();
    for length in [0, 100, bytes.len() / 2, bytes.len() - 3_000] {
        fs::write(&path, &bytes[..length]).unwrap();
        let before = files_of(folder.path());
        program(&format!("oci-archive:{}:v1", path.display()))
            .run()
            .fails_with(&["image.tar"]);
        assert_eq!(files_of(folder.path()), before, "{length}");
    }
}

#[test]
fn what_was_put_and_not_committed_is_taken_back() {
    let (directory, _) = Image::of([&Layer::noise(1, 9_000)]).layout();
    let before = files_of(directory.path());
    let blob = Bytes::from_static(b"a new blob");
    let descriptor = Descriptor::of("application/octet-stream", &blob);
    let put = || {
        let layout = Arc::new(Layout::open_directory(directory.path()).unwrap());
        let transaction = Transaction::begin(&layout);
        transaction.put_blob(&Digest::of(&blob), &blob).unwrap();
        transaction.name(descriptor.clone(), Some("new"));
        transaction
    };
    let transaction = put();
    assert_eq!(files_of(directory.path()).len(), before.len() + 1);
    drop(transaction);
    assert_eq!(files_of(directory.path()), before);

    assert!(put().commit(&AtomicBool::default()).unwrap());
    assert_eq!(files_of(directory.path()).len(), before.len() + 1);
    let again = Layout::open_directory(directory.path()).unwrap();
    let named = again.resolve(Some("new")).unwrap().unwrap();
    assert_eq!(named.digest, descriptor.digest);
}
