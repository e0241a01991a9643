//! The account's quota of builds: a refusal is a longer queue, where a build of ours uses the quota up.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{CREATE, succeeded_build, support::Cloud};

const QUOTA: &str = "AccountLimitExceededException";
/// Three minutes are 1.8 s here, an hour 36 s.
const MINUTES: usize = 1_000;

/// A build of another resource runs in the project until so many starts were refused, and longer than a refused start without one
/// would be waited for.
fn busy_until(cloud: &Cloud, refusals: usize, code: &'static str) {
    let variables = json!([
        {"name": "SOCI_REQUEST_ID", "value": "other"}, {"name": "SOCI_RESOURCE", "value": "stack/Other"},
        {"name": "SOCI_ARGUMENTS", "value": "index"},
    ]);
    let mut state = cloud.state();
    state.builds.push(json!({
        "id": "builder:0", "token": "other", "buildStatus": "IN_PROGRESS", "currentPhase": "BUILD", "looks": 0,
        "environment": {"type": "LINUX_CONTAINER", "image": "i", "computeType": "BUILD_GENERAL1_SMALL",
                        "environmentVariables": variables},
    }));
    state
        .ends
        .insert("builder:2".to_owned(), (1, succeeded_build()));
    let mut left = refusals;
    state.on_call = Some(Box::new(move |state, operation| {
        if operation != "StartBuild" {
            return;
        }
        match left {
            0 => state.builds[0]["buildStatus"] = json!("SUCCEEDED"),
            _ => {
                left -= 1;
                let refusals = state.refusals.entry(operation.to_owned()).or_default();
                refusals.push_back((400, code));
            }
        }
    }));
}

#[tokio::test]
async fn a_quota_error_is_retried_while_a_build_of_the_project_runs() {
    for code in [QUOTA, "ThrottlingException", "TooManyRequestsException"] {
        let cloud = Cloud::start().await;
        // More than three minutes.
        busy_until(&cloud, 40, code);
        let answer = cloud.answer(&cloud.event(CREATE)).await;
        assert_eq!(answer["Status"], "SUCCESS", "{code}: {answer}");
        assert_eq!(answer["Data"]["BuildId"], "builder:2");
    }
}

#[tokio::test]
async fn the_retries_continue_in_the_next_invocations() {
    let cloud = Cloud::start().await;
    busy_until(&cloud, 40, QUOTA);
    let answers = cloud
        .run(&cloud.event(CREATE), Duration::from_millis(900))
        .await
        .unwrap();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(answers[0]["Status"], "SUCCESS", "{answers:?}");
    assert!(cloud.called("Invoke") >= 2, "{}", cloud.called("Invoke"));
}

#[tokio::test]
async fn a_quota_error_fails_within_minutes_if_no_build_of_the_project_runs() {
    for timeout in [Duration::from_secs(900), Duration::from_millis(900)] {
        let cloud = Cloud::start().await;
        cloud.refuse("StartBuild", MINUTES, 400, QUOTA);
        let answers = cloud.run(&cloud.event(CREATE), timeout).await.unwrap();
        let reason = answers[0]["Reason"].as_str().unwrap();
        for words in [
            "quota",
            "Service Quotas",
            "Concurrently running builds",
            QUOTA,
        ] {
            assert!(reason.contains(words), "{reason}");
        }
        // Asked every quarter of a minute at most, not all the time; a new invocation begins with shorter pauses.
        let asked = cloud.called("StartBuild");
        assert!((8..=40).contains(&asked), "{asked}");
    }
}

#[tokio::test]
async fn the_deadline_ends_the_retries_with_the_quota_error() {
    let cloud = Cloud::start().await;
    busy_until(&cloud, MINUTES, QUOTA);
    let mut event = cloud.event(CREATE);
    // 3,300 s are 33 s here, and all but the grace of a late event is gone.
    let made = std::time::SystemTime::now() - Duration::from_secs(40);
    let made = made
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let url = event["ResponseURL"].as_str().unwrap();
    event["ResponseURL"] = Value::from(format!("{url}&Expires={}", made + 7_200));
    let answer = cloud.answer(&event).await;
    let reason = answer["Reason"].as_str().unwrap();
    assert!(reason.contains("quota"), "{reason}");
}
