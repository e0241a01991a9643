//! Several builders at work on one layout.

use std::{path::Path, sync::Arc, thread};

use bytes::Bytes;
use soci_builder::{
    digest::Digest,
    layout::{Layout, Transaction},
    oci::Descriptor,
};

use crate::support::image::{Image, Layer, blob_path};

const BLOB: Bytes = Bytes::from_static(b"a blob of both");

fn descriptor(bytes: &[u8]) -> Descriptor {
    Descriptor::of("application/octet-stream", bytes)
}

fn begin(directory: &Path) -> Transaction {
    Transaction::begin(&Arc::new(Layout::open_directory(directory).unwrap()))
}

#[test]
fn who_fails_leaves_what_another_has_committed() {
    let (directory, _) = Image::of([&Layer::noise(1, 9_000)]).layout();
    let digest = Digest::of(&BLOB);
    let own = Bytes::from_static(b"a blob of the one that fails");
    let failing = begin(directory.path());
    failing.put_blob(&digest, &BLOB).unwrap();
    failing.put_blob(&Digest::of(&own), &own).unwrap();

    let other = begin(directory.path());
    other.put_blob(&digest, &BLOB).unwrap();
    other.name(descriptor(&BLOB), Some("new"));
    other.commit().unwrap();
    drop(other);

    drop(failing);
    assert!(blob_path(directory.path(), &digest).exists());
    assert!(!blob_path(directory.path(), &Digest::of(&own)).exists());
}

#[test]
fn who_fails_leaves_what_another_counts_on() {
    let (directory, _) = Image::of([&Layer::noise(1, 9_000)]).layout();
    let digest = Digest::of(&BLOB);
    let failing = begin(directory.path());
    failing.put_blob(&digest, &BLOB).unwrap();
    let other = begin(directory.path());
    other.put_blob(&digest, &BLOB).unwrap();
    drop(failing);

    other.name(descriptor(&BLOB), Some("new"));
    other.commit().unwrap();
    drop(other);
    assert!(blob_path(directory.path(), &digest).exists());
}

#[test]
fn a_blob_deep_below_a_tag_stays() {
    let (directory, _) = Image::of([&Layer::noise(1, 9_000)]).layout();
    let image = Image::list([("linux/amd64", Image::of([&Layer::noise(2, 9_000)]))]);
    let (root_type, root) = image.manifests().last().unwrap();
    let failing = begin(directory.path());
    let other = begin(directory.path());
    let manifests = image.manifests().iter().map(|(_, bytes)| bytes);
    for bytes in image
        .blobs()
        .iter()
        .map(|(_, bytes)| bytes)
        .chain(manifests)
    {
        failing.put_blob(&Digest::of(bytes), bytes).unwrap();
    }
    other.name(Descriptor::of(root_type, root), Some("new"));
    other.commit().unwrap();
    drop(other);
    drop(failing);
    for (digest, _) in image.blobs() {
        assert!(blob_path(directory.path(), digest).exists());
    }
}

#[test]
fn many_at_once_lose_nothing() {
    let (directory, _) = Image::of([&Layer::noise(1, 9_000)]).layout();
    thread::scope(|threads| {
        for number in 0..8 {
            let directory = directory.path();
            threads.spawn(move || {
                let bytes = Bytes::from(format!("blob {number}"));
                let transaction = begin(directory);
                transaction.put_blob(&Digest::of(&bytes), &bytes).unwrap();
                transaction.name(descriptor(&bytes), Some(&format!("tag-{number}")));
                transaction.name(descriptor(&bytes), Some("one"));
                assert!(transaction.commit().unwrap());
            });
        }
    });
    let layout = Layout::open_directory(directory.path()).unwrap();
    let named = |tag: &str| layout.resolve(Some(tag)).unwrap().unwrap().digest;
    for number in 0..8 {
        let digest = named(&format!("tag-{number}"));
        assert_eq!(digest, Digest::of(format!("blob {number}").as_bytes()));
        assert!(layout.blob(&digest).unwrap().is_some());
    }
    assert!((0..8).any(|number| named("one") == named(&format!("tag-{number}"))));
}
