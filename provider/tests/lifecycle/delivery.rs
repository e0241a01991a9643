//! The way of an answer to CloudFormation.

use std::time::Duration;

use serde_json::json;

use crate::{
    CREATE,
    support::{self, Cloud},
};

#[tokio::test]
async fn delivery_is_retried() {
    let cloud = Cloud::start().await;
    cloud.refuse("answer", 12, 503, "SlowDown");
    let mut event = cloud.event(CREATE);
    event["RequestType"] = json!("Rename");
    let answer = cloud.answer(&event).await;
    assert!(
        answer["Reason"]
            .as_str()
            .unwrap()
            .contains("unknown RequestType \"Rename\"")
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
async fn an_expired_response_url_is_not_retried() {
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
