//! Version 1: the index refers to the image, listed by the registry or under the referrers tag.

use serde_json::{Value, json};
use soci_builder::{
    digest::Digest,
    oci::media_type::{OCI_INDEX, OCI_MANIFEST},
};

use crate::{
    index,
    support::{
        fake_registry::{FakeRegistry, Route, Settings},
        image::{Image, Layer, REPOSITORY},
        program::Program,
    },
};

const V1: [&str; 2] = ["--index-version", "v1"];

fn without_lists() -> FakeRegistry {
    FakeRegistry::with(Settings {
        referrers_api: false,
        ..Settings::default()
    })
}

#[test]
fn an_index_is_found_again_either_way() {
    for registry in [FakeRegistry::start(), without_lists()] {
        let image = Image::of([&Layer::noise(1, 9_000)]);
        let reference = image.push(&registry, "v1");
        let first = index(&reference, &V1).exits(0).json();
        assert_eq!(first["outcome"], "indexed");
        assert_eq!(first["output_digest"], image.digest().to_string());
        assert_eq!(first["output_tag"], "v1");
        let soci_index: Digest = first["indexes"][0]["index_digest"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        let pushed = registry.manifest(REPOSITORY, &soci_index).unwrap();
        let pushed: Value = serde_json::from_slice(&pushed).unwrap();
        assert_eq!(pushed["subject"]["digest"], image.digest().to_string());

        let reads = registry.requests_to(Route::ReadBlob).len();
        let second = index(&reference, &V1).exits(0).json();
        assert_eq!(second["outcome"], "already-there");
        assert_eq!(second["bytes_read"], 0);
        // The config alone, which says the platform.
        assert_eq!(registry.requests_to(Route::ReadBlob).len(), reads + 1);

        let info = Program::new(["info", &reference, "--json"])
            .run()
            .exits(0)
            .json();
        let found = &info["platforms"][0]["indexes"][0];
        assert_eq!(found["index_digest"], first["indexes"][0]["index_digest"]);
    }
}

#[test]
fn what_others_put_under_the_tag_stays() {
    let registry = without_lists();
    let image = Image::of([&Layer::noise(1, 9_000)]);
    let reference = image.push(&registry, "v1");
    let theirs = json!({
        "mediaType": OCI_MANIFEST, "digest": Digest::of(b"signature"), "size": 9,
        "artifactType": "application/vnd.example.signature", "annotations": {"by": "another client"},
    });
    let list = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [theirs]});
    let tag = format!("sha256-{}", image.digest().hex());
    registry.put_manifest(REPOSITORY, Some(&tag), OCI_INDEX, list.to_string());

    let result = index(&reference, &V1).exits(0).json();
    let (_, list) = registry.tagged(REPOSITORY, &tag).unwrap();
    let list: Value = serde_json::from_slice(&list).unwrap();
    assert_eq!(list["manifests"][0], theirs);
    assert_eq!(
        list["manifests"][1]["digest"],
        result["indexes"][0]["index_digest"]
    );
    assert_eq!(list["manifests"].as_array().unwrap().len(), 2);
}
