//! Indexes that the builder function builds: handed on, built, answered once; and each way in which that fails.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::{
    CREATE, DELETE, UPDATE,
    support::{
        Cloud, SIGNATURE,
        functions::{BUILDER, Waiting},
        images::{real, real_layer},
    },
};

const LONG: Duration = Duration::from_secs(900);

async fn cloud() -> Cloud {
    let cloud = Cloud::start().await;
    real(&[1]).add_to(&mut cloud.state(), "v1");
    real(&[1, 2]).add_to(&mut cloud.state(), "v2");
    cloud
}

/// A Create that is handed on.
async fn handed_on(cloud: &Cloud) -> Waiting {
    let event = cloud.function_event(CREATE);
    cloud.provide(&event).await;
    assert_eq!(cloud.state().answers, Vec::<Value>::new());
    cloud.waiting().unwrap()
}

/// The only answer so far.
fn answered(cloud: &Cloud) -> Value {
    let mut answers = std::mem::take(&mut cloud.state().answers);
    assert_eq!(answers.len(), 1, "{answers:#?}");
    let answer = answers.remove(0);
    assert!(!answer.to_string().contains(SIGNATURE), "{answer}");
    answer
}

fn failed_with(answer: &Value, words: &[&str]) {
    let reason = answer["Reason"].as_str().unwrap_or_default();
    assert_eq!(answer["Status"], "FAILED", "{answer}");
    for word in words {
        assert!(reason.contains(word), "no {word:?} in {reason}");
    }
}

/// When a newer request was made.
fn later() -> SystemTime {
    SystemTime::now() + Duration::from_secs(30)
}

fn has_index(cloud: &Cloud) -> bool {
    cloud.state().images.contains_key("v1-soci")
}

#[tokio::test]
async fn a_create_is_handed_on_and_answered_by_the_function() {
    let cloud = cloud().await;
    let waiting = handed_on(&cloud).await;
    cloud.build(&waiting, LONG).await.unwrap();
    let answer = answered(&cloud);
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
    let output = cloud.state().images["v1-soci"].digest();
    assert_eq!(
        answer["PhysicalResourceId"],
        format!("team/app:v1-soci@{output}")
    );
    let data = &answer["Data"];
    assert_eq!(
        data["BuildId"],
        format!("index-builder/{}", waiting.request_id)
    );
    assert_eq!(data["Outcome"], "indexed");
    assert_eq!(data["OutputImageDigest"], output);
    assert_eq!(data["InputImageDigest"], real(&[1]).digest());
    assert_eq!(
        (&data["LayersIndexed"], &data["LayersReused"]),
        (&json!("1"), &json!("0"))
    );
    for operation in ["StartBuild", "ListBuildsForProject", "Invoke"] {
        assert_eq!(cloud.called(operation), 0, "{operation}");
    }
    assert!(
        cloud.called("DescribeStackResource") > 0,
        "the tag was put without a look"
    );
}

#[tokio::test]
async fn an_index_that_is_there_is_answered_by_the_provider() {
    let cloud = cloud().await;
    let event = cloud.function_event(CREATE);
    let first = cloud.settle(&event).await.remove(0);
    let again = cloud.settle(&event).await.remove(0);
    assert_eq!(again["Data"]["Outcome"], "already-there", "{again}");
    assert_eq!(again["PhysicalResourceId"], first["PhysicalResourceId"]);
    assert_eq!(again["Data"]["BuildId"], "");
    assert_eq!(cloud.called("InvokeBuilder"), 1);
}

#[tokio::test]
async fn an_update_reads_only_the_layer_that_is_new() {
    let cloud = cloud().await;
    cloud.settle(&cloud.function_event(CREATE)).await;
    cloud.state().bytes_served = 0;
    let answer = cloud.settle(&cloud.function_event(UPDATE)).await.remove(0);
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
    let data = &answer["Data"];
    assert_eq!(
        (&data["LayersIndexed"], &data["LayersReused"]),
        (&json!("1"), &json!("1"))
    );
}

#[tokio::test]
async fn who_does_not_wait_is_answered_when_the_function_is_invoked() {
    let cloud = cloud().await;
    let mut event = cloud.function_event(CREATE);
    event["ResourceProperties"]["WaitForIndex"] = json!("false");
    cloud.provide(&event).await;
    let waiting = cloud.waiting().unwrap();
    let answer = answered(&cloud);
    assert_eq!(answer["Data"]["Outcome"], "started", "{answer}");
    assert_eq!(
        answer["Data"]["BuildId"],
        format!("index-builder/{}", waiting.request_id)
    );
    assert_eq!(answer["Data"]["OutputImageDigest"], real(&[1]).digest());
    // By now, CloudFormation has the answer.
    cloud.state().resource = Some(("CREATE_COMPLETE", SystemTime::now()));
    cloud.build(&waiting, LONG).await.unwrap();
    assert!(has_index(&cloud));
    cloud.provide(&waiting.killed()).await;
    assert_eq!(cloud.state().answers, Vec::<Value>::new());
}

#[tokio::test]
async fn the_provider_answers_for_a_function_that_was_ended() {
    for (condition, kind, message, words) in [
        (
            "RetriesExhausted",
            "Runtime.ExitError",
            "Runtime exited with error: signal: killed",
            ["out of memory", "raise memorySize"],
        ),
        (
            "RetriesExhausted",
            "Sandbox.Timedout",
            "Task timed out after 900.00 seconds",
            ["timed out", "raise timeout"],
        ),
        (
            "EventAgeExceeded",
            "",
            "",
            ["was not started in time", "CODE_BUILD"],
        ),
    ] {
        let cloud = cloud().await;
        let waiting = handed_on(&cloud).await;
        cloud
            .provide(&waiting.record(condition, kind, message))
            .await;
        failed_with(&answered(&cloud), &words);
        assert!(cloud.waiting().is_none(), "it was handed on again");
    }
}

#[tokio::test]
async fn an_index_that_was_pushed_before_the_crash_is_a_success() {
    let cloud = cloud().await;
    let waiting = handed_on(&cloud).await;
    // Nobody takes the answer in this invocation's time, which ends it.
    cloud.refuse("answer", 1_000, 503, "SlowDown");
    cloud
        .build(&waiting, Duration::from_secs(2))
        .await
        .unwrap_err();
    cloud.state().refusals.clear();
    cloud.provide(&waiting.killed()).await;
    let answer = answered(&cloud);
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
    assert_eq!(
        answer["Data"]["BuildId"],
        format!("index-builder/{}", waiting.request_id)
    );
}

#[tokio::test]
async fn a_crash_after_the_answer_changes_nothing_of_it() {
    let cloud = cloud().await;
    let waiting = handed_on(&cloud).await;
    cloud.build(&waiting, LONG).await.unwrap();
    let first = answered(&cloud);
    cloud.provide(&waiting.killed()).await;
    let second = answered(&cloud);
    for field in ["Status", "PhysicalResourceId"] {
        assert_eq!(second[field], first[field]);
    }
}

#[tokio::test]
async fn an_image_that_is_missing_is_named_by_either() {
    let cloud = cloud().await;
    let waiting = handed_on(&cloud).await;
    cloud.state().images.remove("v1");
    cloud.build(&waiting, LONG).await.unwrap();
    failed_with(
        &answered(&cloud),
        &[
            "cannot index",
            "team/app:v1",
            "(log: /aws/lambda/index-builder 0)",
        ],
    );
    cloud.provide(&waiting.killed()).await;
    failed_with(&answered(&cloud), &["cannot read the image", "team/app:v1"]);
}

#[tokio::test]
async fn rights_that_come_late_are_waited_for_and_those_that_never_come_are_told() {
    for operation in ["GetManifest", "GetBlob", "StartUpload", "PutManifest"] {
        let cloud = cloud().await;
        let waiting = handed_on(&cloud).await;
        cloud.refuse(operation, 2, 403, "DENIED");
        cloud.build(&waiting, LONG).await.unwrap();
        assert_eq!(answered(&cloud)["Status"], "SUCCESS", "{operation}");
    }
    let cloud = cloud().await;
    let waiting = handed_on(&cloud).await;
    cloud.refuse("PutManifest", 10_000, 403, "DENIED");
    cloud.build(&waiting, LONG).await.unwrap();
    failed_with(&answered(&cloud), &["cannot index", "403 DENIED"]);
    assert!(!has_index(&cloud));
}

#[tokio::test]
async fn a_newer_request_stops_the_run_before_its_tag() {
    for status in ["UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS"] {
        let cloud = cloud().await;
        let waiting = handed_on(&cloud).await;
        cloud.state().resource = Some((status, later()));
        cloud.build(&waiting, LONG).await.unwrap();
        failed_with(&answered(&cloud), &["a newer request", status]);
        assert!(!has_index(&cloud));
    }
}

#[tokio::test]
async fn a_newer_request_stops_a_run_that_reads() {
    let cloud = cloud().await;
    let waiting = handed_on(&cloud).await;
    cloud.state().held.insert(real_layer(1).digest.to_string());
    cloud.state().resource = Some(("DELETE_IN_PROGRESS", later()));
    cloud.build(&waiting, LONG).await.unwrap();
    failed_with(&answered(&cloud), &["a newer request"]);
}

#[tokio::test]
async fn a_look_that_is_denied_stops_nothing() {
    let cloud = cloud().await;
    let waiting = handed_on(&cloud).await;
    cloud.refuse("DescribeStackResource", 10_000, 403, "AccessDenied");
    cloud.build(&waiting, LONG).await.unwrap();
    assert_eq!(answered(&cloud)["Status"], "SUCCESS");
}

#[tokio::test]
async fn the_answer_comes_before_the_invocation_ends() {
    let cloud = cloud().await;
    let waiting = handed_on(&cloud).await;
    cloud.state().held.insert(real_layer(1).digest.to_string());
    cloud.build(&waiting, Duration::from_secs(2)).await.unwrap();
    failed_with(
        &answered(&cloud),
        &[
            "timed out indexing",
            "0 of 1 layer, 0 B of ",
            "raise timeout",
            "CODE_BUILD",
        ],
    );
    assert!(!has_index(&cloud));
}

#[tokio::test]
async fn an_invocation_that_is_refused_is_tried_again() {
    let cloud = cloud().await;
    cloud.refuse("InvokeBuilder", 3, 403, "AccessDeniedException");
    let answers = cloud.settle(&cloud.function_event(CREATE)).await;
    assert_eq!(answers[0]["Status"], "SUCCESS", "{answers:?}");

    let cloud = self::cloud().await;
    cloud.refuse("InvokeBuilder", 10_000, 403, "AccessDeniedException");
    let answers = cloud.settle(&cloud.function_event(CREATE)).await;
    failed_with(
        &answers[0],
        &[
            "cannot invoke the builder function",
            BUILDER,
            "AccessDenied",
        ],
    );
}

#[tokio::test]
async fn moving_to_the_function_builds_nothing_and_stops_older_builds_where_it_may() {
    for (code, is_stopped) in [(None, true), (Some("AccessDeniedException"), false)] {
        let cloud = cloud().await;
        let created = cloud.settle(&cloud.function_event(CREATE)).await.remove(0);
        // An older request's build still runs in the project.
        let mut older = cloud.event(CREATE);
        older["RequestId"] = json!("older");
        older["ResourceProperties"]["InputImageTag"] = json!("v2");
        older["ResourceProperties"]["OutputImageTag"] = json!("v2-soci");
        let app = cloud.app();
        let older = soci_provider::handler::handle(&app, older, SystemTime::now() + LONG);
        let has_begun = async {
            while cloud.called("BatchGetBuilds") == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            _ = older => panic!("a build that never ends has ended"),
            () = has_begun => {}
        }

        if let Some(code) = code {
            cloud.refuse("ListBuildsForProject", 10_000, 400, code);
        }
        let mut update = cloud.function_event(UPDATE);
        update["PhysicalResourceId"] = created["PhysicalResourceId"].clone();
        let properties = update["ResourceProperties"].as_object_mut().unwrap();
        properties.insert("InputImageTag".to_owned(), json!("v1"));
        properties.insert("OutputImageTag".to_owned(), json!("v1-soci"));
        let old = update["OldResourceProperties"].as_object_mut().unwrap();
        old.remove("BuilderFunction");
        old.insert("ProjectName".to_owned(), json!("builder"));
        let answer = cloud.settle(&update).await.remove(0);
        assert_eq!(answer["Status"], "SUCCESS", "{answer}");
        assert_eq!(answer["PhysicalResourceId"], created["PhysicalResourceId"]);
        assert_eq!(cloud.called("InvokeBuilder"), 1, "built again");
        let status = cloud.state().builds[0]["buildStatus"].clone();
        assert_eq!(status == "STOPPED", is_stopped, "{status}");
    }
}

#[tokio::test]
async fn a_delete_needs_no_builder() {
    for builder in [json!(BUILDER), json!("")] {
        let cloud = cloud().await;
        let mut event = cloud.function_event(DELETE);
        event["ResourceProperties"]["BuilderFunction"] = builder;
        let answers = cloud.settle(&event).await;
        assert_eq!(answers[0]["Status"], "SUCCESS", "{answers:?}");
        assert_eq!(cloud.called("ListBuildsForProject"), 0);
    }
}
