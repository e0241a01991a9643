//! Tasks that start are measured, by whether their image has an index.

use local_cloud::{
    account::{ACCOUNT_ID, Event, REGION, registry_host},
    control_plane::LocalCloud,
};
use serde_json::{Value, json};

use crate::{
    deployment::{Repository, Stack, Succeeds},
    indexes::{Indexes, Record, properties},
    shared::story,
};

/// ECS's event of a task that runs on Fargate, as in its developer guide, "Amazon ECS task state change events".
fn started(task: &str, image: &str, digest: &str) -> Event {
    let arn = |kind: &str, name: &str| format!("arn:aws:ecs:{REGION}:{ACCOUNT_ID}:{kind}/{name}");
    let task_arn = arn("task", &format!("prod/{task}"));
    let detail = json!({
        "clusterArn": arn("cluster", "prod"),
        "taskArn": task_arn,
        "taskDefinitionArn": arn("task-definition", &format!("{task}:7")),
        "group": "service:web",
        "launchType": "FARGATE",
        "platformVersion": "1.4.0",
        "desiredStatus": "RUNNING",
        "lastStatus": "RUNNING",
        "createdAt": "2026-11-22T18:15:34.402Z",
        "pullStartedAt": "2026-11-22T18:15:52.103Z",
        "pullStoppedAt": "2026-11-22T18:15:55.603Z",
        "startedAt": "2026-11-22T18:15:58.103Z",
        "updatedAt": "2026-11-22T18:15:58.103Z",
        "containers": [{
            "containerArn": arn("container", "one"),
            "taskArn": task_arn,
            "name": "app",
            "lastStatus": "RUNNING",
            "image": image,
            "imageDigest": digest,
        }],
        "version": 4,
    });
    Event {
        source: "aws.ecs".to_owned(),
        detail_type: "ECS Task State Change".to_owned(),
        resources: vec![task_arn],
        detail,
    }
}

/// Sends it to EventBridge, for the account `000000000000` that the function runs in.
async fn send(cloud: &LocalCloud, event: Event) {
    assert_eq!(cloud.account().put_event(&event).await, Ok(()));
}

#[test]
fn a_start_is_measured_with_and_without_an_index() {
    story(async |shared| {
        let repository = Repository::new(shared, "started").await;
        let indexes = Indexes::deploy(shared, "Started", properties(&["started"])).await;
        let stack =
            Stack::of(shared, "Starts", "on-push.js").with("startTimes", r#"{"dashboard": true}"#);
        stack.deploy_app().await.succeeds();
        let starts = Indexes::of_stack(shared, stack).await;

        let plain = repository.push("v1", &[290]).await;
        indexes.record_of("started", "v1").await;
        let indexed = repository.digest_of("v1-soci").unwrap();
        let image = |tag: &str| format!("{}/started:{tag}", registry_host());
        send(&shared.cloud, started("plain", &image("v1"), &plain)).await;
        send(
            &shared.cloud,
            started("indexed", &image("v1-soci"), &indexed),
        )
        .await;
        let hub = "docker.io/library/nginx:1";
        send(&shared.cloud, started("elsewhere", hub, &plain)).await;
        let mut other = started("other", hub, &plain);
        other.detail["launchType"] = "EC2".into();
        send(&shared.cloud, other).await;

        for (family, with) in [
            ("plain", "none"),
            ("indexed", "v2"),
            ("elsewhere", "unknown"),
        ] {
            let of = |record: &Record| record.text("TaskFamily") == family;
            let look = async || starts.records().await.into_iter().find(of);
            let record = starts.once(&format!("start of {family}"), look).await;
            assert_eq!(record.text("Indexed"), with, "{record:?}");
            assert_eq!(record.text("Container"), "app");
            let times = ["PullSeconds", "StartSeconds"].map(|name| record.0[name].clone());
            assert_eq!(times, [Value::from(3.5), Value::from(6.0)], "{record:?}");
        }
        assert_eq!(starts.records().await.len(), 3);
        starts.assert_rights_were_checked();
    });
}
