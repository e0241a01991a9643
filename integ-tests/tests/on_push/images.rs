//! What is indexed and what is passed over: filters, kinds of images, tags that move on, events that come late, twice or in another order.

use bytes::Bytes;
use local_cloud::{
    account::Event,
    digest::digest,
    image::{Client, Image, Layer, Types},
};
use serde_json::json;

use crate::{
    deployment::{LARGE, Repository},
    indexes::{Indexes, properties},
    shared::{Shared, story},
};

fn image(seed: u64) -> Image {
    Image::of(Types::Oci, &[Layer::noise(seed, LARGE)])
}

/// An artifact under a tag, as `helm push` or cosign make one.
async fn push_artifact(shared: &Shared, repository: &str, tag: &str, kind: &str) {
    let client = Client::new(shared.cloud.cloud()).unwrap();
    let descriptor = |media_type: &str, bytes: &Bytes| json!({"mediaType": media_type, "digest": digest(bytes), "size": bytes.len()});
    let (config, layer) = (Bytes::from("{}"), Bytes::from(format!("{kind} {tag}")));
    for blob in [&config, &layer] {
        client.put_blob(repository, blob).await.unwrap();
    }
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": descriptor(kind, &config),
        "layers": [descriptor("application/octet-stream", &layer)],
    });
    let manifest = manifest.to_string().into();
    let put = client.put_manifest(repository, tag, media_type, &manifest);
    put.await.unwrap();
}

#[test]
fn filters_choose_and_what_is_no_image_is_passed_over() {
    story(async |shared| {
        let [a, app, other, replica] = [
            "filters/a",
            "filters-app",
            "filters-other",
            "filters/replica",
        ]
        .map(|name| Repository::new(shared, name));
        let (a, app, other, replica) = tokio::join!(a, app, other, replica);
        let filters = ["filters/*:v*", "filters-app"];
        let indexes = Indexes::deploy(shared, "Filters", properties(&filters)).await;

        for repository in [&a, &app, &other] {
            for tag in ["latest", "v1"] {
                repository.push_image(tag, &image(210)).await;
            }
        }
        shared.cloud.cloud().ecr().replicate(&replica.name);
        replica.push_image("v1", &image(211)).await;
        let chart = "application/vnd.cncf.helm.config.v1+json";
        push_artifact(shared, &app.name, "chart", chart).await;
        let signature = format!("sha256-{}.sig", "0".repeat(64));
        push_artifact(
            shared,
            &app.name,
            &signature,
            "application/vnd.oci.image.config.v1+json",
        )
        .await;

        for (repository, tag) in [(&a, "v1"), (&app, "latest"), (&app, "v1"), (&replica, "v1")] {
            let record = indexes.record_of(&repository.name, tag).await;
            assert_eq!(record.outcome(), "indexed", "{record:?}");
            assert!(repository.digest_of(&format!("{tag}-soci")).is_some());
        }
        for tag in ["chart", &signature] {
            let record = indexes.record_of(&app.name, tag).await;
            assert_eq!(record.outcome(), "skipped", "{record:?}");
            assert!(!record.text("Reason").is_empty(), "{record:?}");
        }
        assert_eq!(a.tags(), ["latest", "v1", "v1-soci"]);
        assert_eq!(other.tags(), ["latest", "v1"]);
        assert_eq!(indexes.records_of(&other.name, "v1", 0).await.len(), 0);
        assert_eq!(indexes.failed(0).await.len(), 0);
    });
}

#[test]
fn a_tag_that_moved_on_and_an_image_that_is_gone_are_left_alone() {
    story(async |shared| {
        let repository = Repository::new(shared, "moved").await;
        let indexes = Indexes::deploy(shared, "Moved", properties(&["moved"])).await;
        let ecr = shared.cloud.cloud().ecr();
        // Other tests push at the same time; their events wait as well.
        ecr.hold_events();
        repository.push_image("v1", &image(220)).await;
        repository.push_image("v1", &image(221)).await;
        repository.push_image("gone", &image(222)).await;
        ecr.expire_image(&repository.name, "gone");
        ecr.release_events(|events| {
            // The newest first, and each of them twice.
            let is_own = |event: &Event| event.detail["repository-name"] == "moved";
            let (mut own, others): (Vec<_>, Vec<_>) = events.into_iter().partition(is_own);
            own.reverse();
            [others, own.clone(), own].concat()
        });

        let gone = indexes.records_of("moved", "gone", 2).await;
        assert!(
            gone.iter().all(|record| record.outcome() == "skipped"),
            "{gone:#?}"
        );
        let records = indexes.records_of("moved", "v1", 4).await;
        let of = |image: &Image| {
            let own = records
                .iter()
                .filter(|record| record.text("Digest") == image.digest());
            own.map(|record| record.outcome().to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(of(&image(220)), ["skipped"; 2]);
        let newer = of(&image(221));
        let is_done = |outcome: &String| ["indexed", "already-there"].contains(&&**outcome);
        assert!(
            newer.contains(&"indexed".to_owned()) && newer.iter().all(is_done),
            "{newer:?}"
        );
        assert_eq!(repository.tags(), ["v1", "v1-soci"]);
        let found = ("linux/amd64".to_owned(), "v2".to_owned(), 1);
        assert_eq!(repository.indexes("v1-soci").await, [found]);
    });
}

#[test]
fn immutable_tags_version_1_and_an_image_without_an_index() {
    story(async |shared| {
        let fixed = Repository::immutable(shared, "kinds-fixed").await;
        let indexes = Indexes::deploy(shared, "Fixed", properties(&["kinds-fixed"])).await;
        fixed.push_image("v1", &image(230)).await;
        let record = indexes.record_of(&fixed.name, "v1").await;
        assert_eq!(record.outcome(), "indexed", "{record:?}");
        assert_eq!(fixed.tags(), ["v1", "v1-soci"]);

        let first = Repository::new(shared, "kinds-v1").await;
        let mut version_1 = properties(&["kinds-v1"]);
        version_1["version"] = "v1".into();
        let indexes = Indexes::deploy(shared, "FirstVersion", version_1).await;
        first.push_image("v1", &image(231)).await;
        let record = indexes.record_of(&first.name, "v1").await;
        assert_eq!(record.outcome(), "indexed", "{record:?}");
        assert_eq!(first.tags(), ["v1"]);
        let found = ("linux/amd64".to_owned(), "v1".to_owned(), 1);
        assert_eq!(first.indexes("v1").await, [found]);

        let small = Repository::new(shared, "kinds-small").await;
        let mut large_layers = properties(&["kinds-small"]);
        large_layers["minLayerSize"] = (1 << 20).into();
        let indexes = Indexes::deploy(shared, "Small", large_layers).await;
        small.push_image("v1", &image(232)).await;
        let record = indexes.record_of(&small.name, "v1").await;
        assert_eq!(record.outcome(), "nothing-to-index", "{record:?}");
        assert_eq!(small.digest_of("v1-soci"), small.digest_of("v1"));
    });
}
