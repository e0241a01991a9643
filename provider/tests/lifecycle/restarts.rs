//! Builds that die of a denial before the builder runs: the rights of a role that was just made are not known everywhere.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{CREATE, ends_well, support::Cloud};

fn dies_in(phase: &str, code: &str, message: &str) -> Value {
    json!({"buildStatus": "FAILED", "phases": [
        {"phaseType": "SUBMITTED", "phaseStatus": "SUCCEEDED"},
        {"phaseType": phase, "phaseStatus": "FAILED", "contexts": [{"statusCode": code, "message": message}]},
    ]})
}

fn denied() -> Value {
    dies_in(
        "PROVISIONING",
        "ACCESS_DENIED",
        "Service role r does not allow AWS CodeBuild to create Amazon CloudWatch Logs log streams",
    )
}

fn ends(cloud: &Cloud, ends: &[Value]) {
    let mut state = cloud.state();
    for (at, end) in ends.iter().enumerate() {
        state
            .ends
            .insert(format!("builder:{}", at + 1), (1, end.clone()));
    }
}

#[tokio::test]
async fn a_denial_is_tried_once_more() {
    let cloud = Cloud::start().await;
    ends(&cloud, &[denied(), ends_well()]);
    let event = cloud.event(CREATE);
    let answer = cloud.answer(&event).await;
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
    assert_eq!(answer["Data"]["BuildId"], "builder:2");
    assert_eq!(cloud.answer(&event).await, answer, "the same event again");
    assert_eq!(cloud.called("StartBuild"), 2);
}

#[tokio::test]
async fn and_not_twice() {
    let cloud = Cloud::start().await;
    ends(&cloud, &[denied(), denied(), ends_well()]);
    let event = cloud.event(CREATE);
    let answer = cloud.answer(&event).await;
    assert_eq!(answer["Status"], "FAILED", "{answer}");
    let reason = answer["Reason"].as_str().unwrap();
    assert!(reason.starts_with("the build builder:2 failed"), "{reason}");
    assert_eq!(cloud.answer(&event).await, answer, "the same event again");
    assert_eq!(cloud.called("StartBuild"), 2);
}

#[tokio::test]
async fn a_hand_over_in_between_changes_nothing() {
    for last in [ends_well(), denied()] {
        let cloud = Cloud::start().await;
        ends(&cloud, &[denied(), last.clone()]);
        cloud.state().ends.get_mut("builder:2").unwrap().0 = 30;
        let short = Duration::from_millis(400);
        let answers = cloud.run(&cloud.event(CREATE), short).await.unwrap();
        assert_eq!(answers.len(), 1, "{answers:?}");
        let is_good = last["buildStatus"] == "SUCCEEDED";
        assert_eq!(answers[0]["Status"] == "SUCCESS", is_good, "{answers:?}");
        assert!(cloud.called("Invoke") >= 1);
        assert_eq!(cloud.state().builds.len(), 2);
    }
}

#[tokio::test]
async fn other_deaths_are_not_tried_again() {
    let access = "access denied";
    for end in [
        dies_in("PROVISIONING", "VPC_CLIENT_ERROR", "no free addresses"),
        dies_in("DOWNLOAD_SOURCE", "CLIENT_ERROR", "NoSuchKey"),
        dies_in("BUILD", "COMMAND_EXECUTION_ERROR", access),
        dies_in("POST_BUILD", "ACCESS_DENIED", access),
        json!({"buildStatus": "STOPPED"}),
    ] {
        let cloud = Cloud::start().await;
        ends(&cloud, &[end.clone(), ends_well()]);
        let answer = cloud.answer(&cloud.event(CREATE)).await;
        assert_eq!(answer["Status"], "FAILED", "{end}: {answer}");
        assert_eq!(cloud.called("StartBuild"), 1, "{end}");
    }
}

#[tokio::test]
async fn a_denial_long_after_the_role_was_made_is_one() {
    let cloud = Cloud::start().await;
    let mut end = denied();
    // Two minutes are 1.2 s here, and the event's time is known to the second.
    let later = std::time::SystemTime::now() + Duration::from_secs(4);
    let later = later.duration_since(std::time::UNIX_EPOCH).unwrap();
    end["endTime"] = json!(later.as_secs_f64());
    ends(&cloud, &[end, ends_well()]);
    let answer = cloud.answer(&cloud.event(CREATE)).await;
    assert_eq!(answer["Status"], "FAILED", "{answer}");
    assert_eq!(cloud.called("StartBuild"), 1);
}
