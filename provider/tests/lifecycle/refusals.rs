//! What is denied, missing, throttled or dead, and how it is told.

use serde_json::json;

use crate::{
    CREATE, succeeded_build,
    support::{Cloud, images::indexed},
};

#[tokio::test]
async fn access_denied_is_retried_until_permissions_propagate() {
    let cloud = Cloud::start().await;
    cloud
        .state()
        .ends
        .insert("builder:1".to_owned(), (2, succeeded_build()));
    for operation in ["BatchGetImage", "ListBuildsForProject", "StartBuild"] {
        cloud.refuse(operation, 5, 400, "AccessDeniedException");
    }
    let answer = cloud.answer(&cloud.event(CREATE)).await;
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
}

#[tokio::test]
async fn permanent_access_denied_is_reported() {
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
            "cannot list builds of project builder",
        ),
    ] {
        let cloud = Cloud::start().await;
        cloud.refuse(operation, 10_000, 400, code);
        let answer = cloud.answer(&cloud.event(CREATE)).await;
        assert_eq!(answer["Status"], "FAILED", "{answer}");
        let reason = answer["Reason"].as_str().unwrap();
        assert!(reason.contains(words), "{reason}");
        // How often within the retry window depends on the machine.
        assert!(
            cloud.called(operation) > 1,
            "{operation} was called {} times",
            cloud.called(operation)
        );
    }
}

#[tokio::test]
async fn a_missing_resource_is_reported_without_retries() {
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
async fn throttled_polls_are_retried() {
    let cloud = Cloud::start().await;
    cloud
        .state()
        .ends
        .insert("builder:1".to_owned(), (2, succeeded_build()));
    // Longer than the retry window of other failures.
    cloud.refuse("BatchGetBuilds", 200, 400, "ThrottlingException");
    let answer = cloud.answer(&cloud.event(CREATE)).await;
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
}

#[tokio::test]
async fn an_early_failure_is_reported_without_a_broken_log_link() {
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
        "build builder:1 failed (FAILED) in phase PROVISIONING before the builder started: no capacity"
    );
}

#[tokio::test]
async fn the_builders_error_is_reported_with_the_log_link() {
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
        "layer 3; build builder:1 failed (FAILED) in phase BUILD (log: https://console/#log$252F1)"
    );
}

#[tokio::test]
async fn a_missing_permission_is_reported_even_if_a_build_does_not_need_it() {
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
