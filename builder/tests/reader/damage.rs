//! Every kind of damage to an index, with all digests made right again around it: found by `verify`, and named by its place.

use std::{fs, path::Path};

use serde_json::{Value, json};
use soci_format::{
    digest::Digest,
    index::{INDEX_DIGEST, LAYER_DIGEST, LAYER_MEDIA_TYPE, MANIFEST_DIGEST, SPAN_SIZE},
    ztoc::{FileMetadata, Toc, Ztoc},
};
use soci_testing::{
    image::{Image, Layer, blob_path, noise, tar_of},
    program::Program,
};
use tempfile::TempDir;

use crate::indexed;

/// An indexed image in a layout, to be changed and then written with right digests all the way up.
pub(crate) struct Index {
    layout: TempDir,
    pub(crate) ztocs: Vec<Ztoc>,
    soci_index: Value,
    manifest: Value,
    root: Value,
}

/// Text of many short blocks, each with matches into the one before.
fn letters() -> Vec<u8> {
    let mut letters = noise(7, 100_000);
    letters.iter_mut().for_each(|byte| *byte = b'a' + *byte % 4);
    letters
}

fn json_of(layout: &Path, digest: &Value) -> Value {
    let digest: Digest = digest.as_str().unwrap().parse().unwrap();
    serde_json::from_slice(&fs::read(blob_path(layout, &digest)).unwrap()).unwrap()
}

impl Index {
    /// Two layers, a compressed one of several spans and a plain one.
    pub(crate) fn new() -> Self {
        let files = [("a", noise(1, 90_000)), ("b", letters())];
        let layers = [
            Layer::gzip(&tar_of(files)),
            Layer::plain(tar_of([("c", noise(2, 50_000))])),
        ];
        let (layout, image) = Image::of(&layers).layout();
        indexed(&image, &["--span-size", "30000"]);
        let path = layout.path();
        let top: Value =
            serde_json::from_slice(&fs::read(path.join("index.json")).unwrap()).unwrap();
        let root = json_of(path, &top["manifests"][1]["digest"]);
        let manifest = json_of(path, &root["manifests"][0]["digest"]);
        let soci_index = json_of(path, &root["manifests"][1]["digest"]);
        let ztocs = soci_index["layers"].as_array().unwrap().iter();
        let ztocs = ztocs.map(|ztoc| {
            let digest: Digest = ztoc["digest"].as_str().unwrap().parse().unwrap();
            Ztoc::parse(&fs::read(blob_path(path, &digest)).unwrap()).unwrap()
        });
        let ztocs: Vec<_> = ztocs.collect();
        assert!(ztocs[0].span_digests.len() > 3 && ztocs[1].span_digests.len() == 2);
        Self {
            ztocs,
            soci_index,
            manifest,
            root,
            layout,
        }
    }

    fn put(&self, bytes: &[u8]) -> (Value, Value) {
        let digest = Digest::of(bytes);
        fs::write(blob_path(self.layout.path(), &digest), bytes).unwrap();
        (json!(digest), json!(bytes.len()))
    }

    /// Writes all of it, and runs `verify`. `links` is the last to change the manifests, when every digest is known.
    fn verified(self, links: impl FnOnce(&mut Value, &mut Value)) -> String {
        let (_layout, image) = self.written(links);
        let ended = Program::new(["verify", &image]).run();
        match ended.code {
            Some(0) => assert!(ended.stdout.ends_with("\nOK\n"), "{ended:?}"),
            Some(1) => assert!(ended.stderr.contains("verification of "), "{ended:?}"),
            _ => panic!("{ended:?}"),
        }
        ended.stdout
    }

    /// Writes all of it, and gives the layout with the image's reference.
    pub(crate) fn written(
        mut self,
        links: impl FnOnce(&mut Value, &mut Value),
    ) -> (TempDir, String) {
        for number in 0..self.ztocs.len() {
            let (digest, size) = self.put(&self.ztocs[number].clone().into_bytes());
            let entry = &mut self.soci_index["layers"][number];
            (entry["digest"], entry["size"]) = (digest, size);
        }
        let (digest, size) = self.put(self.soci_index.to_string().as_bytes());
        self.manifest["annotations"][INDEX_DIGEST] = digest.clone();
        let entry = &mut self.root["manifests"][1];
        (entry["digest"], entry["size"]) = (digest, size);
        let (mut manifest, mut root) = (self.manifest.take(), self.root.take());
        links(&mut manifest, &mut root);
        let (digest, size) = self.put(manifest.to_string().as_bytes());
        let entry = &mut root["manifests"][0];
        (entry["digest"], entry["size"]) = (digest.clone(), size);
        let named = root.pointer_mut("/manifests/1/annotations");
        if let Some(named) = named.filter(|all| all[MANIFEST_DIGEST] != "wrong") {
            named[MANIFEST_DIGEST] = digest;
        }
        let media_type = root["mediaType"].clone();
        let (digest, size) = self.put(root.to_string().as_bytes());
        let top = json!({"schemaVersion": 2, "manifests": [{
            "mediaType": media_type, "digest": digest, "size": size,
            "annotations": {"org.opencontainers.image.ref.name": "damaged"}
        }]});
        let path = self.layout.path();
        fs::write(path.join("index.json"), top.to_string()).unwrap();
        let image = format!("oci:{}:damaged", path.display());
        (self.layout, image)
    }
}

fn with_ztoc(number: usize, change: impl FnOnce(&mut Ztoc)) -> String {
    let mut index = Index::new();
    change(&mut index.ztocs[number]);
    index.verified(|_, _| {})
}

/// Changes one entry of a ztoc.
fn with_entry(number: usize, change: impl Fn(&mut FileMetadata<'_>)) -> String {
    with_ztoc(0, |ztoc| {
        let mut toc = Toc::default();
        for (at, mut file) in ztoc.toc.iter().enumerate() {
            if at == number {
                change(&mut file);
            }
            toc.push(&file);
        }
        ztoc.toc = toc;
    })
}

#[track_caller]
fn says(said: &str, words: &[&str]) {
    for word in words {
        assert!(said.contains(word), "no {word:?} in: {said}");
    }
}

/// Bytes of a checkpoint before its window, and before all of them.
const FIXED: usize = 17;
const CHECKPOINT: usize = FIXED + 32_768;
const HEAD: usize = 12;

#[test]
fn what_is_written_again_unchanged_is_right() {
    says(&Index::new().verified(|_, _| {}), &["OK"]);
}

#[test]
fn a_span_digest() {
    let said = with_ztoc(0, |ztoc| ztoc.span_digests[2] = Digest::of(b"other"));
    says(
        &said,
        &[
            "! the digest of span 2 is sha256:",
            "! span 2: digest mismatch",
            "\n2 problems\n",
        ],
    );
    let said = with_ztoc(1, |ztoc| ztoc.span_digests[1] = Digest::of(b"other"));
    says(&said, &["the digest of span 1 is sha256:", "\n1 problem\n"]);
}

#[test]
fn a_checkpoint() {
    let change = |at: usize, by: u8| with_ztoc(0, |ztoc| ztoc.checkpoints[at] ^= by);
    let second = HEAD + 2 * CHECKPOINT;
    says(
        &change(second + FIXED + 32_000, 1),
        &["byte 32000 of the window of checkpoint 2 is 0x"],
    );
    says(
        &change(second, 1),
        &["the compressed offset of checkpoint 2 is"],
    );
    says(
        &change(second + 8, 1),
        &["the uncompressed offset of checkpoint 2 is", "! span 2: "],
    );
    says(
        &change(second + 16, 1),
        &["the number of bits of checkpoint 2 is"],
    );
    says(
        &change(4, 1),
        &["has spans of 30001 bytes, but its annotation"],
    );
}

#[test]
fn a_window_that_a_match_reaches() {
    let said = with_ztoc(0, |ztoc| {
        let last = ztoc.span_digests.len() - 1;
        let window = HEAD + last * CHECKPOINT + FIXED;
        ztoc.checkpoints[window..window + 32_768].fill(b'?');
    });
    says(
        &said,
        &["inflated from its checkpoint, it differs from the layer from uncompressed byte"],
    );
}

#[test]
fn an_entry() {
    says(
        &with_entry(1, |file| file.offset += 1),
        &[
            "the offset of entry 1 (b) is 91137, expected 91136",
            "\n1 problem\n",
        ],
    );
    says(
        &with_entry(1, |file| file.size -= 1),
        &["the size of entry 1 (b) is 99999, expected 100000"],
    );
    says(
        &with_entry(0, |file| file.name = b"A"),
        &["the name of entry 0 (a) is \"A\", expected \"a\""],
    );
    says(
        &with_entry(0, |file| file.mode = 0o777),
        &["the mode of entry 0 (a) is 511, expected 420"],
    );
    says(
        &with_entry(0, |file| file.xattrs = vec![(b"k", b"v")]),
        &["the PAX records of entry 0 (a) is [\"k\"=\"v\"], expected []"],
    );
    let said = with_ztoc(1, |ztoc| ztoc.toc = Toc::default());
    says(&said, &["the number of entries is 0, expected 1"]);
}

#[test]
fn the_sizes() {
    says(
        &with_ztoc(0, |ztoc| ztoc.compressed_size += 1),
        &["the layer's size is", "it was made for a layer of"],
    );
    says(
        &with_ztoc(0, |ztoc| ztoc.plain_size -= 512),
        &["the archive's size is"],
    );
}

#[test]
fn a_ztoc_that_is_gone() {
    let files = [("a", noise(1, 9_000))];
    let (layout, image) = Image::of([&Layer::gzip(&tar_of(files))]).layout();
    let image = indexed(&image, &[]);
    let info = Program::new(["info", &image, "--json"])
        .run()
        .exits(0)
        .json();
    let ztoc = &info["platforms"][0]["indexes"][0]["layers"][0]["ztoc"]["digest"];
    let ztoc: Digest = ztoc.as_str().unwrap().parse().unwrap();
    fs::remove_file(blob_path(layout.path(), &ztoc)).unwrap();
    let ended = Program::new(["verify", &image]).run().exits(1);
    says(
        &ended.stdout,
        &["its ztoc: blob ", &ztoc.to_string(), "not found"],
    );
}

#[test]
fn a_ztoc_s_descriptor() {
    let with = |change: &dyn Fn(&mut Value)| {
        let mut index = Index::new();
        change(&mut index.soci_index["layers"][0]);
        index.verified(|_, _| {})
    };
    let annotation = |key: &'static str, value: &'static str| {
        with(&|ztoc| ztoc["annotations"][key] = json!(value))
    };
    says(
        &annotation(LAYER_DIGEST, "sha256:0"),
        &[
            "! blob 1 (sha256:",
            LAYER_DIGEST,
            "says sha256:0, which is not a layer",
        ],
    );
    says(
        &annotation(LAYER_MEDIA_TYPE, "text/plain"),
        &["! blob 1 (sha256:", LAYER_MEDIA_TYPE, "says text/plain"],
    );
    says(
        &annotation(SPAN_SIZE, "1"),
        &[
            "has spans of 30000 bytes, but its annotation",
            SPAN_SIZE,
            "says 1",
        ],
    );
    says(
        &with(&|ztoc| ztoc["mediaType"] = json!("text/plain")),
        &["its media type \"text/plain\" is unknown"],
    );
}

#[test]
fn the_links_of_version_2() {
    let with = |change: fn(&mut Value, &mut Value)| Index::new().verified(change);
    says(
        &with(|_, root| root["manifests"][1]["annotations"][MANIFEST_DIGEST] = json!("wrong")),
        &[
            "its annotation",
            MANIFEST_DIGEST,
            "is wrong, but the image's manifest is sha256:",
        ],
    );
    says(
        &with(|_, root| root["manifests"][1]["platform"]["os"] = json!("plan9")),
        &["the image index lists it for plan9/amd64, not linux/amd64"],
    );
    says(
        &with(|manifest, _| {
            manifest["annotations"][INDEX_DIGEST] = json!(Digest::of(b"gone"));
        }),
        &[
            "SOCI index sha256:",
            "not found",
            "the image index lists the SOCI index sha256:",
        ],
    );
    says(
        &with(|_, root| {
            let entries = root["manifests"].as_array_mut().unwrap();
            entries.truncate(1);
        }),
        &["the image index does not list it"],
    );
}

#[test]
fn the_subject_of_version_1() {
    let files = [("a", noise(1, 9_000))];
    let layer = Layer::gzip(&tar_of(files));
    let (layout, image) = Image::of([&layer]).layout();
    let image = indexed(&image, &["--index-version", "v1"]);
    Program::new(["verify", &image])
        .run()
        .exits(0)
        .stdout
        .clear();
    let top = layout.path().join("index.json");
    let mut json: Value = serde_json::from_slice(&fs::read(&top).unwrap()).unwrap();
    let mut soci_index = json_of(layout.path(), &json["manifests"][1]["digest"]);
    soci_index["subject"]["size"] = json!(1);
    let bytes = soci_index.to_string();
    let digest = Digest::of(bytes.as_bytes());
    fs::write(blob_path(layout.path(), &digest), &bytes).unwrap();
    json["manifests"][1]["digest"] = json!(digest);
    json["manifests"][1]["size"] = json!(bytes.len());
    fs::write(&top, json.to_string()).unwrap();
    let ended = Program::new(["verify", &image]).run().exits(1);
    says(&ended.stdout, &["its subject is sha256:", "of 1 byte, but"]);
}
