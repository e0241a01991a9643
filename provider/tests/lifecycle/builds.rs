//! A build from its start to its answer: awaited, found again, handed over, reused.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    CREATE, UPDATE, succeeded_build,
    support::{
        self, Cloud,
        images::{indexed, single},
    },
};

#[tokio::test]
async fn a_create_responds_when_its_build_ends() {
    let cloud = Cloud::start().await;
    cloud
        .state()
        .ends
        .insert("builder:1".to_owned(), (3, succeeded_build()));
    let answer = cloud.answer(&cloud.event(CREATE)).await;
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
    assert_eq!(
        answer["PhysicalResourceId"],
        format!("team/app:v1-soci@{}", indexed().digest())
    );
    assert_eq!(answer["Data"]["BuildId"], "builder:1");
    assert_eq!(answer["Data"]["BytesRead"], "20971520");
    let variables = cloud.state().builds[0]["environment"]["environmentVariables"].clone();
    let names: Vec<&Value> = variables
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["name"])
        .collect();
    assert_eq!(
        names,
        ["SOCI_ARGUMENTS", "SOCI_REQUEST_ID", "SOCI_RESOURCE"]
    );
    assert!(!variables.to_string().contains(support::SIGNATURE));
}

#[tokio::test]
async fn an_existing_index_needs_no_build() {
    let cloud = Cloud::start().await;
    indexed().add_to(&mut cloud.state(), "v1-soci");
    let answer = cloud.answer(&cloud.event(CREATE)).await;
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
    assert_eq!(answer["Data"]["Outcome"], "already-there", "{answer}");
    assert_eq!(answer["Data"]["OutputImageDigest"], indexed().digest());
    assert_eq!(cloud.called("StartBuild"), 0);
}

#[tokio::test]
async fn a_repeated_event_gets_the_same_response_without_a_second_build() {
    let cloud = Cloud::start().await;
    cloud
        .state()
        .ends
        .insert("builder:1".to_owned(), (3, succeeded_build()));
    let event = cloud.event(CREATE);
    let first = cloud.answer(&event).await;
    assert_eq!(cloud.answer(&event).await, first);
    assert_eq!(cloud.called("StartBuild"), 1);
}

#[tokio::test]
async fn a_long_build_is_handed_over() {
    let cloud = Cloud::start().await;
    cloud
        .state()
        .ends
        .insert("builder:1".to_owned(), (60, succeeded_build()));
    let answers = cloud
        .run(&cloud.event(CREATE), Duration::from_millis(900))
        .await
        .unwrap();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(answers[0]["Status"], "SUCCESS", "{answers:?}");
    assert!(cloud.called("Invoke") >= 2, "{}", cloud.called("Invoke"));
    assert_eq!(cloud.called("StartBuild"), 1);
}

#[tokio::test]
async fn a_failed_hand_over_stops_the_build() {
    let cloud = Cloud::start().await;
    cloud.refuse("Invoke", 1_000, 403, "AccessDeniedException");
    let answers = cloud
        .run(&cloud.event(CREATE), Duration::from_secs(2))
        .await
        .unwrap();
    assert_eq!(answers[0]["Status"], "FAILED");
    assert!(
        answers[0]["Reason"]
            .as_str()
            .unwrap()
            .contains("Lambda Invoke: AccessDeniedException")
    );
    assert_eq!(cloud.state().builds[0]["buildStatus"], "STOPPED");
}

#[tokio::test]
async fn an_update_stops_the_older_build_and_reuses_the_older_index() {
    let cloud = Cloud::start().await;
    single().add_to(&mut cloud.state(), "v2");
    // A hand-over that is not taken up leaves the first build running.
    let app = cloud.app();
    let soon = std::time::SystemTime::now() + Duration::from_millis(500);
    soci_provider::handler::handle(&app, cloud.event(CREATE), soon)
        .await
        .unwrap();
    assert_eq!(cloud.state().invoked.drain(..).count(), 1);

    cloud
        .state()
        .ends
        .insert("builder:2".to_owned(), (1, succeeded_build()));
    let mut update = cloud.event(UPDATE);
    update["RequestId"] = json!("another");
    let answer = cloud.answer(&update).await;
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
    let state = cloud.state();
    assert_eq!(state.builds[0]["buildStatus"], "STOPPED");
    assert_eq!(support::argument(&state.builds[1], "reuse-from"), "v1-soci");
}
