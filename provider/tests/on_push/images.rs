//! What becomes of images: indexed once, whoever pushes what meanwhile.

use serde_json::{Value, json};

use crate::{
    has_index, index,
    support::{
        Cloud, INVOCATION,
        images::{Image, multi_platform, real, single},
        on_push::{SETTINGS, push, pushed},
    },
};

#[tokio::test]
async fn a_pushed_image_is_indexed_and_recorded() {
    let cloud = Cloud::start().await;
    let image = real(&[1, 2]);
    let record = cloud
        .record_of(SETTINGS, &pushed(&cloud, &image, "v1"))
        .await;
    assert!(has_index(&cloud, "v1"));
    let output = cloud.state().images["v1-soci"].digest();
    let expected = json!({
        "Repository": "team/app", "Tag": "v1", "Digest": image.digest(), "Outcome": "indexed", "Reason": "", "OutputTag": "v1-soci",
        "OutputDigest": output, "LayersIndexed": 2, "LayersReused": 0, "LayersSkipped": 0, "Images": 1,
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(record[name], *value, "{name}");
    }
    assert!(record["BytesRead"].as_u64().unwrap() > 0 && record["Seconds"].as_f64().unwrap() > 0.0);
    let metrics = &record["_aws"]["CloudWatchMetrics"][0];
    assert_eq!(metrics["Namespace"], "SociIndexBuild");
    assert_eq!(
        metrics["Dimensions"],
        json!([["Repository", "Outcome"], ["Outcome"]])
    );
    let of = |name: &str, unit: &str| json!({"Name": name, "Unit": unit});
    let expected = [
        of("Images", "Count"),
        of("BytesRead", "Bytes"),
        of("Seconds", "Seconds"),
    ];
    assert_eq!(metrics["Metrics"], json!(expected));
    assert!(record["_aws"]["Timestamp"].as_u64().unwrap() > 1_700_000_000_000);
}

#[tokio::test]
async fn an_index_that_is_there_is_no_work() {
    let cloud = Cloud::start().await;
    let event = pushed(&cloud, &real(&[1]), "v1");
    cloud.record_of(SETTINGS, &event).await;
    cloud.state().bytes_served = 0;
    let puts = cloud.called("PutManifest");
    let record = cloud.record_of(SETTINGS, &event).await;
    assert_eq!(record["Outcome"], "already-there", "{record}");
    assert_eq!(record["OutputTag"], "v1-soci");
    assert_eq!(record["BytesRead"], 0);
    assert_eq!(cloud.called("PutManifest"), puts);
}

#[tokio::test]
async fn two_events_at_once_end_in_one_index() {
    let cloud = Cloud::start().await;
    let event = pushed(&cloud, &real(&[1, 2]), "v1");
    let (one, other) = tokio::join!(
        cloud.record_of(SETTINGS, &event),
        cloud.record_of(SETTINGS, &event)
    );
    assert_eq!(one["OutputDigest"], other["OutputDigest"]);
    assert_eq!(
        one["OutputDigest"],
        cloud.state().images["v1-soci"].digest()
    );
}

#[tokio::test]
async fn an_image_of_several_platforms_is_indexed_once() {
    let cloud = Cloud::start().await;
    let image = multi_platform();
    let event = pushed(&cloud, &image, "v1");
    let record = cloud.record_of(SETTINGS, &event).await;
    assert_eq!(record["Outcome"], "indexed", "{record}");
    assert_eq!(record["LayersIndexed"], 2);
    // Its platforms' manifests are pushed by digest.
    let mut child = push("v1", &real(&[1]).digest());
    child["detail"].as_object_mut().unwrap().remove("image-tag");
    let record = cloud.record_of(SETTINGS, &child).await;
    assert_eq!(record["Outcome"], "skipped");
}

#[tokio::test]
async fn layers_of_another_tag_of_the_same_image_are_not_read_again() {
    let cloud = Cloud::start().await;
    let image = real(&[1, 2]);
    pushed(&cloud, &image, "v1");
    pushed(&cloud, &image, "latest");
    pushed(&cloud, &image, "a-tag-without-index");
    index(&cloud, "v1").await;
    let record = index(&cloud, "latest").await;
    assert_eq!(record["Outcome"], "indexed", "{record}");
    assert_eq!(
        (&record["LayersIndexed"], &record["LayersReused"]),
        (&json!(0), &json!(2))
    );
    assert_eq!(record["BytesRead"], 0);
    assert_eq!(record["OutputTag"], "latest-soci");
}

#[tokio::test]
async fn a_new_tag_reads_only_the_layers_that_the_newest_index_does_not_have() {
    let cloud = Cloud::start().await;
    pushed(&cloud, &real(&[1, 2]), "v1");
    index(&cloud, "v1").await;
    pushed(&cloud, &real(&[1, 2, 3]), "v2");
    let record = index(&cloud, "v2").await;
    assert_eq!(
        (&record["LayersIndexed"], &record["LayersReused"]),
        (&json!(1), &json!(2))
    );
}

#[tokio::test]
async fn an_output_tag_is_moved_with_its_tag_and_reads_what_is_new() {
    let cloud = Cloud::start().await;
    pushed(&cloud, &real(&[1]), "latest");
    index(&cloud, "latest").await;
    pushed(&cloud, &real(&[1, 2]), "latest");
    let record = index(&cloud, "latest").await;
    assert_eq!(
        (&record["LayersIndexed"], &record["LayersReused"]),
        (&json!(1), &json!(1))
    );
}

#[tokio::test]
async fn a_tag_that_is_gone_or_names_another_image_is_left_alone() {
    let cloud = Cloud::start().await;
    let old = pushed(&cloud, &real(&[1]), "v1");
    pushed(&cloud, &real(&[2]), "v1");
    let record = cloud.record_of(SETTINGS, &old).await;
    assert_eq!(record["Outcome"], "skipped");
    let reason = format!("the tag names another image now: {}", real(&[2]).digest());
    assert_eq!(record["Reason"], reason);

    cloud.state().images.remove("v1");
    let record = cloud.record_of(SETTINGS, &old).await;
    assert_eq!(record["Outcome"], "skipped");
    assert!(record["Reason"].as_str().unwrap().contains("deleted"));
    assert_eq!(cloud.called("GetManifest"), 0);
}

/// Does something when an operation is called for the `nth` time.
fn at_call(
    cloud: &Cloud,
    operation: &'static str,
    nth: usize,
    act: impl Fn(&mut crate::support::State) + Send + 'static,
) {
    let mut seen = 0;
    cloud.state().on_call = Some(Box::new(move |state, called| {
        seen += usize::from(called == operation);
        if called == operation && seen == nth {
            act(state);
        }
    }));
}

#[tokio::test]
async fn a_tag_that_moves_while_its_image_is_read_gets_no_index_of_it() {
    let cloud = Cloud::start().await;
    let event = pushed(&cloud, &real(&[1]), "v1");
    at_call(&cloud, "GetBlob", 1, |state| real(&[2]).add_to(state, "v1"));
    let record = cloud.record_of(SETTINGS, &event).await;
    assert_eq!(record["Outcome"], "skipped", "{record}");
    assert!(
        record["Reason"]
            .as_str()
            .unwrap()
            .contains("another image now")
    );
    assert!(!has_index(&cloud, "v1"));
}

#[tokio::test]
async fn a_tag_that_moves_while_the_output_tag_is_put_gets_the_newer_index() {
    let cloud = Cloud::start().await;
    let event = pushed(&cloud, &real(&[1]), "v1");
    // The soci index, the platform's manifest, and then the tag.
    at_call(&cloud, "PutManifest", 3, |state| {
        real(&[2]).add_to(state, "v1")
    });
    let function = cloud.on_push(SETTINGS);
    function.run(&event, INVOCATION).await.unwrap();
    let digests: Vec<Value> = function
        .records()
        .iter()
        .map(|record| record["Digest"].clone())
        .collect();
    assert_eq!(
        digests,
        [json!(real(&[1]).digest()), json!(real(&[2]).digest())]
    );
    let output = cloud.state().images["v1-soci"].digest();
    assert_eq!(function.records()[1]["OutputDigest"], output);
}

#[tokio::test]
async fn version_1_puts_no_tag() {
    let cloud = Cloud::start().await;
    // No tag is an output tag then.
    let event = pushed(&cloud, &real(&[1]), "v1-soci");
    let settings = r#"{"Filters": ["team/*"], "MinLayerSize": "0", "IndexVersion": "v1"}"#;
    let record = cloud.record_of(settings, &event).await;
    assert_eq!(record["Outcome"], "indexed", "{record}");
    assert_eq!(record["OutputDigest"], real(&[1]).digest());
    let record = cloud.record_of(settings, &event).await;
    assert_eq!(record["Outcome"], "already-there", "{record}");
    let state = cloud.state();
    assert!(!state.images.contains_key("v1-soci-soci"));
    let list = format!("sha256-{}", &real(&[1]).digest()["sha256:".len()..]);
    assert!(state.images.contains_key(&list), "it has no referrer");
}

/// An image whose layers claim to be compressed with zstd.
fn zstd() -> Image {
    let text = real(&[1]).text.replace("tar+gzip", "tar+zstd");
    let image = Image::new(
        &real(&[1]).descriptor.media_type,
        text.into_bytes(),
        Vec::new(),
    );
    assert_ne!(image.digest(), real(&[1]).digest());
    image
}

#[tokio::test]
async fn an_image_that_gets_no_index_fails_only_where_the_settings_say_so() {
    let with = |size: u32, more: &str| {
        format!(r#"{{"Filters": ["team/*"], "MinLayerSize": "{size}" {more}}}"#)
    };
    let settings = |more: &str| with(0, more);
    let small = |more: &str| with(99_999_999, more);
    for (image, settings, outcome, output) in [
        (real(&[1]), small(""), "nothing-to-index", Some("v1-soci")),
        (zstd(), settings(""), "unsupported", None),
        (
            zstd(),
            settings(r#", "WhenUnsupported": "use-original""#),
            "unsupported",
            Some("v1-soci"),
        ),
    ] {
        let cloud = Cloud::start().await;
        real(&[1]).add_to(&mut cloud.state(), "layers");
        let record = cloud
            .record_of(&settings, &pushed(&cloud, &image, "v1"))
            .await;
        assert_eq!(record["Outcome"], outcome, "{record}");
        assert_ne!(record["Reason"], "");
        assert_eq!(record["OutputTag"].as_str(), output, "{record}");
        let state = cloud.state();
        assert_eq!(
            state.images.get("v1-soci").map(Image::digest),
            output.map(|_| image.digest())
        );
    }
    for (image, settings, words) in [
        (
            real(&[1]),
            small(r#", "WhenTooSmall": "fail""#),
            "smaller than minLayerSize",
        ),
        (
            zstd(),
            settings(r#", "WhenUnsupported": "fail""#),
            "compression",
        ),
    ] {
        let cloud = Cloud::start().await;
        real(&[1]).add_to(&mut cloud.state(), "layers");
        let event = pushed(&cloud, &image, "v1");
        let error = crate::failure_of(&cloud, &settings, &event).await;
        assert!(error.contains(words), "{error}");
        assert!(!cloud.state().images.contains_key("v1-soci"));
    }
}

#[tokio::test]
async fn a_layer_that_is_not_there_is_a_broken_image() {
    let cloud = Cloud::start().await;
    // Its layer is described, and never pushed.
    let event = pushed(&cloud, &single(), "v1");
    let error = crate::failure_of(&cloud, SETTINGS, &event).await;
    assert!(
        error.starts_with("cannot index team/app:v1@sha256:"),
        "{error}"
    );
}
