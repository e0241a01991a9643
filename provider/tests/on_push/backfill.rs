//! Backfill: images that are there already.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    has_index,
    support::{
        Cloud, INVOCATION,
        images::{artifact, real},
        on_push::{Function, SETTINGS},
    },
};

/// Seven images, a chart, and a repository without images.
async fn cloud() -> Cloud {
    let cloud = Cloud::start().await;
    {
        let mut state = cloud.state();
        state.images.clear();
        for number in 1..=7_u8 {
            let image = real(&[number]);
            image.add_to(&mut state, &format!("v{number}"));
            state
                .pushed_at
                .insert(image.digest(), 1.7e9 + f64::from(number));
        }
        real(&[7]).add_to(&mut state, "latest");
        artifact("application/vnd.cncf.helm.config.v1+json").add_to(&mut state, "v8");
        state.repositories = ["a", "b", "other/app", "team/app", "team/none"]
            .map(str::to_owned)
            .to_vec();
    }
    cloud
}

fn event(more: &Value) -> Value {
    let mut backfill = json!({"repository": "team/*"});
    backfill
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    json!({"backfill": backfill})
}

fn tags(invoked: &[Value]) -> Vec<&str> {
    invoked
        .iter()
        .map(|payload| payload["backfillImage"]["tag"].as_str().unwrap())
        .collect()
}

async fn summary(function: &Function, event: &Value) -> Value {
    let summary = function.run(event, INVOCATION).await.unwrap();
    assert_eq!(function.records(), Vec::<Value>::new());
    summary
}

#[tokio::test]
async fn every_image_is_indexed_in_an_invocation_of_its_own() {
    let cloud = cloud().await;
    let function = cloud.on_push(SETTINGS);
    let said = summary(&function, &event(&json!({}))).await;
    assert_eq!(
        said,
        json!({"images": 8, "repositories": 1, "dryRun": false, "complete": true})
    );
    let invoked = std::mem::take(&mut cloud.state().invoked);
    assert_eq!(
        tags(&invoked),
        ["latest", "v1", "v2", "v3", "v4", "v5", "v6", "v7"]
    );
    // Two pages and more of each.
    assert!(cloud.called("DescribeRepositories") == 2 && cloud.called("DescribeImages") >= 3);
    for payload in &invoked {
        function.run(payload, INVOCATION).await.unwrap();
        assert!(has_index(
            &cloud,
            payload["backfillImage"]["tag"].as_str().unwrap()
        ));
    }
    assert!(
        function
            .records()
            .iter()
            .all(|record| record["Outcome"] == "indexed")
    );
    // Again, it finds out that there is nothing left to do.
    summary(&cloud.on_push(SETTINGS), &event(&json!({}))).await;
    let invoked = std::mem::take(&mut cloud.state().invoked);
    assert_eq!(invoked.len(), 8, "output tags are no images to index");
    let again = cloud.on_push(SETTINGS);
    for payload in &invoked {
        again.run(payload, INVOCATION).await.unwrap();
    }
    assert!(
        again
            .records()
            .iter()
            .all(|record| record["Outcome"] == "already-there")
    );
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_indexed_and_does_nothing() {
    let cloud = cloud().await;
    let asked = json!({"tags": "v*", "newest": 2, "dryRun": true});
    let said = summary(&cloud.on_push(SETTINGS), &event(&asked)).await;
    let listed = [6, 7].map(|number| format!("team/app:v{number}@{}", real(&[number]).digest()));
    let expected = json!({"images": 2, "repositories": 1, "dryRun": true, "complete": true, "wouldIndex": listed});
    assert_eq!(said, expected);
    assert_eq!(cloud.state().invoked, Vec::<Value>::new());
}

#[tokio::test]
async fn a_repository_by_name_is_not_looked_for_among_all() {
    let cloud = cloud().await;
    for (repository, images) in [("team/app", 8), ("team/gone", 0), ("other/app", 0)] {
        cloud.state().invoked.clear();
        let event = json!({"backfill": {"repository": repository}});
        let said = summary(&cloud.on_push(SETTINGS), &event).await;
        assert_eq!(said["images"], images, "{repository}");
        assert_eq!(cloud.state().invoked.len(), images);
    }
    // Nor are those that the filters name.
    let settings = r#"{"Filters": ["team/app:v*", "team/gone"]}"#;
    let said = summary(&cloud.on_push(settings), &event(&json!({}))).await;
    assert_eq!(said["images"], 7);
    assert_eq!(cloud.called("DescribeRepositories"), 0);
}

#[tokio::test]
async fn invocations_that_run_short_of_time_continue_one_another() {
    let cloud = cloud().await;
    let mut next = Some(event(&json!({"tags": "v*"})));
    let (mut images, mut rounds, mut last) = (Vec::new(), 0, Value::Null);
    while let Some(payload) = next.take() {
        rounds += 1;
        // At this pace two images or three are all that there is time for.
        let function =
            cloud.on_push_at(SETTINGS, "0.05", &crate::support::on_push::Lines::default());
        last = function
            .run(&payload, Duration::from_millis(90))
            .await
            .unwrap();
        for invoked in std::mem::take(&mut cloud.state().invoked) {
            match invoked.get("backfillImage") {
                Some(image) => images.push(image["tag"].as_str().unwrap().to_owned()),
                None => next = Some(invoked),
            }
        }
        assert_eq!(last["complete"], next.is_none());
    }
    assert!(rounds > 1, "one invocation did it all");
    assert_eq!(images, ["v1", "v2", "v3", "v4", "v5", "v6", "v7"]);
    assert_eq!(last["images"], 7);
}

#[tokio::test]
async fn what_ecr_or_lambda_refuses_is_tried_again_and_told() {
    for operation in [
        "GetAuthorizationToken",
        "DescribeRepositories",
        "DescribeImages",
        "Invoke",
    ] {
        let cloud = cloud().await;
        cloud.refuse(operation, 3, 429, "TooManyRequestsException");
        let said = summary(&cloud.on_push(SETTINGS), &event(&json!({}))).await;
        assert_eq!(said["images"], 8, "{operation}");

        let cloud = self::cloud().await;
        cloud.refuse(operation, 100_000, 400, "AccessDeniedException");
        let function = cloud.on_push(SETTINGS);
        let error = function
            .run(&event(&json!({})), INVOCATION)
            .await
            .unwrap_err();
        let error = soci_index::run::chain(&error);
        assert!(
            error.contains(&format!("{operation}: AccessDenied")),
            "{error}"
        );
    }
}
