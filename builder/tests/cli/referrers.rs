//! Version 1: the index refers to the image, listed by the registry or under the referrers tag.

use std::fs;

use serde_json::{Value, json};
use soci_format::{
    digest::Digest,
    oci::media_type::{OCI_INDEX, OCI_MANIFEST},
};
use soci_testing::{
    fake_registry::{FakeRegistry, Fault, Route, Settings},
    image::{Image, Layer, REPOSITORY, blob_path},
    program::Program,
};

use crate::index;

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

/// Whatever the registry says about lists that it does not keep.
#[test]
fn a_registry_that_refuses_lists_in_any_way_is_enough() {
    let page = Fault::Body {
        bytes: r#"{"errors":[{"code":"UNSUPPORTED"}]}"#.into(),
        announced: true,
    };
    for fault in [
        Fault::status(400, "UNSUPPORTED"),
        Fault::status(401, "UNAUTHORIZED"),
        Fault::status(403, "DENIED"),
        Fault::status(405, "UNSUPPORTED"),
        Fault::SentOn("/login"),
        Fault::Html,
        page,
    ] {
        for version in ["v1", "v2"] {
            let registry = without_lists();
            registry.fail(Route::Referrers, fault.clone()).always();
            let reference = Image::of([&Layer::noise(1, 9_000)]).push(&registry, "v1");
            let options = ["--index-version", version];
            let first = index(&reference, &options).exits(0).json();
            assert_eq!(first["outcome"], "indexed", "{fault:?}");
            let tag = first["output_tag"].as_str().unwrap();
            let output = format!("{}/{REPOSITORY}:{tag}", registry.host());
            for command in ["verify", "info", "ls"] {
                let _ = Program::new([command, &output]).run().exits(0);
            }
            let again = index(&reference, &options).exits(0).json();
            assert_eq!(again["outcome"], "already-there", "{fault:?}");
        }
    }
}

/// Of a version 2 image the list is asked only for what might be reused.
#[test]
fn a_list_that_cannot_be_had_stops_no_run_of_version_2() {
    let registry = FakeRegistry::start();
    let reference = Image::of([&Layer::noise(1, 9_000)]).push(&registry, "v1");
    // A connection that is broken off at once is tried again and again, so one look takes the program a while.
    registry
        .fail(
            Route::Referrers,
            Fault::Body {
                bytes: vec![b' '; 5 << 20].into(),
                announced: true,
            },
        )
        .always();
    let run = index(&reference, &["--reuse-from", "v1"]).exits(0);
    assert_eq!(run.json()["outcome"], "indexed");
    let warned = "warning: cannot reuse the index of the tag v1: ";
    assert!(run.stderr.contains(warned), "{run:?}");
}

/// A lifecycle rule or a garbage collection takes the index, and not the list's entry.
#[test]
fn an_index_that_is_listed_and_gone_is_named_and_made_again() {
    for registry in [FakeRegistry::start(), without_lists()] {
        let image = Image::of([&Layer::noise(1, 9_000)]);
        let reference = image.push(&registry, "v1");
        let first = index(&reference, &V1).exits(0).json();
        let digest = first["indexes"][0]["index_digest"].as_str().unwrap();
        let soci_index: Digest = digest.parse().unwrap();

        let whole = registry.manifest(REPOSITORY, &soci_index).unwrap();
        for damage in [None, Some(whole.slice(1..))] {
            match &damage {
                None => registry.forget_manifest(REPOSITORY, &soci_index),
                Some(bytes) => registry.put_manifest_as(REPOSITORY, soci_index, bytes.clone()),
            }
            let said = match damage {
                None => format!(
                    "SOCI index {digest} not found, though the image's list of referrers names it"
                ),
                Some(_) => digest.to_owned(),
            };
            for command in ["verify", "ls"] {
                let run = Program::new([command, &reference]).run().exits(1);
                assert!(run.stderr.contains(&said), "{run:?}");
            }
            let info = Program::new(["info", &reference]).run().exits(0);
            let named = info.stdout.lines().find(|line| line.contains(digest));
            let state = if damage.is_none() {
                ": not found, though"
            } else {
                ": "
            };
            assert!(named.unwrap().contains(state), "{info:?}");

            let second = index(&reference, &V1).exits(0).json();
            assert_eq!(second["outcome"], "indexed");
            assert_eq!(
                registry.manifest(REPOSITORY, &soci_index),
                Some(whole.clone())
            );
            let info = Program::new(["info", &reference, "--json"]).run().exits(0);
            let listed = &info.json()["platforms"][0]["indexes"];
            assert_eq!(listed.as_array().unwrap().len(), 1, "{info:?}");
            let _ = Program::new(["verify", &reference]).run().exits(0);
        }
    }
}

/// Somebody else's index that is gone is in nobody's way, and stays on the list.
#[test]
fn an_older_index_that_is_listed_and_gone_is_passed_over() {
    let registry = without_lists();
    let image = Image::of([&Layer::noise(1, 9_000)]);
    let reference = image.push(&registry, "v1");
    let older = index(
        &reference,
        &[&V1[..], &["--build-tool-identifier", "older"]].concat(),
    );
    let older = older.exits(0).json()["indexes"][0]["index_digest"].clone();
    let digest: Digest = older.as_str().unwrap().parse().unwrap();
    registry.forget_manifest(REPOSITORY, &digest);

    let run = index(&reference, &V1).exits(0).json();
    assert_eq!(run["outcome"], "indexed");
    let _ = Program::new(["ls", &reference]).run().exits(0);
    let tag = format!("sha256-{}", image.digest().hex());
    let (_, list) = registry.tagged(REPOSITORY, &tag).unwrap();
    let list: Value = serde_json::from_slice(&list).unwrap();
    assert_eq!(list["manifests"][0]["digest"], older);
    assert_eq!(list["manifests"].as_array().unwrap().len(), 2);
}

/// In a layout `index.json` is the list.
#[test]
fn an_index_that_a_layout_names_and_lost_is_made_again() {
    let (layout, reference) = Image::of([&Layer::noise(1, 9_000)]).layout();
    let first = index(&reference, &V1).exits(0).json();
    let digest = first["indexes"][0]["index_digest"].as_str().unwrap();
    let path = blob_path(layout.path(), &digest.parse().unwrap());
    let whole = fs::read(&path).unwrap();
    for damage in [None, Some(&whole[1..])] {
        match damage {
            None => fs::remove_file(&path).unwrap(),
            Some(bytes) => fs::write(&path, bytes).unwrap(),
        }
        for command in ["verify", "ls"] {
            let run = Program::new([command, &reference]).run().exits(1);
            assert!(run.stderr.contains(digest), "{run:?}");
        }
        let info = Program::new(["info", &reference]).run().exits(0);
        assert!(info.stdout.contains(digest), "{info:?}");
        let again = index(&reference, &V1).exits(0).json();
        assert_eq!(again["outcome"], "indexed");
        assert_eq!(fs::read(&path).unwrap(), whole);
        let _ = Program::new(["verify", &reference]).run().exits(0);
    }
}
