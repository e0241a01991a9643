//! Builds of older requests are stopped without delaying the response, and reported as stopped only if they are.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    CREATE, UPDATE,
    support::{
        Cloud,
        images::{indexed, single},
    },
};

/// The build of a Create runs, and nobody is left who watches it.
async fn with_an_older_build() -> Cloud {
    let cloud = Cloud::start().await;
    single().add_to(&mut cloud.state(), "v2");
    let soon = std::time::SystemTime::now() + Duration::from_millis(500);
    soci_provider::handler::handle(&cloud.app(), cloud.event(CREATE), soon)
        .await
        .unwrap();
    let mut state = cloud.state();
    assert_eq!(state.invoked.drain(..).count(), 1);
    assert_eq!(state.builds.len(), 1);
    drop(state);
    cloud
}

fn newer(cloud: &Cloud) -> Value {
    let mut update = cloud.event(UPDATE);
    update["RequestId"] = json!("another");
    update
}

#[tokio::test]
async fn an_older_build_that_cannot_be_stopped_does_not_delay_the_response() {
    let cloud = with_an_older_build().await;
    indexed().add_to(&mut cloud.state(), "v2-soci");
    cloud.state().calls.clear();
    cloud.refuse("StopBuild", 10_000, 400, "AccessDeniedException");
    let answer = cloud.answer(&newer(&cloud)).await;
    assert_eq!(answer["Data"]["Outcome"], "already-there", "{answer}");
    let calls = cloud.state().calls.clone();
    let answered = calls.iter().position(|call| call == "answer").unwrap();
    let tries = |calls: &[String]| calls.iter().filter(|call| *call == "StopBuild").count();
    assert!(tries(&calls[..answered]) <= 2, "{calls:?}");
    assert!(tries(&calls) >= 2, "{calls:?}");
}

#[tokio::test]
async fn an_older_build_that_cannot_be_stopped_does_not_delay_the_new_build() {
    let cloud = with_an_older_build().await;
    cloud.refuse("StopBuild", 10_000, 400, "ThrottlingException");
    cloud
        .state()
        .ends
        .insert("builder:2".to_owned(), (1, crate::succeeded_build()));
    let answer = cloud.answer(&newer(&cloud)).await;
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
}

/// The reason of an answer at the deadline, with a build that never ends.
async fn at_the_deadline(prepare: impl FnOnce(&Cloud)) -> String {
    let cloud = Cloud::start().await;
    prepare(&cloud);
    let event = cloud.event(CREATE);
    let app = cloud.app_at("0.0005");
    let deadline = std::time::SystemTime::now() + Duration::from_secs(900);
    soci_provider::handler::handle(&app, event, deadline)
        .await
        .unwrap();
    let answers = std::mem::take(&mut cloud.state().answers);
    answers[0]["Reason"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_build_is_reported_as_stopped_only_if_it_was() {
    let stopped = at_the_deadline(|_| ()).await;
    assert!(stopped.contains("build builder:1 was stopped"), "{stopped}");

    let running = at_the_deadline(|cloud| cloud.state().stops_nothing = true).await;
    assert!(
        running.contains("build builder:1 is being stopped"),
        "{running}"
    );

    let denied = |cloud: &Cloud| cloud.refuse("StopBuild", 10_000, 400, "AccessDeniedException");
    let denied = at_the_deadline(denied).await;
    assert!(
        denied.contains("build builder:1 could not be stopped"),
        "{denied}"
    );
    assert!(!denied.contains("was stopped"), "{denied}");
}
