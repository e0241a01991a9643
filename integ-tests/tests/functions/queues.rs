//! What a function fails at lies in its queue, and comes back to it when its event source mapping is enabled.

use serde_json::{Value, json};

use crate::worker::{AT_QUEUE, Plan, Workers};

fn pushes() -> Plan {
    Plan::of(json!({"action-type": ["PUSH"]}))
}

fn is_record(event: &Value) -> bool {
    event.get("Records").is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_event_lies_in_the_queue_until_it_is_redriven() {
    let workers = Workers::start().await;
    workers.deploy("Redrive", &pushes()).await;
    // The function fails at images of this repository.
    workers.repository("fail").await;
    let digest = workers.push("fail", "v1").await;
    let account = workers.cloud.account();
    let queue = "Redrive-Failures";
    let look = async || Some(account.queued(queue).await.unwrap()).filter(|all| !all.is_empty());
    let records = workers.once("message", look).await;

    // Two attempts as one request; the record is Lambda's.
    let attempts = workers.got("Redrive", 2, |_| true).await;
    assert_eq!(attempts.len(), 2);
    assert_eq!(attempts[0], attempts[1]);
    let record = &records[0];
    assert_eq!(record["requestPayload"], attempts[0].1);
    assert_eq!(record["requestPayload"]["detail"]["image-digest"], digest);
    let context = &record["requestContext"];
    assert_eq!(context["requestId"], attempts[0].0.as_str());
    assert_eq!(context["condition"], "RetriesExhausted");
    assert_eq!(context["approximateInvokeCount"], 2);
    assert_eq!(record["responsePayload"]["errorType"], "Broken");

    let [(mapping, state)] =
        <[_; 1]>::try_from(account.mappings("Redrive-Worker").await.unwrap()).unwrap();
    assert_eq!(state, "Disabled");
    assert_eq!(account.queue_counts(queue).await.unwrap(), (1, 0));
    assert_eq!(workers.got("Redrive", 0, is_record).await, []);
    account.enable_mapping(&mapping, true).await.unwrap();
    let redriven = workers.got("Redrive", 1, is_record).await;
    let message = &redriven[0].1["Records"][0];
    let body: Value = serde_json::from_str(message["body"].as_str().unwrap()).unwrap();
    assert_eq!(
        (&body, &message["eventSource"]),
        (record, &json!("aws:sqs"))
    );
    let is_empty = async || (account.queue_counts(queue).await.unwrap() == (0, 0)).then_some(());
    workers.once("empty queue", is_empty).await;

    account.enable_mapping(&mapping, false).await.unwrap();
    assert_eq!(
        account.mappings("Redrive-Worker").await.unwrap()[0].1,
        "Disabled"
    );
    // IAM was asked for each, with the function's role.
    let used = workers.cloud.cloud().iam().used();
    for action in AT_QUEUE {
        let by_role = |(who, what): &(String, String)| what == action && who.contains(":role/");
        assert!(used.iter().any(by_role), "{action}: {used:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lambda_checks_the_queue_and_the_rights_to_it() {
    let workers = Workers::start().await;
    for action in AT_QUEUE {
        let mut plan = pushes();
        plan.at_queue.retain(|other| *other != action);
        let name = action.trim_start_matches("sqs:");
        let reasons = workers
            .fail_to_deploy(&format!("Without{name}"), &plan)
            .await;
        let why = reasons.join("\n");
        let words = format!("execution role does not have permissions to call {name} on");
        assert!(why.contains(&words) && why.contains(action), "{why}");
    }
    let mut plan = pushes();
    plan.hidden_seconds = 9;
    let reasons = workers.fail_to_deploy("Short", &plan).await;
    let words = "Queue visibility timeout: 9 seconds is less than Function timeout: 10 seconds";
    assert!(reasons.iter().any(|why| why.contains(words)), "{reasons:?}");

    // A right that is lost later: the message stays.
    workers.deploy("Lost", &pushes()).await;
    workers.repository("fail").await;
    let iam = workers.cloud.cloud().iam();
    iam.withhold(
        "*",
        "sqs:ReceiveMessage",
        local_cloud::iam::Lasts::UntilLifted,
    );
    workers.push("fail", "v1").await;
    let account = workers.cloud.account();
    let is_there =
        async || (account.queue_counts("Lost-Failures").await.unwrap() == (1, 0)).then_some(());
    workers.once("message", is_there).await;
    let mapping = account.mappings("Lost-Worker").await.unwrap().remove(0).0;
    account.enable_mapping(&mapping, true).await.unwrap();
    let is_refused = async || {
        let log = workers.cloud.emulator_log();
        log.contains("No poll for Lost-Worker").then_some(())
    };
    workers.once("refused poll", is_refused).await;
    assert_eq!(account.queue_counts("Lost-Failures").await.unwrap(), (1, 0));
    iam.lift("sqs:ReceiveMessage");
    workers.got("Lost", 1, is_record).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_without_concurrency_is_throttled_until_its_events_are_too_old() {
    let workers = Workers::start().await;
    let mut plan = pushes();
    plan.reserved = Some(0);
    workers.deploy("Throttled", &plan).await;
    workers.repository("app").await;
    let digest = workers.push("app", "v1").await;
    let account = workers.cloud.account();
    let queue = "Throttled-Failures";
    let look = async || Some(account.queued(queue).await.unwrap()).filter(|all| !all.is_empty());
    let record = workers.once("message", look).await.remove(0);
    assert_eq!(record["requestContext"]["condition"], "EventAgeExceeded");
    assert_eq!(record["requestPayload"]["detail"]["image-digest"], digest);
    assert_eq!(workers.got("Throttled", 0, |_| true).await, []);

    plan.reserved = Some(901);
    let reasons = workers.fail_to_deploy("Greedy", &plan).await;
    let words = "below its minimum value of [100]";
    assert!(reasons.iter().any(|why| why.contains(words)), "{reasons:?}");
}
