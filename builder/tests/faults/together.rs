//! Several builders at work on one layout.

use std::{
    fs,
    io::Read,
    path::Path,
    sync::{Arc, atomic::AtomicBool},
    thread,
};

use bytes::Bytes;
use soci_format::{digest::Digest, oci::Descriptor};
use soci_store::layout::{Layout, Transaction};
use soci_testing::image::{Image, Layer, blob_path};
use tempfile::TempDir;

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
    other.commit(&AtomicBool::default()).unwrap();
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
    other.commit(&AtomicBool::default()).unwrap();
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
    other.commit(&AtomicBool::default()).unwrap();
    drop(other);
    drop(failing);
    for (digest, _) in image.blobs() {
        assert!(blob_path(directory.path(), digest).exists());
    }
}

#[test]
fn many_at_once_lose_nothing() {
    let (layout, _) = Image::of([&Layer::noise(1, 9_000)]).layout();
    let folder = TempDir::new().unwrap();
    let archive = folder.path().join("image.tar");
    archive_of(layout.path(), &archive);
    let in_directory = || Layout::open_directory(layout.path()).unwrap();
    let in_archive = || Layout::open_archive(&archive).unwrap();
    let opens: [&(dyn Fn() -> Layout + Sync); 2] = [&in_directory, &in_archive];
    for open in opens {
        let before = open();
        thread::scope(|threads| {
            for number in 0..8 {
                threads.spawn(move || {
                    let bytes = Bytes::from(format!("blob {number}"));
                    let transaction = Transaction::begin(&Arc::new(open()));
                    transaction.put_blob(&Digest::of(&bytes), &bytes).unwrap();
                    transaction.put_blob(&Digest::of(&BLOB), &BLOB).unwrap();
                    transaction.name(descriptor(&bytes), Some(&format!("tag-{number}")));
                    transaction.name(descriptor(&bytes), Some("one"));
                    assert!(transaction.commit(&AtomicBool::default()).unwrap());
                });
            }
        });
        let after = open();
        let named = |tag: &str| after.resolve(Some(tag)).unwrap().unwrap().digest;
        for number in 0..8 {
            let digest = named(&format!("tag-{number}"));
            assert_eq!(digest, Digest::of(format!("blob {number}").as_bytes()));
            assert!(after.blob(&digest).unwrap().is_some());
        }
        assert!((0..8).any(|number| named("one") == named(&format!("tag-{number}"))));
        assert!(after.blob(&Digest::of(&BLOB)).unwrap().is_some());
        assert!(before.resolve(Some("v1")).unwrap().is_some());
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn an_archive_is_read_on_while_another_takes_its_place() {
    let layer = Layer::noise(1, 90_000);
    let (layout, _) = Image::of([&layer]).layout();
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("image.tar");
    archive_of(layout.path(), &path);
    let reading = Layout::open_archive(&path).unwrap();
    let of_layer = Descriptor::new("", layer.digest, layer.size as u64);
    let mut begun = reading.open_blob(&of_layer).unwrap();
    let mut bytes = vec![0; 1_000];
    begun.read_exact(&mut bytes).unwrap();

    // What it had in front is behind now.
    let others = fs::read(&path).unwrap();
    let front = soci_testing::image::tar_of([("front", [1; 5_000])]);
    fs::remove_file(&path).unwrap();
    fs::write(&path, [&front[..front.len() - 1_024], &others].concat()).unwrap();
    begun.read_to_end(&mut bytes).unwrap();
    assert!(bytes == layer.bytes);
    assert!(reading.checked_size(&layer.digest).unwrap().is_some());

    let transaction = Transaction::begin(&Arc::new(reading));
    transaction.put_blob(&Digest::of(&BLOB), &BLOB).unwrap();
    transaction.name(descriptor(&BLOB), Some("new"));
    transaction.commit(&AtomicBool::default()).unwrap();
    let after = Layout::open_archive(&path).unwrap();
    for digest in [layer.digest, Digest::of(&BLOB)] {
        assert!(after.checked_size(&digest).unwrap().is_some());
    }
    assert!(
        fs::read(&path)
            .unwrap()
            .starts_with(&front[..front.len() - 1_024])
    );
}

#[test]
fn who_is_stopped_waits_for_no_lock() {
    let (layout, _) = Image::of([&Layer::noise(1, 9_000)]).layout();
    let lock = fs::File::open(layout.path().join("oci-layout")).unwrap();
    lock.lock().unwrap();
    let transaction = begin(layout.path());
    transaction.put_blob(&Digest::of(&BLOB), &BLOB).unwrap();
    transaction.name(descriptor(&BLOB), Some("new"));
    assert!(transaction.commit(&AtomicBool::new(true)).is_err());
    drop(transaction);
    assert!(!blob_path(layout.path(), &Digest::of(&BLOB)).exists());
}

fn archive_of(layout: &Path, to: &Path) {
    let mut archive = tar::Builder::new(fs::File::create(to).unwrap());
    archive.append_dir_all(".", layout).unwrap();
    archive.into_inner().unwrap();
}
