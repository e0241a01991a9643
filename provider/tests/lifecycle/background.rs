//! Deployments that do not wait for the index: `WaitForIndex` is `false`.

use serde_json::{Value, json};

use crate::{
    CREATE, DELETE, UPDATE,
    support::{
        Cloud,
        images::{indexed, single},
    },
};

fn in_background(cloud: &Cloud, event: &str) -> Value {
    let mut event = cloud.event(event);
    event["ResourceProperties"]["WaitForIndex"] = json!("false");
    event
}

#[tokio::test]
async fn a_background_build_responds_at_its_start_with_the_original_image() {
    let cloud = Cloud::start().await;
    let event = in_background(&cloud, CREATE);
    let answer = cloud.answer(&event).await;
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
    assert_eq!(answer["Data"]["Outcome"], "started");
    assert_eq!(answer["Data"]["OutputImageDigest"], single().digest());
    assert_eq!(answer["Data"]["OutputImageTag"], "v1-soci");
    assert_eq!(answer["Data"]["BuildId"], "builder:1");
    let reason = answer["Reason"].as_str().unwrap();
    assert!(
        reason.contains("build builder:1 runs in the background"),
        "{reason}"
    );
    assert_eq!(cloud.state().builds[0]["buildStatus"], "IN_PROGRESS");

    let asked = |cloud: &Cloud| {
        let state = cloud.state();
        let tags = state.asked.iter().filter(|name| *name == "v1").count();
        drop(state);
        tags
    };
    assert_eq!(asked(&cloud), 1, "the tag is read once");
    assert_eq!(cloud.answer(&event).await, answer, "the same event again");
    assert_eq!(cloud.called("StartBuild"), 1);
}

#[tokio::test]
async fn without_waiting_an_existing_index_is_returned() {
    let cloud = Cloud::start().await;
    indexed().add_to(&mut cloud.state(), "v1-soci");
    let answer = cloud.answer(&in_background(&cloud, CREATE)).await;
    assert_eq!(
        answer["Data"]["OutputImageDigest"],
        indexed().digest(),
        "{answer}"
    );
    assert_eq!(cloud.called("StartBuild"), 0);
}

#[tokio::test]
async fn deleting_the_old_id_keeps_the_background_build_of_the_new_one() {
    let cloud = Cloud::start().await;
    single().add_to(&mut cloud.state(), "v2");
    let created = cloud.answer(&in_background(&cloud, CREATE)).await;
    let mut update = in_background(&cloud, UPDATE);
    update["RequestId"] = json!("another");
    update["PhysicalResourceId"] = created["PhysicalResourceId"].clone();
    let updated = cloud.answer(&update).await;
    assert_ne!(updated["PhysicalResourceId"], created["PhysicalResourceId"]);

    let mut delete = in_background(&cloud, DELETE);
    delete["RequestId"] = json!("a third");
    delete["PhysicalResourceId"] = created["PhysicalResourceId"].clone();
    assert_eq!(cloud.answer(&delete).await["Status"], "SUCCESS");
    let state = cloud.state();
    let ends: Vec<&Value> = state
        .builds
        .iter()
        .map(|build| &build["buildStatus"])
        .collect();
    assert_eq!(
        ends,
        ["STOPPED", "IN_PROGRESS"],
        "the image of the first is outdated"
    );
}
