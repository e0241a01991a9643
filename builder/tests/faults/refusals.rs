//! What is wrong for good, so that no second try helps.

use serde_json::json;
use soci_format::{
    digest::Digest,
    oci::media_type::{OCI_CONFIG, OCI_INDEX, OCI_MANIFEST},
};
use soci_testing::{
    fake_registry::{FakeRegistry, Fault, Route, Settings},
    image::{Image, Layer, REPOSITORY},
};

use crate::{listed, output_of, output_tag, program};

/// Pushes an image, spoils something, and expects a failure in those words: once with the output tag not there, and once
/// with another image under it, which must stay.
#[track_caller]
fn fails(image: &Image, spoil: impl Fn(&FakeRegistry), words: &[&str]) {
    for is_there in [false, true] {
        let registry = FakeRegistry::start();
        let reference = image.push(&registry, "v1");
        let before = is_there.then(|| {
            let older = listed(&Layer::noise(99, 10));
            older.push(&registry, "v1-soci");
            older.digest()
        });
        spoil(&registry);
        let start = format!("soci-builder: cannot index {reference}: ");
        program(&reference)
            .run()
            .fails_with(&[&[&*start], words].concat());
        assert_eq!(output_tag(&registry), before);
    }
}

/// The middle one of three layers is `layer`; the others are well.
fn among_others(layer: &Layer) -> Image {
    Image::of([&Layer::noise(1, 40_000), layer, &Layer::noise(3, 30_000)])
}

#[test]
fn bytes_that_are_not_the_layers() {
    let whole = Layer::noise(2, 50_000);
    let second = format!("cannot index layer 2 of 3 ({})", whole.digest);
    let mut flipped = whole.clone();
    let mut bytes = flipped.bytes.to_vec();
    bytes[30_000] ^= 1;
    let found = Digest::of(&bytes).to_string();
    flipped.bytes = bytes.into();
    fails(
        &among_others(&flipped),
        |_| (),
        &[&second, "corrupt in the registry", &found],
    );

    let mut swapped = whole.clone();
    swapped.bytes = Layer::noise(7, 50_000).bytes;
    fails(&among_others(&swapped), |_| (), &[&second]);

    let mut cut = whole.clone();
    cut.bytes = cut.bytes.slice(..20_000);
    let size = whole.size.to_string();
    fails(
        &among_others(&cut),
        |_| (),
        &[&second, "received 20000 bytes, expected", &size],
    );

    for wrong in [whole.size - 1, whole.size + 1, 0] {
        let mut claimed = whole.clone();
        claimed.size = wrong;
        let expected = format!("received {} bytes, expected {wrong}", whole.size);
        fails(&among_others(&claimed), |_| (), &[&second, &expected]);
    }
}

#[test]
fn a_layer_that_is_gone() {
    let layer = Layer::noise(1, 9_000);
    let gone = |registry: &FakeRegistry| {
        registry
            .fail(Route::ReadBlob, Fault::status(404, "BLOB_UNKNOWN"))
            .always();
    };
    let first = format!("cannot index layer 1 of 1 ({})", layer.digest);
    fails(&listed(&layer), gone, &[&first, "404 BLOB_UNKNOWN"]);
}

#[test]
fn an_image_that_is_not_there() {
    let registry = FakeRegistry::start();
    let reference = format!("{}/{REPOSITORY}:v1", registry.host());
    program(&reference)
        .run()
        .fails_with(&["not found", &reference]);
    assert_eq!(output_tag(&registry), None);
}

#[test]
fn a_platform_that_is_not_there() {
    let registry = FakeRegistry::start();
    let image = listed(&Layer::noise(1, 9_000));
    let list = image.push(&registry, "v1");
    let other = FakeRegistry::start();
    let (_, bytes) = registry.tagged(REPOSITORY, "v1").unwrap();
    other.put_manifest(
        REPOSITORY,
        Some("v1"),
        soci_format::oci::media_type::OCI_INDEX,
        bytes,
    );
    let reference = list.replace(&registry.host(), &other.host());
    program(&reference)
        .run()
        .fails_with(&["no image is complete here", "its manifest is missing"]);
    assert_eq!(output_tag(&other), None);
}

#[test]
fn answers_that_are_not_what_was_asked_for() {
    let image = listed(&Layer::noise(1, 9_000));
    let web_page =
        |route| move |registry: &FakeRegistry| registry.fail(route, Fault::Html).always();
    fails(
        &image,
        web_page(Route::ReadManifest),
        &["text/html", "expected a manifest"],
    );
    fails(
        &image,
        web_page(Route::ReadBlob),
        &["layer 1 of 1", "received "],
    );
}

#[test]
fn manifests_that_cannot_be_read() {
    for (bytes, words) in [
        (vec![b' '; 10 << 20], "the response is longer than 4194304 bytes"),
        (b"{\"schemaVersion\":2,".to_vec(), ": not a manifest"),
        (b"[]".to_vec(), ": not a manifest"),
        (
            format!(
                r#"{{"schemaVersion":2,"config":{{"mediaType":"application/wasm","digest":"{}","size":2}},"layers":[]}}"#,
                Digest::of(b"{}")
            )
            .into_bytes(),
            "not a container image",
        ),
    ] {
        let registry = FakeRegistry::start();
        registry.put_manifest(REPOSITORY, Some("v1"), OCI_MANIFEST, bytes);
        let reference = format!("{}/{REPOSITORY}:v1", registry.host());
        program(&reference).run().fails_with(&[words]);
        assert_eq!(output_tag(&registry), None);
    }
}

/// What would take more memory than there is, if it were read.
#[test]
fn an_image_of_huge_parts() {
    let config =
        |size: u64| json!({"mediaType": OCI_CONFIG, "digest": Digest::of(b""), "size": size});
    let manifest = |size, note: String| json!({"schemaVersion": 2, "config": config(size), "layers": [], "note": note});
    let platform = json!({"os": "linux", "architecture": "arm"});
    let registry = FakeRegistry::start();
    let put = |tag, media_type, bytes: String| {
        let size = bytes.len();
        let digest = registry.put_manifest(REPOSITORY, tag, media_type, bytes);
        json!({"mediaType": media_type, "digest": digest, "size": size, "platform": platform})
    };
    put(
        Some("config"),
        OCI_MANIFEST,
        manifest(5 << 20, String::new()).to_string(),
    );
    let three = ["a", "b", "c"].map(|letter| {
        put(
            None,
            OCI_MANIFEST,
            manifest(2, letter.repeat(3 << 20)).to_string(),
        )
    });
    put(
        Some("list"),
        OCI_INDEX,
        json!({"schemaVersion": 2, "manifests": three}).to_string(),
    );
    for (tag, words) in [
        (
            "config",
            "the config of the image has 5242880 bytes; at most 4194304 are read",
        ),
        (
            "list",
            "the manifests of its platforms have more than 8388608 bytes together",
        ),
    ] {
        program(&format!("{}/{REPOSITORY}:{tag}", registry.host()))
            .run()
            .fails_with(&[words]);
    }
    assert_eq!(registry.requests_to(Route::ReadBlob).len(), 0);
}

#[test]
fn pushes_that_are_refused() {
    let image = listed(&Layer::noise(1, 90_000));
    for (route, code) in [
        (Route::StartUpload, "DENIED"),
        (Route::FinishUpload, "BLOB_UPLOAD_INVALID"),
        (Route::PushManifest, "MANIFEST_INVALID"),
    ] {
        let refuse =
            |registry: &FakeRegistry| registry.fail(route, Fault::status(403, code)).always();
        fails(&image, refuse, &["403", code, "this is"]);
    }
}

#[test]
fn a_blob_that_vanishes_after_its_push() {
    let image = listed(&Layer::noise(1, 90_000));
    let lose = |registry: &FakeRegistry| registry.fail(Route::FinishUpload, Fault::Lost).times(1);
    let words = [
        "verification of the pushed index failed: blob sha256:",
        "not found",
    ];
    fails(&image, lose, &words);
}

#[test]
fn an_immutable_tag_that_names_another_image() {
    let registry = FakeRegistry::with(Settings {
        immutable_tags: true,
        ..Settings::default()
    });
    let older = listed(&Layer::noise(99, 10));
    older.push(&registry, "v1-soci");
    let image = listed(&Layer::noise(1, 9_000));
    let reference = image.push(&registry, "v1");
    program(&reference).run().fails_with(&[
        "the tag v1-soci is immutable here",
        &older.digest().to_string(),
        &output_of(&image).to_string(),
        "choose another output tag",
    ]);
    assert_eq!(output_tag(&registry), Some(older.digest()));
}

#[test]
fn an_immutable_tag_that_is_right_already() {
    let registry = FakeRegistry::with(Settings {
        immutable_tags: true,
        ..Settings::default()
    });
    let image = listed(&Layer::noise(1, 9_000));
    let reference = image.push(&registry, "v1");
    assert_eq!(
        program(&reference).run().exits(0).json()["outcome"],
        "indexed"
    );
    assert_eq!(
        program(&reference).run().exits(0).json()["outcome"],
        "already-there"
    );
    assert_eq!(output_tag(&registry), Some(output_of(&image)));
}
