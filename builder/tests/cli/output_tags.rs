//! Several output tags: all name one image, and what becomes of them where one cannot be put.

use serde_json::json;
use soci_testing::{
    fake_registry::{FakeRegistry, Fault, Route, Settings},
    image::{Image, Layer, REPOSITORY},
    program::wait_until,
};

use crate::index;

const THREE: [&str; 6] = [
    "--output-tag",
    "a",
    "--output-tag",
    "b",
    "--output-tag",
    "c",
];

fn tag(registry: &FakeRegistry, tag: &str) -> Option<String> {
    let tagged = registry.tagged(REPOSITORY, tag);
    tagged.map(|(digest, _)| digest.to_string())
}

#[test]
fn all_tags_name_the_same_image() {
    let registry = FakeRegistry::start();
    let reference = Image::of([&Layer::noise(1, 9_000)]).push(&registry, "v1");
    let result = index(&reference, &[&THREE[..], &["--output-tag", "a"]].concat())
        .exits(0)
        .json();
    assert_eq!(result["output_tag"], "a");
    assert_eq!(result["output_tags"], json!(["a", "b", "c"]));
    for name in ["a", "b", "c"] {
        assert_eq!(json!(tag(&registry, name)), result["output_digest"]);
    }
    assert_eq!(tag(&registry, "v1-soci"), None);
    let pushes = registry.requests_to(Route::PushManifest).len();
    let again = index(&reference, &THREE).exits(0).json();
    assert_eq!(again["outcome"], "already-there");
    assert_eq!(registry.requests_to(Route::PushManifest).len(), pushes);

    // One more costs no reading.
    let more = index(&reference, &["--output-tag", "a", "--output-tag", "d"]);
    let more = more.exits(0).json();
    assert_eq!(more["bytes_read"], 0);
    assert_eq!(json!(tag(&registry, "d")), result["output_digest"]);
}

#[test]
fn the_original_gets_all_tags_too() {
    let registry = FakeRegistry::start();
    let image = Image::of([&Layer::zstd()]);
    let reference = image.push(&registry, "v1");
    let original = ["--when-unsupported", "use-original"];
    let more = [&THREE[..], &original].concat();
    for _ in 0..2 {
        let result = index(&reference, &more).exits(0).json();
        assert_eq!(result["output_tags"], json!(["a", "b", "c"]));
        assert_eq!(tag(&registry, "c"), Some(image.digest().to_string()));
    }
    // The image and its digest were there: three tags, each once.
    assert_eq!(registry.requests_to(Route::PushManifest).len(), 3);
}

#[test]
fn a_layout_gets_all_names() {
    let (_layout, image) = Image::of([&Layer::noise(1, 9_000)]).layout();
    let place = image.strip_suffix(":v1").unwrap();
    let result = index(&image, &THREE).exits(0).json();
    for name in ["a", "b", "c"] {
        let named = format!("{place}:{name}");
        let info = soci_testing::program::Program::new(["info", &named, "--json"]).run();
        assert_eq!(
            info.exits(0).json()["image_digest"],
            result["output_digest"]
        );
    }
    assert_eq!(
        index(&image, &THREE).exits(0).json()["outcome"],
        "already-there"
    );
}

#[test]
fn immutable_tags_that_are_there_already_are_no_obstacle() {
    let registry = FakeRegistry::with(Settings {
        immutable_tags: true,
        ..Settings::default()
    });
    let reference = Image::of([&Layer::noise(1, 9_000)]).push(&registry, "v1");
    let _ = index(&reference, &["--output-tag", "b"]).exits(0);
    let result = index(&reference, &THREE).exits(0).json();
    assert_eq!(json!(tag(&registry, "c")), result["output_digest"]);

    // Another image is behind the second of these: the third stays as it is.
    let other = Image::of([&Layer::noise(2, 9_000)]).push(&registry, "v2");
    let tags = [
        "--output-tag",
        "x",
        "--output-tag",
        "b",
        "--output-tag",
        "y",
    ];
    index(&other, &tags).fails_with(&[
        "cannot put the tag b on sha256:",
        "(put: x; not put: b, y)",
        "is immutable here",
    ]);
    assert!(tag(&registry, "x").is_some());
    assert_eq!(tag(&registry, "y"), None);
}

#[test]
fn the_first_refused_tag_leaves_all_others() {
    let registry = FakeRegistry::start();
    let reference = Image::of([&Layer::noise(1, 9_000)]).push(&registry, "v1");
    // The SOCI index and the platform's manifest come first.
    registry
        .fail(Route::PushManifest, Fault::Header("x-fine", "1".to_owned()))
        .times(2);
    registry
        .fail(Route::PushManifest, Fault::status(403, "DENIED"))
        .always();
    index(&reference, &THREE).fails_with(&["cannot put the tag a", "(not put: a, b, c)", "DENIED"]);
    for name in ["a", "b", "c"] {
        assert_eq!(tag(&registry, name), None);
    }
}

#[test]
fn whoever_stops_a_run_between_tags_is_told() {
    let registry = FakeRegistry::start();
    let reference = Image::of([&Layer::noise(1, 9_000)]).push(&registry, "v1");
    let fine = || Fault::Header("x-fine", "1".to_owned());
    registry.fail(Route::PushManifest, fine()).times(3);
    let never = std::sync::Arc::new(tokio::sync::Barrier::new(2));
    registry
        .fail(Route::PushManifest, Fault::Together(never))
        .always();
    let options = ["--json", "--min-layer-size", "0"];
    let arguments = [&["index", &reference], &options[..], &THREE].concat();
    let running = soci_testing::program::Program::new(arguments).start();
    wait_until(|| tag(&registry, "a").is_some());
    running.signal("TERM");
    let ended = running.wait().exits(1);
    assert!(
        ended.stderr.contains("some of the tags may have been put"),
        "{ended:?}"
    );
}
