//! What fails: retried for a while, then with a reason, and nothing is half done.

use std::time::Duration;

use serde_json::json;

use crate::{
    failure_of, has_index,
    support::{
        Cloud, INVOCATION,
        images::{artifact, real, real_layer},
        on_push::{SETTINGS, pushed},
    },
};

/// Every call that indexing an image makes.
const CALLS: [&str; 9] = [
    "GetAuthorizationToken",
    "DescribeImages",
    "GetManifest",
    "HeadBlob",
    "GetBlob",
    "StartUpload",
    "PutUpload",
    "PutManifest",
    "BatchGetImage",
];
/// Without this one the layers are read again, no more.
const OPTIONAL: &str = "BatchGetImage";

#[tokio::test]
async fn rights_that_come_late_are_waited_for_and_those_that_never_come_are_told() {
    for operation in CALLS {
        let status = if operation.starts_with("Describe") || operation.starts_with("GetAuth") {
            400
        } else {
            403
        };
        let denied =
            |cloud: &Cloud, times| cloud.refuse(operation, times, status, "AccessDeniedException");
        let cloud = Cloud::start().await;
        pushed(&cloud, &real(&[1]), "other");
        let event = pushed(&cloud, &real(&[1]), "v1");
        denied(&cloud, 2);
        let record = cloud.record_of(SETTINGS, &event).await;
        assert_eq!(record["Outcome"], "indexed", "{operation}: {record}");
        assert!(cloud.called(operation) > 2, "{operation} is not called");

        let cloud = Cloud::start().await;
        pushed(&cloud, &real(&[1]), "other");
        let event = pushed(&cloud, &real(&[1]), "v1");
        denied(&cloud, 100_000);
        if operation == OPTIONAL {
            let record = cloud.record_of(SETTINGS, &event).await;
            assert_eq!(record["Outcome"], "indexed", "{record}");
            continue;
        }
        let error = failure_of(&cloud, SETTINGS, &event).await;
        let words = ["AccessDenied", "403 Forbidden"];
        assert!(
            words.iter().any(|word| error.contains(word)),
            "{operation}: {error}"
        );
        assert!(!has_index(&cloud, "v1"), "{operation}");
    }
}

#[tokio::test]
async fn throttling_is_waited_for() {
    for operation in CALLS {
        let cloud = Cloud::start().await;
        pushed(&cloud, &real(&[1]), "other");
        let event = pushed(&cloud, &real(&[1]), "v1");
        cloud.refuse(operation, 4, 429, "TooManyRequestsException");
        let record = cloud.record_of(SETTINGS, &event).await;
        assert_eq!(record["Outcome"], "indexed", "{operation}: {record}");
    }
}

#[tokio::test]
async fn a_tag_that_cannot_be_checked_is_not_put() {
    let cloud = Cloud::start().await;
    let event = pushed(&cloud, &real(&[1]), "v1");
    // From then on, all that is missing is the tag.
    cloud.state().on_call = Some(Box::new(|state, operation| {
        if operation == "PutManifest" {
            let refusals = std::iter::repeat_n((400, "AccessDeniedException"), 100_000);
            let refusals = refusals.collect();
            state.refusals.insert("DescribeImages".to_owned(), refusals);
        }
    }));
    let error = failure_of(&cloud, SETTINGS, &event).await;
    assert!(
        error.contains("the output tag was not put") && error.contains("AccessDenied"),
        "{error}"
    );
    assert!(!has_index(&cloud, "v1"));
}

#[tokio::test]
async fn an_immutable_tag_is_put_once_and_never_fails_for_the_same_index() {
    let cloud = Cloud::start().await;
    cloud.state().are_tags_immutable = true;
    let event = pushed(&cloud, &real(&[1]), "v1");
    let record = cloud.record_of(SETTINGS, &event).await;
    assert_eq!(record["Outcome"], "indexed");
    let record = cloud.record_of(SETTINGS, &event).await;
    assert_eq!(record["Outcome"], "already-there");
    let (one, other) = {
        let event = pushed(&cloud, &real(&[1, 2]), "v2");
        tokio::join!(
            cloud.record_of(SETTINGS, &event),
            cloud.record_of(SETTINGS, &event)
        )
    };
    assert_eq!(one["OutputDigest"], other["OutputDigest"]);
}

#[tokio::test]
async fn another_index_under_an_immutable_tag_fails_and_says_what_to_do() {
    let cloud = Cloud::start().await;
    cloud.state().are_tags_immutable = true;
    let event = pushed(&cloud, &real(&[1]), "v1");
    cloud.record_of(SETTINGS, &event).await;
    let options = r#"{"Filters": ["team/*"], "MinLayerSize": "0", "SpanSize": "1048576"}"#;
    let error = failure_of(&cloud, options, &event).await;
    for word in ["immutable", "v1-soci", "delete that tag", "outputSuffix"] {
        assert!(error.contains(word), "no {word:?} in {error}");
    }
}

#[tokio::test]
async fn an_output_tag_that_is_too_long_fails_before_a_layer_is_read() {
    let cloud = Cloud::start().await;
    let tag = "v".repeat(125);
    let event = pushed(&cloud, &real(&[1]), &tag);
    let error = failure_of(&cloud, SETTINGS, &event).await;
    assert!(
        error.contains("more than 128 characters") && error.contains("outputSuffix"),
        "{error}"
    );
    assert_eq!(cloud.called("GetBlob"), 0);
}

#[tokio::test]
async fn a_run_is_cancelled_before_the_invocation_ends() {
    let cloud = Cloud::start().await;
    let event = pushed(&cloud, &real(&[1]), "v1");
    cloud.state().held.insert(real_layer(1).digest.to_string());
    let function = cloud.on_push(SETTINGS);
    let error = function
        .run(&event, Duration::from_secs(2))
        .await
        .unwrap_err()
        .to_string();
    for word in [
        "timed out indexing team/app:v1@",
        "after 1 s",
        "0 of 1 layer",
        "memorySize",
    ] {
        assert!(error.contains(word), "no {word:?} in {error}");
    }
    assert_eq!(function.records()[0]["Outcome"], "failed");
    assert!(!has_index(&cloud, "v1"));
}

#[tokio::test]
async fn a_damaged_layer_and_an_unreadable_manifest_fail() {
    let cloud = Cloud::start().await;
    let event = pushed(&cloud, &real(&[1]), "v1");
    let layer = real_layer(1).digest.to_string();
    if let Some(blob) = cloud.state().blobs.get_mut(&layer) {
        blob[100] ^= 1;
    }
    let error = failure_of(&cloud, SETTINGS, &event).await;
    assert!(
        error.contains("digest mismatch") && error.contains(&layer),
        "{error}"
    );

    // What ECR does not call an artifact, and is none either.
    let cloud = Cloud::start().await;
    let image = artifact("application/vnd.oci.image.config.v1+json");
    let event = pushed(&cloud, &image, "v1");
    let error = failure_of(&cloud, SETTINGS, &event).await;
    assert!(error.contains("os and architecture"), "{error}");
}

#[tokio::test]
async fn settings_decide_which_images_these_are() {
    let cloud = Cloud::start().await;
    let event = pushed(&cloud, &real(&[1]), "dev");
    let settings = r#"{"Filters": ["team/*:v*"], "MinLayerSize": "0", "OutputSuffix": ".lazy"}"#;
    assert_eq!(
        cloud.record_of(settings, &event).await["Outcome"],
        "skipped"
    );
    let event = pushed(&cloud, &real(&[1]), "v2");
    let record = cloud.record_of(settings, &event).await;
    assert_eq!(record["OutputTag"], json!("v2.lazy"));
    let function = cloud.on_push(settings);
    let own = crate::support::on_push::push("v2.lazy", record["OutputDigest"].as_str().unwrap());
    function.run(&own, INVOCATION).await.unwrap();
    assert_eq!(function.records()[0]["Outcome"], "skipped");
}
