//! ECR's events reach the functions of the rules that they match.

use local_cloud::{
    account::{ACCOUNT_ID, Event, REGION},
    image::{Image, Layer, Types},
};
use serde_json::{Value, json};

use crate::worker::{Plan, Workers};

const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";

fn is_event(event: &Value) -> bool {
    event["source"] == "aws.ecr"
}

/// Repository, tag and action of each event, in order.
fn names(events: &[Event]) -> Vec<String> {
    let name = |event: &Event| {
        let text = |field: &str| event.detail[field].as_str().unwrap();
        let (repository, tag) = (text("repository-name"), text("image-tag"));
        format!("{} {repository}:{tag}", text("action-type"))
    };
    events.iter().map(name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_reaches_the_function_of_the_rules_that_it_matches() {
    let workers = Workers::start().await;
    // Every operator that filters of images need.
    let chosen = json!({
        "action-type": ["PUSH"],
        "$or": [
            {"repository-name": [{"wildcard": "team/*"}], "image-tag": [{"wildcard": "v*.0"}]},
            {"repository-name": ["app"], "image-tag": [{"anything-but": {"suffix": "-soci"}}]},
        ],
    });
    workers.deploy("Chosen", &Plan::of(chosen)).await;
    let mut silent = Plan::of(json!({"action-type": ["PUSH"]}));
    silent.rule_may_invoke = false;
    workers.deploy("Silent", &silent).await;
    silent.rule_may_send = true;
    workers.deploy("Letters", &silent).await;
    let replicas = json!({"action-type": ["REPLICATE"], "result": ["SUCCESS"]});
    workers.deploy("Replicas", &Plan::of(replicas)).await;
    for name in ["team/a", "app", "replica"] {
        workers.repository(name).await;
    }

    workers.push("team/a", "latest").await;
    workers.push("team/a", "v1.0").await;
    workers.push("app", "v1-soci").await;
    let layers = [Layer::noise(2, 1_000)];
    let platforms = [("linux/amd64", &layers[..]), ("linux/arm64", &layers[..])];
    let several = Image::index(Types::Oci, &platforms);
    workers.push_image("app", "v1", &several).await;
    let ecr = workers.cloud.cloud().ecr();
    ecr.expire_image("team/a", "v1.0");
    ecr.replicate("replica");
    let digest = workers.push("replica", "v1").await;

    let events = ecr.events();
    let all = [
        "PUSH team/a:latest",
        "PUSH team/a:v1.0",
        "PUSH app:v1-soci",
        "PUSH app:",
        "PUSH app:",
        "PUSH app:v1",
        "DELETE team/a:latest",
        "DELETE team/a:v1.0",
        "REPLICATE replica:v1",
    ];
    assert_eq!(names(&events), all);
    let types = |at: usize| {
        let detail: &Value = &events[at].detail;
        ["manifest-media-type", "artifact-media-type"].map(|name| detail.get(name).cloned())
    };
    assert_eq!(
        types(3),
        [Some(OCI_MANIFEST.into()), Some(OCI_CONFIG.into())]
    );
    assert_eq!(types(5), [Some(OCI_INDEX.into()), None]);

    // An empty tag has no suffix: the manifests of the platforms match too.
    let mut got = workers.got("Chosen", 4, is_event).await;
    got.sort_by_key(|(_, event)| event["detail"]["image-tag"].to_string());
    let tags = got.iter().map(|(_, event)| &event["detail"]["image-tag"]);
    assert_eq!(tags.collect::<Vec<_>>(), ["", "", "v1", "v1.0"]);
    let mut event = got[2].1.clone();
    for made in ["id", "time"] {
        let text = event[made].take();
        assert!(text.as_str().is_some_and(|text| text.len() >= 20), "{text}");
    }
    let whole = json!({
        "version": "0", "id": null, "time": null, "source": "aws.ecr", "detail-type": "ECR Image Action",
        "account": ACCOUNT_ID, "region": REGION, "resources": [],
        "detail": {
            "result": "SUCCESS", "action-type": "PUSH", "repository-name": "app", "image-tag": "v1",
            "image-digest": several.digest(), "manifest-media-type": OCI_INDEX,
        },
    });
    assert_eq!(event, whole);

    let replica = &workers.got("Replicas", 1, is_event).await[0].1;
    let arn = format!("arn:aws:ecr:{REGION}:{ACCOUNT_ID}:repository/replica");
    assert_eq!(replica["resources"], json!([arn]));
    assert_eq!(replica["detail-type"], "ECR Replication Action");
    assert_eq!(replica["detail"]["image-digest"], digest);
    assert_eq!(replica["detail"]["source-region"], "us-west-2");

    let words = "no statement of the policy of Silent-Worker lets it";
    assert!(workers.cloud.emulator_log().contains(words));
    assert_eq!(workers.got("Silent", 0, is_event).await, []);
    let account = workers.cloud.account();
    assert_eq!(
        account.queue_counts("Silent-Failures").await.unwrap(),
        (0, 0)
    );
    let letters = account.queued("Letters-Failures").await.unwrap();
    assert_eq!(letters.len(), 6, "one of each push: {letters:#?}");
    assert!(letters.iter().all(is_event));
}

#[tokio::test(flavor = "multi_thread")]
async fn events_come_twice_and_in_another_order_on_request() {
    let workers = Workers::start().await;
    workers
        .deploy("Odd", &Plan::of(json!({"action-type": ["PUSH"]})))
        .await;
    workers.repository("app").await;
    let ecr = workers.cloud.cloud().ecr();
    ecr.hold_events();
    for tag in ["a", "b", "c"] {
        workers.push("app", tag).await;
    }
    assert_eq!(ecr.events(), []);
    ecr.release_events(|events| {
        let [a, b, c] = <[Event; 3]>::try_from(events).unwrap();
        vec![c, a.clone(), b, a]
    });
    assert_eq!(
        names(&ecr.events()),
        ["c", "a", "b", "a"].map(|tag| format!("PUSH app:{tag}"))
    );
    let got = workers.got("Odd", 4, is_event).await;
    let mut tags: Vec<_> = got
        .iter()
        .map(|(_, event)| event["detail"]["image-tag"].clone())
        .collect();
    tags.sort_by_key(Value::to_string);
    assert_eq!(tags, ["a", "a", "b", "c"]);
    workers.push("app", "d").await;
    workers.got("Odd", 5, is_event).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_service_sends_its_events_and_a_rule_needs_a_valid_pattern() {
    let workers = Workers::start().await;
    let account = workers.cloud.account();
    let event = |source: &str| Event {
        source: source.to_owned(),
        detail_type: "ECS Task State Change".to_owned(),
        resources: Vec::new(),
        detail: json!({}),
    };
    assert_eq!(account.put_event(&event("aws.ecs")).await, Ok(()));
    // A source of its own, and nobody's: that of a user, who is no service.
    assert_eq!(account.put_event(&event("mine")).await, Ok(()));
    let body = json!({"Entries": [{"Source": "aws.ecr", "DetailType": "ECR Image Action", "Detail": "{}"}]});
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let refused = client
        .post(account.address())
        .header("x-amz-target", "AWSEvents.PutEvents")
        .header(
            "authorization",
            "AWS4-HMAC-SHA256 Credential=000000000000/20260101/us-east-1/events/aws4_request",
        )
        .body(body.to_string())
        .send();
    let refused = refused.await.unwrap().bytes().await.unwrap();
    let refused: Value = serde_json::from_slice(&refused).unwrap();
    assert_eq!(
        refused["Entries"][0]["ErrorCode"],
        "NotAuthorizedForSourceException"
    );

    let long: Vec<_> = (0..300).map(|number| format!("tag-{number}")).collect();
    for (stack, detail, words) in [
        (
            "Double",
            json!({"image-tag": [{"wildcard": "v**"}]}),
            "Consecutive wildcard characters",
        ),
        (
            "Flat",
            json!({"image-tag": "v1"}),
            "must be an object or an array",
        ),
        (
            "Long",
            json!({"image-tag": long}),
            "at most 2048 characters",
        ),
    ] {
        let reasons = workers.fail_to_deploy(stack, &Plan::of(detail)).await;
        let why = reasons.join("\n");
        assert!(
            why.contains(words) && why.contains("InvalidEventPatternException"),
            "{why}"
        );
    }
}
