//! Which events the function takes, passes over, and cannot read.

use serde_json::{Value, json};

use crate::support::{
    Cloud, INVOCATION,
    images::{artifact, real},
    on_push::{SETTINGS, push, pushed},
};

const DIGEST: &str = "sha256:7f5b2640fe6fb4f46592dfd3410c4a79dac4f89e4782432e0378abcd12341234";

/// The event of a push with other values in it; null takes one away.
fn changed(changes: &Value) -> Value {
    let mut event = push("v1", DIGEST);
    for (path, value) in changes.as_object().unwrap() {
        *event.pointer_mut(path).unwrap() = value.clone();
    }
    event
}

#[tokio::test]
async fn what_is_no_pushed_image_of_ours_is_passed_over_without_a_call() {
    for (changes, reason) in [
        (json!({"/detail/image-tag": null}), "without a tag"),
        (json!({"/detail/image-tag": ""}), "without a tag"),
        (json!({"/detail/image-tag": "v1-soci"}), "ends in -soci"),
        (
            json!({"/detail/image-tag": "sha256-7f5b2640fe6fb4f46592dfd3410c4a79dac4f89e4782432e0378abcd12341234.sig"}),
            "a signature",
        ),
        (
            json!({"/detail/repository-name": "other"}),
            "no filter matches",
        ),
        (
            json!({"/detail/action-type": "DELETE"}),
            "action \"DELETE\"",
        ),
        (json!({"/detail/result": "FAILURE"}), "result \"FAILURE\""),
        (json!({"/detail-type": "ECR Image Scan"}), "ECR Image Scan"),
        (json!({"/source": "aws.ecs"}), "aws.ecs"),
        (
            json!({"/detail-type": "ECR Replication Action"}),
            "action \"PUSH\"",
        ),
    ] {
        let cloud = Cloud::start().await;
        let record = cloud.record_of(SETTINGS, &changed(&changes)).await;
        assert_eq!(record["Outcome"], "skipped", "{changes}");
        let said = record["Reason"].as_str().unwrap();
        assert!(said.contains(reason), "{changes}: {said}");
        assert_eq!(cloud.state().calls, Vec::<String>::new(), "{changes}");
        // CloudWatch takes no line with an empty dimension.
        assert_ne!(record["Repository"].as_str().unwrap(), "");
    }
}

#[tokio::test]
async fn other_accounts_and_regions_have_functions_of_their_own() {
    for changes in [
        json!({"/region": "eu-west-1"}),
        json!({"/account": "210987654321"}),
    ] {
        let cloud = Cloud::start().await;
        let record = cloud.record_of(SETTINGS, &changed(&changes)).await;
        assert_eq!(record["Outcome"], "skipped");
        let said = record["Reason"].as_str().unwrap();
        assert!(
            said.contains("of account 123456789012, region us-east-1"),
            "{said}"
        );
        assert_eq!(cloud.called("DescribeImages"), 0);
    }
}

#[tokio::test]
async fn what_cannot_be_read_fails_and_says_why() {
    let long = "x".repeat(129);
    for (event, words) in [
        (json!(null), "not a JSON object"),
        (json!([]), "not a JSON object"),
        (json!({}), "unknown event"),
        (json!({"source": "aws.ecr"}), "unknown event"),
        (
            changed(&json!({"/source": 5})),
            "source in the event is not a string",
        ),
        (changed(&json!({"/detail": null})), "no action-type"),
        (changed(&json!({"/detail": "text"})), "no action-type"),
        (changed(&json!({"/detail/result": null})), "no result"),
        (
            changed(&json!({"/detail/repository-name": null})),
            "no repository",
        ),
        (
            changed(&json!({"/detail/repository-name": ["a"]})),
            "repository-name in detail is not a string",
        ),
        (
            changed(&json!({"/detail/image-digest": null})),
            "no image digest",
        ),
        (
            changed(&json!({"/detail/image-digest": "sha256:1"})),
            "\"sha256:1\" is not a digest",
        ),
        (
            changed(&json!({"/detail/image-tag": 1})),
            "image-tag in detail is not a string",
        ),
        (
            changed(&json!({"/detail/image-tag": long})),
            "is not a valid tag",
        ),
        (
            changed(&json!({"/region": {}})),
            "region in the event is not a string",
        ),
        (json!({"backfill": {}}), "missing field `repository`"),
        (
            json!({"backfill": {"repository": "a", "dryrun": true}}),
            "unknown field `dryrun`",
        ),
        (
            json!({"backfill": {"repository": "a", "newest": 0}}),
            "newest is 0",
        ),
        (
            json!({"backfill": {"repository": "a", "newest": "20"}}),
            "invalid type",
        ),
        (json!({"backfill": "a"}), "invalid type"),
        (json!({"backfillImage": {}}), "no repository"),
        (json!({"Records": {}}), "Records is not a list"),
        (json!({"Records": [{}]}), "has no body"),
        (
            json!({"Records": [{"body": "text"}]}),
            "is not a JSON object",
        ),
        (
            json!({"Records": [{"body": "{\"Records\": []}"}]}),
            "unknown event",
        ),
    ] {
        let cloud = Cloud::start().await;
        let function = cloud.on_push(SETTINGS);
        let error = function
            .run(&event, INVOCATION)
            .await
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("cannot parse the event: "), "{error}");
        assert!(error.contains(words), "no {words:?} in {error}");
        assert_eq!(function.records(), Vec::<Value>::new());
        assert_eq!(cloud.state().calls, Vec::<String>::new(), "{event}");
    }
}

#[tokio::test]
async fn a_replicated_image_is_indexed_as_a_pushed_one() {
    let cloud = Cloud::start().await;
    let image = real(&[1]);
    let push = pushed(&cloud, &image, "v1");
    let mut event: Value =
        serde_json::from_str(include_str!("../on_push_events/replication.json")).unwrap();
    event["detail"]["image-digest"] = push["detail"]["image-digest"].clone();
    let record = cloud.record_of(SETTINGS, &event).await;
    assert_eq!(record["Outcome"], "indexed", "{record}");
}

#[tokio::test]
async fn an_event_without_account_and_region_is_one_from_here() {
    let cloud = Cloud::start().await;
    let mut event = pushed(&cloud, &real(&[1]), "v1");
    event.as_object_mut().unwrap().remove("account");
    event.as_object_mut().unwrap().remove("region");
    let record = cloud.record_of(SETTINGS, &event).await;
    assert_eq!(record["Outcome"], "indexed", "{record}");
}

#[tokio::test]
async fn what_is_no_container_image_is_passed_over() {
    for kind in [
        "application/vnd.cncf.helm.config.v1+json",
        "application/vnd.amazon.soci.index.v1+json",
        "application/vnd.oci.empty.v1+json",
        "application/x.never.heard.of",
    ] {
        let cloud = Cloud::start().await;
        let event = pushed(&cloud, &artifact(kind), "v1");
        let record = cloud.record_of(SETTINGS, &event).await;
        assert_eq!(record["Outcome"], "skipped", "{record}");
        assert_eq!(record["Reason"], format!("not a container image: {kind}"));
        assert_eq!(cloud.called("GetManifest"), 0);
    }
}
