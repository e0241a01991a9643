//! `--copy-to`: an image is mirrored and indexed in one pass.

use std::fs::File;

use serde_json::{Value, json};
use soci_format::digest::Digest;
use soci_testing::{
    fake_registry::{FakeRegistry, Fault, Recorded, Route, Settings},
    image::{Image, Layer, REPOSITORY, Types},
    program::{Ended, Program, wait_until},
};

use crate::index;

const MIRROR: &str = "mirror/app";

const FOREIGN: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";

/// A registry to copy from, and one to copy into.
struct Two {
    source: FakeRegistry,
    target: FakeRegistry,
}

impl Two {
    fn start() -> Self {
        Self {
            source: FakeRegistry::start(),
            target: FakeRegistry::start(),
        }
    }

    fn repository(&self) -> String {
        format!("{}/{MIRROR}", self.target.host())
    }

    /// Copies what `reference` names.
    fn copy(&self, reference: &str, more: &[&str]) -> Ended {
        let repository = self.repository();
        index(reference, &[&["--copy-to", &repository], more].concat())
    }

    /// The same, with an index of the layers of 1,000 bytes and more only.
    fn copy_large(&self, reference: &str) -> Ended {
        let repository = self.repository();
        let options = ["--json", "--min-layer-size", "1000", "--copy-to"];
        Program::new([&["index", reference], &options[..], &[&repository]].concat()).run()
    }

    fn tag(&self, tag: &str) -> Option<String> {
        let tagged = self.target.tagged(MIRROR, tag);
        tagged.map(|(digest, _)| digest.to_string())
    }

    /// Asserts that the target has all of `image`, byte for byte.
    fn has(&self, image: &Image) {
        for (digest, bytes) in image.blobs() {
            assert_eq!(self.target.blob(digest).as_ref(), Some(bytes), "{digest}");
        }
        for (_, bytes) in image.manifests() {
            let digest = Digest::of(bytes);
            assert_eq!(self.target.manifest(MIRROR, &digest).as_ref(), Some(bytes));
        }
    }

    /// An image of one layer, of which the target has all the rest; with its reference.
    fn lacking(&self, layer: &Layer) -> (Image, String) {
        let image = Image::list([("linux/amd64", Image::of([layer]))]);
        let reference = image.push(&self.source, "v1");
        for (digest, bytes) in image.blobs() {
            if *digest != layer.digest {
                self.target.put_blob(bytes.clone());
            }
        }
        (image, reference)
    }

    fn uploads(&self) -> usize {
        self.target.requests_to(Route::PatchUpload).len()
    }
}

/// What BuildKit adds to an image.
fn attestation(of: &Image) -> (Value, Image) {
    let says = json!({
        "platform": {"os": "unknown", "architecture": "unknown"},
        "annotations": {
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": of.digest(),
        },
    });
    let statement = Layer::of("application/vnd.in-toto+json", "{}");
    (says, Image::of([&statement]))
}

/// An image as those that are public: several platforms that share a layer, each with an attestation.
fn public(layers: &[Layer]) -> Image {
    let [shared, rest @ ..] = layers else {
        panic!("no layers");
    };
    let mut entries = Vec::new();
    for (name, own) in ["linux/amd64", "linux/arm64", "linux/arm/v7"]
        .iter()
        .zip(rest)
    {
        let image = Image::for_platform(name, [shared, own]);
        let mut parts = name.split('/');
        let mut platform = json!({"os": parts.next(), "architecture": parts.next()});
        if let Some(variant) = parts.next() {
            platform["variant"] = variant.into();
        }
        let attested = attestation(&image);
        entries.push((json!({"platform": platform}), image));
        entries.push(attested);
    }
    Image::index(entries)
}

fn layers() -> Vec<Layer> {
    let sizes = [90_000, 60_000, 300, 70_000];
    (1..)
        .zip(sizes)
        .map(|(seed, size)| Layer::noise(seed, size))
        .collect()
}

#[test]
fn an_image_is_mirrored_and_indexed_in_one_pass() {
    let two = Two::start();
    let layers = layers();
    let image = public(&layers);
    let reference = image.push(&two.source, "v1");
    let result = two.copy_large(&reference).exits(0).json();
    assert_eq!(result["outcome"], "indexed");
    assert_eq!(result["image_digest"], image.digest().to_string());
    assert_eq!(
        result["layers"],
        json!({"indexed": 3, "reused": 0, "skipped": 1})
    );
    two.has(&image);
    assert_eq!(two.tag("v1"), Some(image.digest().to_string()));
    assert_eq!(json!(two.tag("v1-soci")), result["output_digest"]);
    for layer in &layers {
        assert_eq!(two.source.reads_of(&layer.digest), 1);
        assert_eq!(two.source.served(&layer.digest), layer.size as u64);
    }
    // So is every manifest: public registries count them.
    for request in two.source.requests_to(Route::ReadManifest) {
        let all = two.source.requests_to(Route::ReadManifest);
        let same = |one: &&Recorded| one.method == "GET" && one.path == request.path;
        assert_eq!(all.iter().filter(same).count(), 1, "{}", request.path);
    }
    let bytes: usize = layers.iter().map(|layer| layer.size).sum();
    let copy = &result["copy"];
    assert_eq!(copy["image"], format!("{}:v1", two.repository()));
    // The three configs and the attestations', and what these state.
    let blobs = image.blobs().iter().map(|(digest, _)| digest);
    let blobs: std::collections::HashSet<_> = blobs.collect();
    assert_eq!(copy["uploaded"], blobs.len());
    assert!(result["bytes_read"].as_u64().unwrap() >= bytes as u64);
    assert_eq!(result["bytes_read"], copy["bytes_uploaded"]);

    // As ECR and others want it: with a length.
    for request in two.target.requests_to(Route::PatchUpload) {
        let length = request.header("content-length").unwrap();
        assert_eq!(length, request.body.len().to_string());
    }

    // The same as copying it first and indexing it then.
    let copied = FakeRegistry::start();
    let reference = image.push(&copied, "v1");
    let arguments = ["index", &reference, "--json", "--min-layer-size", "1000"];
    let indexed = Program::new(arguments).run().exits(0).json();
    assert_eq!(indexed["output_digest"], result["output_digest"]);
    assert_eq!(indexed["indexes"], result["indexes"]);
    assert!(indexed.get("copy").is_none());
    let output = format!("{}:v1-soci", two.repository());
    let _ = Program::new(["verify", &output]).run().exits(0);
}

/// The tags come last: that of the image, then that of the index.
#[test]
fn nothing_is_named_before_it_is_there() {
    let two = Two::start();
    let image = public(&layers());
    let _ = two.copy(&image.push(&two.source, "v1"), &[]).exits(0);
    let requests = two.target.requests();
    let names: Vec<_> = requests
        .iter()
        .filter(|request| request.method == "PUT")
        .map(|request| request.path.rsplit('/').next().unwrap())
        .collect();
    assert_eq!(names[names.len() - 2..], ["v1", "v1-soci"]);
    let root = image.digest().to_string();
    let place = |name: &str| names.iter().position(|put| *put == name).unwrap();
    for (_, manifest) in &image.manifests()[..image.manifests().len() - 1] {
        assert!(place(&Digest::of(manifest).to_string()) < place(&root));
    }
}

#[test]
fn a_second_run_finds_all_of_it() {
    let two = Two::start();
    let layers = layers();
    let reference = public(&layers).push(&two.source, "v1");
    for more in [&[][..], &["--index-version", "v1"]] {
        let first = two.copy(&reference, more).exits(0).json();
        let downloads = two.source.requests_to(Route::ReadBlob).len();
        let (uploads, pushes) = (
            two.uploads(),
            two.target.requests_to(Route::PushManifest).len(),
        );
        let second = two.copy(&reference, more).exits(0).json();
        assert_eq!(second["outcome"], "already-there", "{more:?}");
        assert_eq!(second["output_digest"], first["output_digest"]);
        assert_eq!(second["copy"]["uploaded"], 0);
        assert_eq!(two.uploads(), uploads);
        assert_eq!(two.source.requests_to(Route::ReadBlob).len(), downloads);
        let now = two.target.requests_to(Route::PushManifest).len();
        assert_eq!(now, pushes);
    }
    // What was lost since is copied again, and nothing else.
    let lost = public(&layers).manifests()[1].1.clone();
    two.target.forget_manifest(MIRROR, &Digest::of(&lost));
    let third = two.copy(&reference, &[]).exits(0).json();
    assert_eq!(third["copy"]["uploaded"], 0);
    two.has(&public(&layers));
}

#[test]
fn what_the_target_has_is_not_uploaded_and_read_only_to_be_indexed() {
    let two = Two::start();
    let layers = layers();
    two.target.put_blob(layers[0].bytes.clone());
    two.target.put_blob(layers[2].bytes.clone());
    let reference = public(&layers).push(&two.source, "v1");
    let result = two.copy_large(&reference).exits(0).json();
    assert_eq!(result["copy"]["present"], 2);
    assert_eq!(two.source.reads_of(&layers[0].digest), 1);
    assert_eq!(two.source.reads_of(&layers[2].digest), 0);
    let put = two.target.requests_to(Route::FinishUpload);
    let again = layers[0].digest.to_string();
    assert!(!put.iter().any(|request| request.query.contains(&again)));
}

#[test]
fn a_new_release_is_copied_and_indexed_where_it_differs() {
    let two = Two::start();
    let (base, old, new) = (
        Layer::noise(1, 90_000),
        Layer::noise(2, 5_000),
        Layer::noise(3, 6_000),
    );
    let first = Image::of([&base, &old]).push(&two.source, "v1");
    let _ = two.copy(&first, &[]).exits(0);
    let second = Image::of([&base, &new]).push(&two.source, "v2");
    let result = two
        .copy(&second, &["--reuse-from", "v1-soci"])
        .exits(0)
        .json();
    assert_eq!(
        result["layers"],
        json!({"indexed": 1, "reused": 1, "skipped": 0})
    );
    assert_eq!(two.source.reads_of(&base.digest), 1);

    // A layer that has a ztoc and is not there is copied without being inflated.
    let other = format!("{}/mirror/other", two.target.host());
    assert_eq!(two.source.reads_of(&old.digest), 1);
    let result = index(&second, &["--copy-to", &other]).exits(0).json();
    assert_eq!(result["output_tag"], "v2-soci");
}

#[test]
fn several_images_are_copied_with_their_tags() {
    let two = Two::start();
    let shared = Layer::noise(1, 90_000);
    let images: Vec<_> = (1..=3)
        .map(|number| {
            let image = Image::of([&shared, &Layer::noise(10 + number, 5_000)]);
            image.push(&two.source, &format!("v{number}"))
        })
        .collect();
    let repository = two.repository();
    let options = ["--json", "--min-layer-size", "0", "--copy-to", &repository];
    let references: Vec<&str> = images.iter().map(String::as_str).collect();
    let ended = Program::new([&["index"], &references[..], &options].concat()).run();
    let ended = ended.exits(0);
    assert_eq!(ended.stdout.lines().count(), 3);
    for tag in ["v1", "v1-soci", "v2", "v2-soci", "v3", "v3-soci"] {
        assert!(two.tag(tag).is_some(), "{tag}");
    }
    assert_eq!(two.source.reads_of(&shared.digest), 1);
    assert_eq!(two.source.served(&shared.digest), shared.size as u64);
}

#[test]
fn one_platform_is_copied_as_an_image_of_its_own() {
    let two = Two::start();
    let layers = layers();
    let image = public(&layers);
    let reference = image.push(&two.source, "v1");
    let arm64 = Image::for_platform("linux/arm64", [&layers[0], &layers[2]]);
    let result = two
        .copy(&reference, &["--platform", "linux/arm64"])
        .exits(0)
        .json();
    assert_eq!(two.tag("v1"), Some(arm64.digest().to_string()));
    assert_eq!(result["image_digest"], arm64.digest().to_string());
    assert_eq!(two.source.reads_of(&layers[1].digest), 0);
    two.has(&arm64);
    assert_eq!(two.target.manifest(MIRROR, &image.digest()), None);
    // As if that image had been there alone.
    let alone = FakeRegistry::start();
    let alone = index(&arm64.push(&alone, "v1"), &[]).exits(0).json();
    assert_eq!(alone["output_digest"], result["output_digest"]);
}

#[test]
fn version_1_is_attached_to_the_copy() {
    let two = Two::start();
    let image = public(&layers());
    let reference = image.push(&two.source, "v1");
    let result = two
        .copy(&reference, &["--index-version", "v1"])
        .exits(0)
        .json();
    assert_eq!(two.tag("v1"), Some(image.digest().to_string()));
    assert_eq!(result["output_digest"], image.digest().to_string());
    assert_eq!(result["output_tag"], "v1");
    assert_eq!(two.tag("v1-soci"), None);
    let copy = format!("{}:v1", two.repository());
    let info = Program::new(["info", &copy, "--json"])
        .run()
        .exits(0)
        .json();
    assert_eq!(info["platforms"][0]["indexes"][0]["version"], "v1");
}

#[test]
fn the_copy_is_named_as_it_is_asked_to_be() {
    let two = Two::start();
    let image = Image::of([&Layer::noise(1, 9_000)]);
    let reference = image.push(&two.source, "v1");
    let tagged = format!("{}:stable", two.repository());
    let result = index(&reference, &["--copy-to", &tagged]).exits(0).json();
    assert_eq!(two.tag("stable"), Some(image.digest().to_string()));
    assert_eq!(result["output_tag"], "stable-soci");
    assert_eq!(two.tag("v1"), None);

    // Under a tag that both want, the index is.
    let tags = ["--output-tag", "v1", "--output-tag", "lazy"];
    let result = two.copy(&reference, &tags).exits(0).json();
    assert_eq!(json!(two.tag("v1")), result["output_digest"]);
    assert_eq!(json!(two.tag("lazy")), result["output_digest"]);

    // A digest has no tag.
    let by_digest = format!("{}/{REPOSITORY}@{}", two.source.host(), image.digest());
    let ended = two.copy(&by_digest, &[]).exits(2);
    assert!(
        ended.stderr.contains("set one with --output-tag"),
        "{ended:?}"
    );
    let result = two.copy(&by_digest, &["--output-tag", "x"]).exits(0).json();
    let digest = format!("{}@{}", two.repository(), image.digest());
    assert_eq!(result["copy"]["image"], digest);
}

#[test]
fn layouts_and_archives_are_copied_too() {
    let image = public(&layers());
    let registry = FakeRegistry::start();
    let expected = index(&image.push(&registry, "v1"), &[]).exits(0).json();
    let (layout, reference) = image.layout();
    let path = layout.path().join("image.tar");
    let mut archive = tar::Builder::new(File::create(&path).unwrap());
    let folder = reference
        .strip_prefix("oci:")
        .unwrap()
        .strip_suffix(":v1")
        .unwrap();
    for name in ["oci-layout", "index.json", "blobs"] {
        let from = std::path::Path::new(folder).join(name);
        match from.is_dir() {
            true => archive.append_dir_all(name, &from).unwrap(),
            false => archive.append_path_with_name(&from, name).unwrap(),
        }
    }
    archive.finish().unwrap();
    let before = std::fs::read(&path).unwrap();
    let as_file = format!("oci-archive:{}:v1", path.display());
    for reference in [&*reference, &as_file, "oci-archive:-"] {
        let two = Two::start();
        let repository = two.repository();
        let options = ["--json", "--min-layer-size", "0", "--copy-to", &repository];
        let run = Program::new([&["index", reference], &options[..]].concat());
        let ended = run.stdin(File::open(&path).unwrap()).run().exits(0);
        assert_eq!(ended.json()["output_digest"], expected["output_digest"]);
        assert_eq!(two.tag("v1"), Some(image.digest().to_string()));
        two.has(&image);
    }
    // Nothing is written into what is copied.
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn what_gets_no_index_is_copied_too() {
    let two = Two::start();
    let zstd = Layer::zstd();
    let foreign = Layer {
        urls: vec!["https://elsewhere.example/layer".to_owned()],
        ..Layer::of(FOREIGN, Layer::noise(3, 5_000).bytes)
    };
    let image = Image::of([&Layer::noise(1, 9_000), &zstd, &foreign]);
    let reference = image.push(&two.source, "v1");
    let result = two.copy(&reference, &[]).exits(0).json();
    assert_eq!(
        result["layers"],
        json!({"indexed": 1, "reused": 0, "skipped": 2})
    );
    assert_eq!(two.target.blob(&foreign.digest), None);
    assert_eq!(two.source.reads_of(&foreign.digest), 0);
    assert!(two.target.blob(&zstd.digest).is_some());
    assert_eq!(two.tag("v1"), Some(image.digest().to_string()));

    // An image that must have an index and cannot is not copied at all.
    let two = Two::start();
    let reference = Image::of([&zstd]).push(&two.source, "v1");
    let result = two.copy(&reference, &[]).exits(3).json();
    assert!(result.get("copy").is_none());
    assert_eq!((two.tag("v1"), two.uploads()), (None, 0));
    let original = ["--when-unsupported", "use-original"];
    for _ in 0..2 {
        let result = two.copy(&reference, &original).exits(0).json();
        assert_eq!(result["outcome"], "unsupported");
        assert_eq!(two.tag("v1"), two.tag("v1-soci"));
    }
    assert!(two.tag("v1").is_some());
    assert_eq!(two.source.reads_of(&zstd.digest), 1);
}

#[test]
fn a_layer_whose_content_cannot_be_indexed_is_copied_all_the_same() {
    let two = Two::start();
    let broken = Layer::plain(vec![1; 5_000]);
    let image = Image::of([&Layer::noise(1, 9_000), &broken]);
    let reference = image.push(&two.source, "v1");
    let ended = two.copy(&reference, &[]).exits(0);
    assert_eq!(ended.json()["layers"]["skipped"], 1);
    two.has(&image);
    let strict = Two::start();
    strict
        .copy(&reference, &["--strict"])
        .fails_with(&["cannot index layer 2 of 2"]);
    assert_eq!(strict.tag("v1"), None);
}

/// As it would be without an index: with its ztocs, which are blobs as all others.
#[test]
fn an_image_that_has_an_index_brings_it_along() {
    let two = Two::start();
    let layer = Layer::noise(1, 9_000);
    let reference = Image::of([&layer]).push(&two.source, "v1");
    let indexed = index(&reference, &[]).exits(0).json();
    let reference = reference.replace(":v1", ":v1-soci");
    let result = two.copy(&reference, &["--output-tag", "again"]).exits(0);
    assert_eq!(json!(two.tag("v1-soci")), indexed["output_digest"]);
    assert_eq!(json!(two.tag("again")), result.json()["output_digest"]);
    for tag in ["v1-soci", "again"] {
        let copy = format!("{}:{tag}", two.repository());
        let _ = Program::new(["verify", &copy]).run().exits(0);
    }
}

#[test]
fn docker_s_types_are_copied_as_they_are() {
    let two = Two::start();
    let layer = Layer::noise(1, 9_000);
    let image = Image::list_of_types(
        Types::Docker,
        [(
            "linux/amd64",
            Image::of_types(Types::Docker, "linux/amd64", [&layer]),
        )],
    );
    let _ = two.copy(&image.push(&two.source, "v1"), &[]).exits(0);
    two.has(&image);
}

#[test]
fn misuse_is_refused_before_anything_is_asked() {
    let two = Two::start();
    let images = ["v1", "v2"].map(|tag| Image::of([&Layer::noise(1, 100)]).push(&two.source, tag));
    let repository = two.repository();
    let tagged = format!("{repository}:x");
    let other = images[0].replace(REPOSITORY, "other/app");
    for (arguments, words) in [
        (
            &[&*images[0], "--copy-to", "oci:layout"][..],
            "it is an OCI layout",
        ),
        (&[&images[0], "--copy-to", "app:v1"], "host is missing"),
        (
            &[&*images[0], &*images[1], "--copy-to", &tagged],
            "without a tag for several images",
        ),
        (
            &[&*images[0], &*other, "--copy-to", &repository],
            "both be copied to the tag v1",
        ),
        (
            &[
                &images[0],
                "--copy-to",
                &repository,
                "--platform",
                "linux/amd64",
                "--platform",
                "linux/arm64",
            ],
            "give --platform once",
        ),
    ] {
        let ended = Program::new([&["index"], arguments].concat())
            .run()
            .exits(2);
        assert!(ended.stderr.contains(words), "{arguments:?}: {ended:?}");
    }
    assert!(two.source.requests().is_empty() && two.target.requests().is_empty());
}

#[test]
fn a_download_that_breaks_off_is_resumed_into_the_same_upload() {
    let two = Two::start();
    let layer = Layer::noise(1, 300_000);
    let (image, reference) = two.lacking(&layer);
    two.source
        .fail(Route::ReadBlob, Fault::Cut { after: 100_000 })
        .times(1);
    let _ = two.copy(&reference, &[]).exits(0);
    two.has(&image);
    let ranges = two.source.requests_to(Route::ReadBlob);
    assert!(
        ranges
            .iter()
            .any(|request| request.header("range").is_some())
    );
    assert_eq!(two.uploads(), 1);
}

#[test]
fn an_upload_that_fails_is_begun_anew_and_reads_the_layer_again() {
    for route in [Route::StartUpload, Route::PatchUpload, Route::FinishUpload] {
        let two = Two::start();
        let layer = Layer::noise(1, 300_000);
        let (image, reference) = two.lacking(&layer);
        two.target
            .fail(route, Fault::status(503, "UNAVAILABLE"))
            .times(2);
        let ended = two.copy(&reference, &[]).exits(0);
        two.has(&image);
        assert_eq!(json!(two.tag("v1-soci")), ended.json()["output_digest"]);
        // It is only lost bytes that have to be read again.
        let again = route == Route::PatchUpload;
        assert_eq!(two.source.reads_of(&layer.digest) > 1, again, "{route:?}");
        let told = ended.stderr.contains("the layer is read again");
        assert_eq!(told, again, "{ended:?}");
    }
}

#[test]
fn bytes_that_were_corrupted_on_their_way_are_sent_again() {
    // Whether the layer is indexed or only copied.
    for size in ["0", "10MiB"] {
        let two = Two::start();
        let (image, reference) = two.lacking(&Layer::noise(1, 300_000));
        two.target
            .fail(Route::FinishUpload, Fault::status(400, "DIGEST_INVALID"))
            .times(2);
        let repository = two.repository();
        let options = ["--copy-to", &repository, "--min-layer-size", size];
        let _ = Program::new([&["index", &reference], &options[..]].concat())
            .run()
            .exits(0);
        two.has(&image);
        assert_eq!(two.uploads(), 3);
    }
}

#[test]
fn a_lost_answer_is_no_failure() {
    let two = Two::start();
    let (image, reference) = two.lacking(&Layer::noise(1, 300_000));
    two.target
        .fail(Route::FinishUpload, Fault::Cut { after: 0 })
        .times(2);
    let _ = two.copy(&reference, &[]).exits(0);
    two.has(&image);
}

#[test]
fn a_failed_copy_names_the_blob_and_tags_nothing() {
    for (route, status, code) in [
        (Route::StartUpload, 403, "DENIED"),
        (Route::PatchUpload, 413, "SIZE_INVALID"),
        (Route::PushManifest, 403, "DENIED"),
    ] {
        let two = Two::start();
        let reference = public(&layers()).push(&two.source, "v1");
        two.target.fail(route, Fault::status(status, code)).always();
        let words = match route {
            Route::PushManifest => "manifests",
            _ => "cannot copy blob sha256:",
        };
        two.copy(&reference, &[]).fails_with(&[words, code]);
        assert_eq!((two.tag("v1"), two.tag("v1-soci")), (None, None));
    }
}

#[test]
fn a_corrupt_layer_never_gets_there() {
    for size in ["0", "10MiB"] {
        let two = Two::start();
        let layer = Layer::noise(1, 90_000);
        let reference = Image::of([&layer]).push(&two.source, "v1");
        let mut bytes = layer.bytes.to_vec();
        bytes[45_000] ^= 1;
        two.source.put_blob_as(layer.digest, bytes);
        // Whether it is indexed or only copied.
        let repository = two.repository();
        let arguments = [
            "index",
            &reference,
            "--copy-to",
            &repository,
            "--min-layer-size",
            size,
        ];
        Program::new(arguments)
            .run()
            .fails_with(&["digest mismatch"]);
        assert_eq!(two.tag("v1"), None);
        let finished = two.target.requests_to(Route::FinishUpload);
        let digest = layer.digest.to_string();
        assert!(
            !finished
                .iter()
                .any(|request| request.query.contains(&digest))
        );
    }
}

#[test]
fn a_stopped_copy_tags_nothing() {
    let two = Two::start();
    let layer = Layer::noise(1, 300_000);
    let (_, reference) = two.lacking(&layer);
    two.source
        .fail(Route::ReadBlob, Fault::Silence { after: 100_000 })
        .always();
    let repository = two.repository();
    let arguments = [
        "index",
        &reference,
        "--min-layer-size",
        "0",
        "--copy-to",
        &repository,
    ];
    let running = Program::new(arguments).start();
    wait_until(|| two.source.served(&layer.digest) >= 100_000);
    running.signal("INT");
    running
        .wait()
        .fails_with(&["stopped by SIGINT; existing tags were not changed"]);
    assert_eq!((two.tag("v1"), two.tag("v1-soci")), (None, None));
}

#[test]
fn immutable_tags_of_the_mirror_are_kept() {
    let source = FakeRegistry::start();
    let target = FakeRegistry::with(Settings {
        immutable_tags: true,
        ..Settings::default()
    });
    let two = Two { source, target };
    let reference = Image::of([&Layer::noise(1, 9_000)]).push(&two.source, "v1");
    for _ in 0..2 {
        let _ = two.copy(&reference, &[]).exits(0);
    }
    let before = (two.tag("v1"), two.tag("v1-soci"));
    let moved = Image::of([&Layer::noise(2, 9_000)]).push(&two.source, "v1");
    two.copy(&moved, &[]).fails_with(&[
        "cannot put the tag v1 on",
        "(not put: v1, v1-soci)",
        "immutable",
    ]);
    assert_eq!((two.tag("v1"), two.tag("v1-soci")), before);
}
