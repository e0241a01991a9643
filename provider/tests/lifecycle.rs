//! Create, Update, Delete as the handler sees them, against a small cloud on loopback: what is called, and what is answered.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::{
    Cloud,
    images::{indexed, single},
};

const CREATE: &str = include_str!("events/create.json");
const UPDATE: &str = include_str!("events/update.json");
const DELETE: &str = include_str!("events/delete.json");

fn ends_well() -> Value {
    let result = json!({
        "outcome": "indexed", "image_digest": single().digest(), "output_digest": indexed().digest(),
        "output_tag": "v1-soci", "layers": {"indexed": 1, "reused": 0, "skipped": 0}, "indexes": [],
        "bytes_read": 20 << 20, "seconds": 1.5,
    });
    json!({"buildStatus": "SUCCEEDED", "exportedEnvironmentVariables": [{"name": "SOCI_RESULT", "value": result.to_string()}]})
}

fn destroyed(cloud: &Cloud, digest: &str) -> Value {
    let mut event = cloud.event(DELETE);
    event["PhysicalResourceId"] = json!(format!("team/app:v1-soci@{digest}"));
    event["ResourceProperties"]["RemovalPolicy"] = json!("destroy");
    event
}

#[tokio::test]
async fn a_create_ends_with_its_build() {
    let cloud = Cloud::start().await;
    cloud
        .state()
        .ends
        .insert("builder:1".to_owned(), (3, ends_well()));
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
async fn an_index_that_is_there_needs_no_build() {
    let cloud = Cloud::start().await;
    indexed().add_to(&mut cloud.state(), "v1-soci");
    let answer = cloud.answer(&cloud.event(CREATE)).await;
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
    assert_eq!(answer["Data"]["Outcome"], "already-there", "{answer}");
    assert_eq!(answer["Data"]["OutputImageDigest"], indexed().digest());
    assert_eq!(cloud.called("StartBuild"), 0);
}

#[tokio::test]
async fn the_same_event_again_has_the_same_answer_and_no_second_build() {
    let cloud = Cloud::start().await;
    cloud
        .state()
        .ends
        .insert("builder:1".to_owned(), (3, ends_well()));
    let event = cloud.event(CREATE);
    let first = cloud.answer(&event).await;
    assert_eq!(cloud.answer(&event).await, first);
    assert_eq!(cloud.called("StartBuild"), 1);
}

fn in_a_hurry(cloud: &Cloud, event: &str) -> Value {
    let mut event = cloud.event(event);
    event["ResourceProperties"]["WaitForIndex"] = json!("false");
    event
}

#[tokio::test]
async fn who_does_not_wait_is_answered_at_the_start_with_the_image_as_it_is() {
    let cloud = Cloud::start().await;
    let event = in_a_hurry(&cloud, CREATE);
    let answer = cloud.answer(&event).await;
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
    assert_eq!(answer["Data"]["Outcome"], "started");
    assert_eq!(answer["Data"]["OutputImageDigest"], single().digest());
    assert_eq!(answer["Data"]["OutputImageTag"], "v1-soci");
    assert_eq!(answer["Data"]["BuildId"], "builder:1");
    let reason = answer["Reason"].as_str().unwrap();
    assert!(
        reason.contains("nobody waits for the build builder:1"),
        "{reason}"
    );
    assert_eq!(cloud.state().builds[0]["buildStatus"], "IN_PROGRESS");

    assert_eq!(cloud.answer(&event).await, answer, "the same event again");
    assert_eq!(cloud.called("StartBuild"), 1);
}

#[tokio::test]
async fn who_does_not_wait_gets_the_index_that_is_there() {
    let cloud = Cloud::start().await;
    indexed().add_to(&mut cloud.state(), "v1-soci");
    let answer = cloud.answer(&in_a_hurry(&cloud, CREATE)).await;
    assert_eq!(
        answer["Data"]["OutputImageDigest"],
        indexed().digest(),
        "{answer}"
    );
    assert_eq!(cloud.called("StartBuild"), 0);
}

#[tokio::test]
async fn the_end_of_an_old_id_leaves_the_build_of_the_new_one_alone() {
    let cloud = Cloud::start().await;
    single().add_to(&mut cloud.state(), "v2");
    let created = cloud.answer(&in_a_hurry(&cloud, CREATE)).await;
    let mut update = in_a_hurry(&cloud, UPDATE);
    update["RequestId"] = json!("another");
    update["PhysicalResourceId"] = created["PhysicalResourceId"].clone();
    let updated = cloud.answer(&update).await;
    assert_ne!(updated["PhysicalResourceId"], created["PhysicalResourceId"]);

    let mut delete = in_a_hurry(&cloud, DELETE);
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

#[tokio::test]
async fn a_long_build_is_handed_over() {
    let cloud = Cloud::start().await;
    cloud
        .state()
        .ends
        .insert("builder:1".to_owned(), (60, ends_well()));
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
async fn a_hand_over_that_is_refused_for_good_ends_the_build() {
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
        .insert("builder:2".to_owned(), (1, ends_well()));
    let mut update = cloud.event(UPDATE);
    update["RequestId"] = json!("another");
    let answer = cloud.answer(&update).await;
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
    let state = cloud.state();
    assert_eq!(state.builds[0]["buildStatus"], "STOPPED");
    let arguments = state.builds[1]["environment"]["environmentVariables"][0]["value"].to_string();
    assert!(arguments.contains("--reuse-from=v1-soci"), "{arguments}");
}

#[tokio::test]
async fn a_delete_leaves_what_it_is_not_asked_to_take() {
    let cloud = Cloud::start().await;
    indexed().add_to(&mut cloud.state(), "v1-soci");
    for event in [
        cloud.event(DELETE),
        cloud.event(include_str!("events/delete-not-created.json")),
    ] {
        let answer = cloud.answer(&event).await;
        assert_eq!(answer["Status"], "SUCCESS", "{answer}");
        assert_eq!(answer["PhysicalResourceId"], event["PhysicalResourceId"]);
    }
    assert!(cloud.state().images.contains_key("v1-soci"));
    assert_eq!(cloud.called("BatchGetImage"), 0);
}

#[tokio::test]
async fn a_delete_takes_all_of_the_index_and_nothing_of_the_image() {
    let cloud = Cloud::start().await;
    indexed().add_to(&mut cloud.state(), "v1-soci");
    assert_eq!(cloud.state().images.len(), 6);
    let answer = cloud.answer(&destroyed(&cloud, &indexed().digest())).await;
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
    let left: Vec<String> = cloud.state().images.keys().cloned().collect();
    assert_eq!(left, [single().digest(), "v1".to_owned()]);
}

#[tokio::test]
async fn a_delete_spares_what_has_another_tag_or_moved_or_is_the_original() {
    let cloud = Cloud::start().await;
    indexed().add_to(&mut cloud.state(), "v1-soci");
    indexed().add_to(&mut cloud.state(), "release");
    cloud.answer(&destroyed(&cloud, &indexed().digest())).await;
    assert_eq!(cloud.state().images.len(), 6, "only the tag is gone");

    single().add_to(&mut cloud.state(), "v1-soci");
    cloud.answer(&destroyed(&cloud, &indexed().digest())).await;
    assert!(
        cloud.state().images.contains_key("v1-soci"),
        "it names another image"
    );

    cloud.state().images.remove("v1");
    cloud.answer(&destroyed(&cloud, &single().digest())).await;
    assert!(
        cloud.state().images.contains_key("v1-soci"),
        "the last tag of the original"
    );
}

#[tokio::test]
async fn a_delete_that_cannot_clean_up_still_lets_the_stack_go() {
    let cloud = Cloud::start().await;
    indexed().add_to(&mut cloud.state(), "v1-soci");
    cloud.refuse("BatchDeleteImage", 10_000, 400, "AccessDeniedException");
    let answer = cloud.answer(&destroyed(&cloud, &indexed().digest())).await;
    assert_eq!(answer["Status"], "SUCCESS");
    assert!(
        answer["Reason"]
            .as_str()
            .unwrap()
            .contains("BatchDeleteImage: AccessDeniedException"),
        "{answer}"
    );
}

#[tokio::test]
async fn an_endpoint_that_is_down_is_waited_for() {
    let cloud = Cloud::start().await;
    cloud.refuse("answer", 12, 503, "SlowDown");
    let mut event = cloud.event(CREATE);
    event["RequestType"] = json!("Rename");
    let answer = cloud.answer(&event).await;
    assert!(
        answer["Reason"]
            .as_str()
            .unwrap()
            .contains("\"Rename\" is unknown")
    );

    cloud.refuse("answer", 100_000, 503, "SlowDown");
    let undelivered = cloud
        .run(&event, Duration::from_millis(300))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        undelivered.contains("503") && !undelivered.contains(support::SIGNATURE),
        "{undelivered}"
    );
}

#[tokio::test]
async fn an_address_that_has_expired_is_given_up() {
    let cloud = Cloud::start().await;
    cloud.refuse("answer", 1, 403, "AccessDenied");
    let mut event = cloud.event(CREATE);
    event["RequestType"] = json!("Rename");
    assert!(
        cloud
            .run(&event, Duration::from_secs(900))
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(cloud.called("answer"), 1);
}
