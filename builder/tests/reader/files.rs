//! What is read through an index is what another program unpacks.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use soci_builder::reader::Reader;
use soci_format::tar::Kind;
use soci_testing::{
    fake_registry::FakeRegistry,
    image::{Image, Layer, noise, tar_of},
};
use tempfile::TempDir;

use crate::{indexed, open, read, read_file};

/// What a name leads to: its kind, its permissions and its contents.
type Files = BTreeMap<PathBuf, (&'static str, u32, Vec<u8>)>;

/// Archives `members` of a directory with GNU tar.
fn tar(directory: &Path, members: &[&str]) -> Vec<u8> {
    let made = Command::new("tar")
        .args(["--create", "--format=pax", "--sort=name", "--numeric-owner"])
        .arg("--directory")
        .arg(directory)
        .args(members)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    made.stdout
}

/// Everything in a directory, as the system sees it.
fn unpacked(root: &Path) -> Files {
    let (mut files, mut left) = (Files::new(), vec![root.to_owned()]);
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let metadata = path.symlink_metadata().unwrap();
            let name = path.strip_prefix(root).unwrap().to_owned();
            let (kind, contents) = if metadata.is_symlink() {
                let target = fs::read_link(&path).unwrap().into_os_string();
                ("symlink", target.into_encoded_bytes())
            } else if metadata.is_dir() {
                left.push(path);
                ("dir", Vec::new())
            } else {
                ("reg", fs::read(&path).unwrap())
            };
            // A link's own permissions mean nothing.
            let mode = match kind {
                "symlink" => 0,
                _ => metadata.permissions().mode() & 0o7777,
            };
            files.insert(name, (kind, mode, contents));
        }
    }
    files
}

/// Everything in an image, as the index shows it.
async fn through_the_index(reader: &Reader) -> Files {
    let tree = reader.tree();
    let mut files = Files::new();
    for (path, node) in tree.all(tree.find(b"/", true).unwrap()) {
        let inode = tree.inode(node);
        let contents = match inode.kind {
            Kind::Regular => read_file(reader, &path).await.unwrap(),
            Kind::Symlink => inode.link_name.clone(),
            _ => Vec::new(),
        };
        let mode = match inode.kind {
            Kind::Symlink => 0,
            _ => u32::try_from(inode.mode).unwrap(),
        };
        let path = PathBuf::from(String::from_utf8(path).unwrap());
        files.insert(path, (inode.kind.as_str(), mode, contents));
    }
    files
}

/// This package's own tree, with links of both kinds and some large files, under `app`.
fn sources(root: &Path) {
    let app = root.join("app");
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::create_dir(&app).unwrap();
    for part in ["src", "tests", "README.md"] {
        let copied = Command::new("cp")
            .arg("-r")
            .args([package.join(part), app.join(part)])
            .status();
        assert!(copied.unwrap().success());
    }
    fs::write(app.join("noise"), noise(3, 1_500_000)).unwrap();
    fs::write(app.join("zeros"), vec![0; 3_000_000]).unwrap();
    fs::write(app.join("empty"), "").unwrap();
    fs::hard_link(app.join("noise"), app.join("same-noise")).unwrap();
    symlink("../app/src", app.join("code")).unwrap();
    fs::create_dir(root.join(format!("app/{}", "long".repeat(40)))).unwrap();
}

#[tokio::test]
async fn every_file_is_the_one_that_tar_unpacks() {
    let (one, two) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    sources(one.path());
    let lower = tar(one.path(), &["app"]);
    // The upper layer writes through a link, replaces, hides and links to what lies below.
    let below = two.path().join("app");
    fs::create_dir_all(below.join("tests")).unwrap();
    fs::write(below.join("README.md"), "another").unwrap();
    fs::write(below.join(".wh.zeros"), "").unwrap();
    fs::write(below.join("tests/.wh..wh..opq"), "").unwrap();
    fs::write(below.join("tests/alone"), "alone").unwrap();
    let upper = tar(two.path(), &["app/README.md", "app/.wh.zeros", "app/tests"]);

    // What a runtime makes of it, by hand: tar unpacks, the two whiteouts take away.
    let root = TempDir::new().unwrap();
    let unpack = |archive: &[u8]| {
        let file = root.path().with_extension("tar");
        fs::write(&file, archive).unwrap();
        let mut unpack = Command::new("tar");
        unpack.args(["--extract", "--preserve-permissions", "--file"]);
        let done = unpack
            .arg(&file)
            .arg("--directory")
            .arg(root.path())
            .status();
        assert!(done.unwrap().success());
        fs::remove_file(file).unwrap();
    };
    unpack(&lower);
    let names = unpacked(root.path()).len();
    fs::remove_file(root.path().join("app/zeros")).unwrap();
    fs::remove_dir_all(root.path().join("app/tests")).unwrap();
    unpack(&upper);
    for mark in ["app/.wh.zeros", "app/tests/.wh..wh..opq"] {
        fs::remove_file(root.path().join(mark)).unwrap();
    }
    let right = unpacked(root.path());
    assert!(names > 100 && right.len() < names);
    let noise = root.path().join("app/noise");
    assert_eq!(noise.metadata().unwrap().nlink(), 2);

    for (layers, span_size) in [
        ([Layer::gzip(&lower), Layer::gzip(&upper)], "64KiB"),
        ([Layer::plain(lower.clone()), Layer::gzip(&upper)], "300000"),
        ([Layer::gzip(&lower), Layer::plain(upper.clone())], "1GiB"),
    ] {
        let (_layout, image) = Image::of(&layers).layout();
        let image = indexed(&image, &["--span-size", span_size]);
        let reader = open(&image).await.unwrap();
        assert!(reader.image.index.is_some());
        let found = through_the_index(&reader).await;
        let paths: Vec<_> = found.keys().collect();
        assert_eq!(paths, right.keys().collect::<Vec<_>>());
        for (path, right) in &right {
            assert!(found[path] == *right, "{} of {span_size}", path.display());
        }
        let tree = reader.tree();
        let node = |path: &[u8]| tree.find(path, true).unwrap();
        assert!(tree.are_same(node(b"app/noise"), node(b"app/same-noise")));
    }
}

#[tokio::test]
async fn layers_without_a_ztoc_are_read_whole_and_once() {
    let registry = FakeRegistry::start();
    let layers = [
        Layer::noise(1, 200_000),
        Layer::gzip(&tar_of([("etc/small", "text"), ("noise", "another")])),
    ];
    let image = Image::of(&layers).push(&registry, "v1");
    let tag = indexed(&image, &["--min-layer-size", "100000"]);
    let before = registry.served(&layers[1].digest);
    assert_eq!(read(&tag, "/etc/small").await.unwrap(), b"text");
    let fetched = registry.served(&layers[1].digest) - before;
    assert_eq!(fetched, layers[1].size as u64);
    assert_eq!(read(&tag, "noise").await.unwrap(), b"another");
    // An image without any index is read all the same.
    let reader = open(&image).await.unwrap();
    assert!(reader.image.index.is_none());
    assert_eq!(read_file(&reader, b"etc/small").await.unwrap(), b"text");
    let all: usize = layers.iter().map(|layer| layer.size).sum();
    assert_eq!(reader.bytes_read(), all as u64);
}

#[tokio::test]
async fn what_cannot_be_read_is_named() {
    let (_layout, image) = Image::of([&Layer::zstd()]).layout();
    let reader = open(&image).await.unwrap();
    let reason = reader.unknown[0].reason.to_string();
    assert!(reason.starts_with("layer 1 (sha256:"), "{reason}");
    assert!(reason.contains("no ztoc"), "{reason}");
    let error = reader.file(b"f").err().unwrap().to_string();
    assert!(
        error.starts_with("cannot find f, unless it is in layer 1 (sha256:"),
        "{error}"
    );

    let layer = Layer::gzip(&tar_of([("d/f", "text")]));
    let (_layout, image) = Image::of([&layer]).layout();
    let reader = open(&image).await.unwrap();
    for (path, words) in [
        (&b"d"[..], "d is a directory, not a regular file"),
        (b"d/x", "cannot find d/x"),
    ] {
        let error = reader.file(path).err().unwrap();
        assert!(error.to_string().contains(words), "{error}");
    }
}
