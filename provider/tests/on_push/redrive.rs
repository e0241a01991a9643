//! Events that failed before, from the queue.

use serde_json::{Value, json};

use crate::{
    has_index,
    support::{
        Cloud, INVOCATION,
        images::{real, single},
        on_push::{SETTINGS, batch, pushed, queued},
    },
};

#[tokio::test]
async fn a_failed_event_is_run_again() {
    let cloud = Cloud::start().await;
    let event = pushed(&cloud, &real(&[1]), "v1");
    // As Lambda queues it, and as EventBridge does where it could not deliver it.
    for body in [queued(&event), event.clone()] {
        cloud.state().images.remove("v1-soci");
        let record = cloud.record_of(SETTINGS, &batch(&[body])).await;
        assert_eq!(record["Outcome"], "indexed", "{record}");
    }
    // And as somebody who took the record out of the queue does.
    let record = cloud.record_of(SETTINGS, &queued(&event)).await;
    assert_eq!(record["Outcome"], "already-there", "{record}");
}

#[tokio::test]
async fn one_that_fails_again_fails_its_batch_and_stays_in_the_queue() {
    let cloud = Cloud::start().await;
    let good = pushed(&cloud, &real(&[1]), "v2");
    let broken = pushed(&cloud, &single(), "v1");
    let function = cloud.on_push(SETTINGS);
    let event = batch(&[queued(&broken)]);
    let error = function.run(&event, INVOCATION).await.unwrap_err();
    assert!(
        error.to_string().starts_with("cannot index team/app:v1@"),
        "{error}"
    );

    let event = batch(&[queued(&broken), queued(&good)]);
    let error = function
        .run(&event, INVOCATION)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("1 of 2 events failed: cannot index team/app:v1@"),
        "{error}"
    );
    assert!(has_index(&cloud, "v2"));
}

#[tokio::test]
async fn an_empty_batch_is_no_work() {
    let cloud = Cloud::start().await;
    let function = cloud.on_push(SETTINGS);
    let event = json!({"Records": []});
    assert_eq!(function.run(&event, INVOCATION).await.unwrap(), Value::Null);
}
