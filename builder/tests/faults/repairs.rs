//! Something of an index is lost or damaged in a layout: the same run again makes it whole, and says that it did.

use std::{collections::BTreeMap, fs, io::Read, path::PathBuf};

use bytes::Bytes;
use soci_testing::{
    image::{Image, Layer, files_of},
    program::{Ended, Program},
};
use tempfile::TempDir;

type Files = BTreeMap<PathBuf, Bytes>;

/// Two platforms, so that there is an image index; a file to prefetch, so that there is an artifact for it.
fn image() -> Image {
    Image::list([
        ("linux/amd64", Image::of([&Layer::noise(1, 90_000)])),
        (
            "linux/arm64",
            Image::for_platform("linux/arm64", [&Layer::noise(2, 90_000)]),
        ),
    ])
}

fn run(reference: &str, version: &str) -> Ended {
    let options = ["--json", "--min-layer-size", "0", "--span-size", "64KiB"];
    let program = Program::new([&["index", reference], &options[..]].concat());
    let program = program.argument("--prefetch-file").argument("noise");
    program
        .argument("--index-version")
        .argument(version)
        .run()
        .exits(0)
}

/// A place that a layout is in, whose files a test can set and see.
trait Place {
    fn reference(&self) -> String;
    fn files(&self) -> Files;
    fn write(&self, files: &Files);
}

struct Directory(TempDir);

impl Place for Directory {
    fn reference(&self) -> String {
        format!("oci:{}:v1", self.0.path().display())
    }

    fn files(&self) -> Files {
        let files = files_of(self.0.path()).into_iter();
        let inside = |path: PathBuf| path.strip_prefix(self.0.path()).unwrap().to_owned();
        files.map(|(path, bytes)| (inside(path), bytes)).collect()
    }

    fn write(&self, files: &Files) {
        for path in self.files().keys() {
            fs::remove_file(self.0.path().join(path)).unwrap();
        }
        for (path, bytes) in files {
            let path = self.0.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }
}

struct Archive(TempDir);

impl Archive {
    fn path(&self) -> PathBuf {
        self.0.path().join("image.tar")
    }
}

impl Place for Archive {
    fn reference(&self) -> String {
        format!("oci-archive:{}:v1", self.path().display())
    }

    fn files(&self) -> Files {
        let mut archive = tar::Archive::new(fs::File::open(self.path()).unwrap());
        let mut files = Files::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            let path = entry.path().unwrap().into_owned();
            assert!(files.insert(path, bytes.into()).is_none(), "twice in it");
        }
        files
    }

    fn write(&self, files: &Files) {
        fs::write(self.path(), soci_testing::image::tar_of(files)).unwrap();
    }
}

#[test]
fn what_is_lost_or_damaged_is_made_again() {
    let image = image();
    let (layout, _) = image.layout();
    let layout = Directory(layout);
    let places: [Box<dyn Place>; 2] = [
        Box::new(Directory(TempDir::new().unwrap())),
        Box::new(Archive(TempDir::new().unwrap())),
    ];
    for place in places {
        for (version, blobs) in [("v1", 6), ("v2", 9)] {
            repairs(&*place, &layout.files(), version, blobs);
        }
    }
}

fn repairs(place: &dyn Place, before: &Files, version: &str, blobs: usize) {
    place.write(before);
    assert_eq!(
        run(&place.reference(), version).json()["outcome"],
        "indexed"
    );
    let whole = place.files();
    let added = whole.keys().filter(|path| !before.contains_key(*path));
    let added: Vec<_> = added.cloned().collect();
    // The config, the spans to prefetch, which both platforms share, and a ztoc and an index each; version 2 has manifests and an
    // image index too.
    assert_eq!(added.len(), blobs);
    for path in added {
        let damaged = {
            let mut bytes = whole[&path].to_vec();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            Bytes::from(bytes)
        };
        for harm in [None, Some(damaged)] {
            let mut harmed = whole.clone();
            match harm {
                None => drop(harmed.remove(&path)),
                Some(bytes) => drop(harmed.insert(path.clone(), bytes)),
            }
            place.write(&harmed);
            let result = run(&place.reference(), version).json();
            let shown = (place.reference(), version, path.display());
            assert_eq!(result["outcome"], "indexed", "{shown:?}");
            assert!(place.files() == whole, "{shown:?}");
            let result = run(&place.reference(), version).json();
            assert_eq!(result["outcome"], "already-there", "{shown:?}");
        }
    }
}
