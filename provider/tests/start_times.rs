//! The start-times function against a small cloud on loopback: what it measures, and of which events.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use serde_json::{Value, json};
use soci_provider::{
    builder_function::Invocation,
    metrics::Metrics,
    start_times::{self, StartTimes},
};
use support::{
    Cloud, INVOCATION,
    images::{Image, indexed, real, single},
    on_push::{Lines, pushed},
};

/// The event of a task with the image under this tag.
fn running(image: &Image, tag: &str) -> Value {
    let mut event: Value =
        serde_json::from_str(include_str!("start_times_events/running.json")).unwrap();
    let container = &mut event["detail"]["containers"][0];
    container["image"] = json!(format!("{}/team/app:{tag}", support::functions::HOST));
    container["imageDigest"] = json!(image.digest());
    event
}

fn invocation() -> Invocation {
    Invocation {
        request_id: "invocation".to_owned(),
        deadline: std::time::SystemTime::now() + INVOCATION,
    }
}

/// What the function writes about events, in this order.
async fn measured(cloud: &Cloud, events: &[Value]) -> Vec<Value> {
    let lines = Lines::default();
    let app = cloud.app_named("start-times", "0.01");
    let function = StartTimes::new(app, Metrics::to(lines.clone()));
    for event in events {
        start_times::handle(&function, event, invocation())
            .await
            .unwrap();
    }
    lines.records()
}

#[tokio::test]
async fn a_task_that_starts_is_measured() {
    let cloud = Cloud::start().await;
    let event = running(&single(), "v1");
    let mut lines = measured(&cloud, &[event]).await;
    assert_eq!(lines.len(), 1);
    let line = lines.remove(0);
    let expected = json!({
        "TaskFamily": "web", "Cluster": "prod", "Service": "web", "Container": "app", "Indexed": "none", "PullSeconds": 3.5,
        "StartSeconds": 6.0, "Image": format!("{}/team/app:v1", support::functions::HOST),
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(line[name], *value, "{name}");
    }
    let metrics = &line["_aws"]["CloudWatchMetrics"][0];
    assert_eq!(metrics["Namespace"], "SociIndexBuild");
    assert_eq!(
        metrics["Dimensions"],
        json!([["TaskFamily", "Indexed"], ["Indexed"]])
    );
}

#[tokio::test]
async fn each_container_says_what_index_its_image_has() {
    let cloud = Cloud::start().await;
    indexed().add_to(&mut cloud.state(), "v1-soci");
    let mut event = running(&indexed(), "v1-soci");
    // Where ECS names the platform's manifest.
    let child: Value = serde_json::from_str(&indexed().text).unwrap();
    let child = child["manifests"][0]["digest"].clone();
    let containers = event["detail"]["containers"].as_array_mut().unwrap();
    let of = |image: Value, digest: Value| json!({"name": "more", "image": image, "imageDigest": digest});
    let image = containers[0]["image"].clone();
    containers.push(of(image.clone(), child));
    containers.push(of(json!("nginx:latest"), json!(null)));
    containers.push(of(image, json!(real(&[9]).digest())));
    let lines = measured(&cloud, &[event]).await;
    let indexed: Vec<&str> = lines
        .iter()
        .map(|line| line["Indexed"].as_str().unwrap())
        .collect();
    assert_eq!(indexed, ["v2", "v2", "unknown", "unknown"]);
}

#[tokio::test]
async fn a_version_1_index_is_found_among_the_referrers() {
    let cloud = Cloud::start().await;
    cloud
        .state()
        .referrers
        .insert(single().digest(), indexed().descriptor);
    let lines = measured(&cloud, &[running(&single(), "v1")]).await;
    assert_eq!(lines[0]["Indexed"], "v1");
}

#[tokio::test]
async fn what_ecr_does_not_say_is_unknown() {
    for (operation, status, code) in [
        ("BatchGetImage", 400, "AccessDeniedException"),
        ("ListImageReferrers", 400, "RepositoryNotFoundException"),
        ("BatchGetImage", 429, "TooManyRequestsException"),
    ] {
        let cloud = Cloud::start().await;
        cloud.refuse(operation, 100_000, status, code);
        let lines = measured(&cloud, &[running(&single(), "v1")]).await;
        assert_eq!(lines[0]["Indexed"], "unknown", "{operation}");
        assert_eq!(lines[0]["PullSeconds"], 3.5);
    }
    let cloud = Cloud::start().await;
    cloud.refuse("BatchGetImage", 3, 429, "TooManyRequestsException");
    let lines = measured(&cloud, &[running(&single(), "v1")]).await;
    assert_eq!(lines[0]["Indexed"], "none");
}

#[tokio::test]
async fn only_the_first_event_of_a_start_on_fargate_counts() {
    let cloud = Cloud::start().await;
    let event = running(&single(), "v1");
    assert_eq!(
        measured(&cloud, &[event.clone(), event.clone()])
            .await
            .len(),
        1
    );
    for (name, value) in [
        ("lastStatus", json!("PENDING")),
        ("desiredStatus", json!("STOPPED")),
        ("launchType", json!("EC2")),
        ("launchType", json!(null)),
        ("pullStartedAt", json!(null)),
        ("startedAt", json!(null)),
        ("updatedAt", json!("2026-11-22T18:17:00Z")),
    ] {
        let mut event = event.clone();
        event["detail"][name] = value;
        assert_eq!(
            measured(&cloud, &[event]).await,
            Vec::<Value>::new(),
            "{name}"
        );
    }
}

#[tokio::test]
async fn what_cannot_be_read_fails() {
    let cloud = Cloud::start().await;
    let function = StartTimes::new(cloud.app(), Metrics::to(std::io::sink()));
    let mut without_containers = running(&single(), "v1");
    without_containers["detail"]["containers"] = json!(null);
    for (event, words) in [
        (json!(null), "expected ECS Task State Change"),
        (
            pushed(&cloud, &single(), "v1"),
            "expected ECS Task State Change",
        ),
        (
            json!({"source": "aws.ecs", "detail-type": "ECS Task State Change"}),
            "the task has no",
        ),
        (without_containers, "no containers"),
    ] {
        let error = start_times::handle(&function, &event, invocation())
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains(words), "{error}");
    }
}
