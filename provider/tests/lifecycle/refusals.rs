//! What is denied, missing, throttled or dead, and how it is told.

use serde_json::json;

use crate::{
    CREATE, ends_well,
    support::{Cloud, images::indexed},
};

#[tokio::test]
async fn rights_that_come_late_are_waited_for() {
    let cloud = Cloud::start().await;
    cloud
        .state()
        .ends
        .insert("builder:1".to_owned(), (2, ends_well()));
    for operation in ["BatchGetImage", "ListBuildsForProject", "StartBuild"] {
        cloud.refuse(operation, 5, 400, "AccessDeniedException");
    }
    let answer = cloud.answer(&cloud.event(CREATE)).await;
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
}

#[tokio::test]
async fn what_is_denied_for_ever_is_said() {
    for (operation, code, words) in [
        (
            "StartBuild",
            "AccessDeniedException",
            "CodeBuild StartBuild: AccessDeniedException",
        ),
        (
            "StartBuild",
            "AccountLimitExceededException",
            "quota of concurrently running builds",
        ),
        (
            "BatchGetImage",
            "AccessDeniedException",
            "cannot read the image 123456789012.dkr.ecr",
        ),
        (
            "ListBuildsForProject",
            "ThrottlingException",
            "cannot look for builds of the project builder",
        ),
    ] {
        let cloud = Cloud::start().await;
        cloud.refuse(operation, 10_000, 400, code);
        let answer = cloud.answer(&cloud.event(CREATE)).await;
        assert_eq!(answer["Status"], "FAILED", "{answer}");
        let reason = answer["Reason"].as_str().unwrap();
        assert!(reason.contains(words), "{reason}");
        assert!(
            cloud.called(operation) > 10,
            "{operation} was called {} times",
            cloud.called(operation)
        );
    }
}

#[tokio::test]
async fn what_does_not_exist_is_said_at_once() {
    for (operation, code) in [
        ("BatchGetImage", "RepositoryNotFoundException"),
        ("ListBuildsForProject", "ResourceNotFoundException"),
    ] {
        let cloud = Cloud::start().await;
        cloud.refuse(operation, 10_000, 400, code);
        let answer = cloud.answer(&cloud.event(CREATE)).await;
        assert!(
            answer["Reason"].as_str().unwrap().contains(code),
            "{answer}"
        );
        assert_eq!(cloud.called(operation), 1);
        assert_eq!(cloud.called("StartBuild"), 0);
    }
}

#[tokio::test]
async fn a_poll_that_is_throttled_is_made_again() {
    let cloud = Cloud::start().await;
    cloud
        .state()
        .ends
        .insert("builder:1".to_owned(), (2, ends_well()));
    // For longer than the patience that other failures meet.
    cloud.refuse("BatchGetBuilds", 200, 400, "ThrottlingException");
    let answer = cloud.answer(&cloud.event(CREATE)).await;
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
}

#[tokio::test]
async fn an_early_death_is_told_without_a_link_to_nowhere() {
    let cloud = Cloud::start().await;
    let end = json!({
        "buildStatus": "FAILED", "logs": {"deepLink": "https://console/#logEvent:group=null;stream=null"},
        "phases": [{"phaseType": "SUBMITTED", "phaseStatus": "SUCCEEDED"},
                   {"phaseType": "PROVISIONING", "phaseStatus": "FAILED", "contexts": [{"statusCode": "X", "message": "no capacity"}]}],
    });
    cloud.state().ends.insert("builder:1".to_owned(), (1, end));
    let answer = cloud.answer(&cloud.event(CREATE)).await;
    assert_eq!(
        answer["Reason"],
        "the build builder:1 failed (FAILED) in the phase PROVISIONING, before the builder was started: no capacity"
    );
}

#[tokio::test]
async fn the_builders_words_are_told_with_the_link() {
    let cloud = Cloud::start().await;
    let end = json!({
        "buildStatus": "FAILED", "logs": {"deepLink": "https://console/#log$252F1"},
        "phases": [{"phaseType": "BUILD", "phaseStatus": "FAILED", "contexts": [{"message": "exit status 1"}]}],
        "exportedEnvironmentVariables": [{"name": "SOCI_RESULT", "value": "{\"outcome\":\"failed\",\"error\":\"layer 3\"}"}],
    });
    cloud.state().ends.insert("builder:1".to_owned(), (1, end));
    let answer = cloud.answer(&cloud.event(CREATE)).await;
    assert_eq!(
        answer["Reason"],
        "layer 3; the build builder:1 failed (FAILED) in the phase BUILD (log: https://console/#log$252F1)"
    );
}

#[tokio::test]
async fn a_right_that_is_missing_is_said_although_a_build_could_do_without() {
    let cloud = Cloud::start().await;
    indexed().add_to(&mut cloud.state(), "v1-soci");
    cloud.refuse(
        "BatchCheckLayerAvailability",
        10_000,
        400,
        "AccessDeniedException",
    );
    let answer = cloud.answer(&cloud.event(CREATE)).await;
    assert_eq!(answer["Status"], "FAILED", "{answer}");
    assert!(
        answer["Reason"]
            .as_str()
            .unwrap()
            .contains("BatchCheckLayerAvailability"),
        "{answer}"
    );
    assert_eq!(cloud.called("StartBuild"), 0);
}
