//! Builds that die of a denial before the builder runs: the rights of a role that was just made are not known everywhere.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{CREATE, succeeded_build, support::Cloud};

fn fails_in(phase: &str, code: &str, message: &str) -> Value {
    json!({"buildStatus": "FAILED", "phases": [
        {"phaseType": "SUBMITTED", "phaseStatus": "SUCCEEDED"},
        {"phaseType": phase, "phaseStatus": "FAILED", "contexts": [{"statusCode": code, "message": message}]},
    ]})
}

fn denied() -> Value {
    fails_in(
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
async fn an_early_denial_starts_a_second_build() {
    let cloud = Cloud::start().await;
    ends(&cloud, &[denied(), succeeded_build()]);
    let event = cloud.event(CREATE);
    let answer = cloud.answer(&event).await;
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
    assert_eq!(answer["Data"]["BuildId"], "builder:2");
    assert_eq!(cloud.answer(&event).await, answer, "the same event again");
    assert_eq!(cloud.called("StartBuild"), 2);
}

#[tokio::test]
async fn an_early_denial_starts_no_third_build() {
    let cloud = Cloud::start().await;
    ends(&cloud, &[denied(), denied(), succeeded_build()]);
    let event = cloud.event(CREATE);
    let answer = cloud.answer(&event).await;
    assert_eq!(answer["Status"], "FAILED", "{answer}");
    let reason = answer["Reason"].as_str().unwrap();
    assert!(reason.starts_with("build builder:2 failed"), "{reason}");
    assert_eq!(cloud.answer(&event).await, answer, "the same event again");
    assert_eq!(cloud.called("StartBuild"), 2);
}

#[tokio::test]
async fn an_early_denial_is_handled_after_a_hand_over() {
    for last in [succeeded_build(), denied()] {
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
async fn other_failures_are_not_retried() {
    let access = "access denied";
    for end in [
        fails_in("PROVISIONING", "VPC_CLIENT_ERROR", "no free addresses"),
        fails_in("DOWNLOAD_SOURCE", "CLIENT_ERROR", "NoSuchKey"),
        fails_in("BUILD", "COMMAND_EXECUTION_ERROR", access),
        fails_in("POST_BUILD", "ACCESS_DENIED", access),
        json!({"buildStatus": "STOPPED"}),
    ] {
        let cloud = Cloud::start().await;
        ends(&cloud, &[end.clone(), succeeded_build()]);
        let answer = cloud.answer(&cloud.event(CREATE)).await;
        assert_eq!(answer["Status"], "FAILED", "{end}: {answer}");
        assert_eq!(cloud.called("StartBuild"), 1, "{end}");
    }
}

#[tokio::test]
async fn a_late_denial_is_not_retried() {
    let cloud = Cloud::start().await;
    let mut end = denied();
    // Two minutes are 1.2 s here, and the event's time is known to the second.
    let later = std::time::SystemTime::now() + Duration::from_secs(4);
    let later = later.duration_since(std::time::UNIX_EPOCH).unwrap();
    end["endTime"] = json!(later.as_secs_f64());
    ends(&cloud, &[end, succeeded_build()]);
    let answer = cloud.answer(&cloud.event(CREATE)).await;
    assert_eq!(answer["Status"], "FAILED", "{answer}");
    assert_eq!(cloud.called("StartBuild"), 1);
}
