//! Every golden image: what we write is what the reference implementation wrote, byte for byte.

use std::{collections::BTreeSet, fs, path::Path, sync::Arc};

use serde_json::Value;
use soci_format::index::{IndexOptions, Version};
use soci_index::{
    report::Report,
    run::{self, Request},
};
use soci_store::registry::Client;
use soci_testing::golden;
use tempfile::TempDir;

use crate::quiet::Quiet;

/// Runs on a copy of the case's layout, and gives the report and the copy.
async fn run(case: &Path, version: Version, options: IndexOptions) -> (Report, TempDir) {
    let copy = TempDir::new().unwrap();
    copy_tree(&case.join("layout"), copy.path());
    let image = format!("oci:{}:latest", copy.path().display());
    let request = Request {
        version,
        options,
        ..Request::new(image.parse().unwrap())
    };
    let client = Client::new(Default::default());
    let report = run::index(&request, &client, Arc::new(Quiet))
        .await
        .unwrap();
    (report, copy)
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn blobs(layout: &Path) -> BTreeSet<String> {
    let blobs = fs::read_dir(layout.join("blobs/sha256")).unwrap();
    blobs
        .map(|blob| {
            format!(
                "sha256:{}",
                blob.unwrap().file_name().into_string().unwrap()
            )
        })
        .collect()
}

fn options(expected: &Value) -> IndexOptions {
    let list = |key: &str| expected[key].as_array().cloned().unwrap_or_default();
    IndexOptions {
        min_layer_size: expected["min_layer_size"].as_u64().unwrap(),
        span_size: expected["span_size"].as_u64().unwrap(),
        prefetch_files: list("prefetch_files")
            .iter()
            .map(|file| file.as_str().unwrap().to_owned())
            .collect(),
        optimize_xattrs: list("optimizations").iter().any(|name| name == "xattr"),
        ..IndexOptions::default()
    }
}

#[tokio::test]
async fn images() {
    let mut compared = 0;
    for case in golden::images() {
        let expected = golden::expected(&case);
        for (name, version) in [
            ("create", Version::V1),
            ("convert", Version::V2),
            ("convert-xattr", Version::V2),
            ("convert-prefetch", Version::V2),
        ] {
            let Some(wanted) = expected.get(name) else {
                continue;
            };
            let with_options = if wanted.get("span_size").is_some() {
                wanted
            } else {
                &expected
            };
            let (report, layout) = run(&case, version, options(with_options)).await;
            let label = format!("{} {name}", case.display());
            // Attestations keep their manifests here; the reference rewrites them.
            if case.ends_with("oci-multi-platform-with-attestations") && version == Version::V2 {
                continue;
            }
            let missing: Vec<_> = report
                .prefetch_not_found
                .iter()
                .map(|file| &*file.path)
                .collect();
            let asked = name == "convert-prefetch";
            assert_eq!(missing, ["no/such/file"][..asked.into()], "{label}");
            let found: Vec<String> = match version {
                Version::V1 => report
                    .indexes
                    .iter()
                    .filter_map(|index| index.index_digest)
                    .map(|d| d.to_string())
                    .collect(),
                Version::V2 => vec![report.output_digest.unwrap().to_string()],
            };
            assert_eq!(serde_json::json!(found), wanted["result"], "{label}");
            let new: BTreeSet<String> = &blobs(layout.path()) - &blobs(&case.join("layout"));
            if let Some(blobs) = wanted["new_blobs"].as_object() {
                assert_eq!(new, blobs.keys().cloned().collect(), "{label}");
            }
            for json in fs::read_dir(case.join(name)).unwrap() {
                let json = json.unwrap().path();
                let ours = layout
                    .path()
                    .join("blobs/sha256")
                    .join(json.file_stem().unwrap());
                assert_eq!(
                    fs::read(&json).unwrap(),
                    fs::read(ours).unwrap(),
                    "{}",
                    json.display()
                );
            }
            compared += 1;
        }
    }
    assert_eq!(compared, 27);
}

/// Where we deviate: attestations keep manifest and annotations, and their link follows the manifest it is about.
#[tokio::test]
async fn attestations_stay_valid() {
    let case = golden::image("oci-multi-platform-with-attestations");
    let expected = golden::expected(&case);
    let (report, layout) = run(&case, Version::V2, options(&expected)).await;
    let read = |digest: &str| -> Value {
        let blob = layout
            .path()
            .join("blobs/sha256")
            .join(digest.strip_prefix("sha256:").unwrap());
        serde_json::from_slice(&fs::read(blob).unwrap()).unwrap()
    };
    let old = read(&report.image_digest.to_string());
    let new = read(&report.output_digest.unwrap().to_string());
    for i in [2, 3] {
        let (old, new_entry) = (&old["manifests"][i], &new["manifests"][i]);
        assert_eq!(new_entry["digest"], old["digest"]);
        assert_eq!(
            new_entry["annotations"]["vnd.docker.reference.type"],
            "attestation-manifest"
        );
        assert_eq!(
            new_entry["annotations"]["vnd.docker.reference.digest"],
            new["manifests"][i - 2]["digest"]
        );
        assert_ne!(
            new["manifests"][i - 2]["digest"],
            old["annotations"]["vnd.docker.reference.digest"]
        );
    }
    // All else is as the reference writes it.
    let reference = fs::read(case.join("convert").join(format!(
        "{}.json",
        expected["convert"]["result"][0].as_str().unwrap().strip_prefix("sha256:").unwrap()
    )));
    let reference: Value = serde_json::from_slice(&reference.unwrap()).unwrap();
    for i in [0, 1, 4, 5] {
        assert_eq!(new["manifests"][i], reference["manifests"][i]);
    }
}
