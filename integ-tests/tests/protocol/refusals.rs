//! What cannot be done: bad properties, events that are none, and the builder's own words.

use local_cloud::stage::{Options, REPOSITORY};
use serde_json::{Value, json};

use crate::support::{
    ask, builds_of, chain, empty_scene, failed_with, keeper, scene, succeeded, texts,
};

#[tokio::test]
async fn a_bad_property_is_refused_with_its_name_and_value() {
    let scene = empty_scene().await;
    let provider = keeper(&scene).await;
    let cases: [(&str, Value, &str); 13] = [
        ("IndexVersion", json!("v3"), "v3"),
        ("InputImageTag", json!("no spaces"), "no spaces"),
        ("InputImageTag", json!(["a"]), ""),
        ("InputImageDigest", json!("sha256:12"), "sha256:12"),
        ("OutputImageTag", json!("-dash"), "-dash"),
        ("OutputImageTag", json!("v1"), "v1"),
        ("RepositoryUri", json!("nothing"), "nothing"),
        ("Platforms", texts(&["linux"]), "linux"),
        ("MinLayerSize", json!("ten"), "ten"),
        ("SpanSize", json!("0"), "0"),
        ("PrefetchFiles", texts(&["two\nlines"]), "two"),
        ("WhenTooSmall", json!("shrug"), "shrug"),
        ("WhenUnsupported", json!("shrug"), "shrug"),
    ];
    for (name, value, quoted) in cases {
        let mut event = provider.create().with(name, value.clone());
        if name == "InputImageDigest" {
            event = event.without("InputImageTag");
        }
        failed_with(&ask(&provider, &event).await, &[name, quoted]);
    }
    for name in [
        "ProjectName",
        "RepositoryUri",
        "IndexVersion",
        "InputImageTag",
        "OutputImageTag",
    ] {
        failed_with(
            &ask(&provider, &provider.create().without(name)).await,
            &[name, "missing"],
        );
    }
    assert!(
        provider
            .calls
            .all()
            .iter()
            .all(|call| call.service == "answer"),
        "{}",
        provider.called()
    );
}

#[tokio::test]
async fn a_bad_removal_policy_is_refused_before_anything_is_made() {
    let scene = scene().await;
    let provider = keeper(&scene).await;
    let event = provider.create().with("RemovalPolicy", "burn");
    failed_with(&ask(&provider, &event).await, &["RemovalPolicy", "burn"]);
    assert!(builds_of(&scene, &event).is_empty());
}

#[tokio::test]
async fn an_event_of_an_unknown_kind_is_answered() {
    let scene = empty_scene().await;
    let provider = keeper(&scene).await;
    let event = provider.create().field("RequestType", "Rename");
    failed_with(&ask(&provider, &event).await, &["Rename", "Create"]);
    let event = provider.create().field("ResourceProperties", Value::Null);
    failed_with(&ask(&provider, &event).await, &["ResourceProperties"]);
    let event = provider.create().field("RequestType", Value::Null);
    failed_with(&ask(&provider, &event).await, &["RequestType"]);
}

#[tokio::test]
async fn an_event_that_is_broken_is_answered_as_far_as_it_can_be() {
    let scene = empty_scene().await;
    let provider = keeper(&scene).await;
    for missing in ["StackId", "RequestId", "LogicalResourceId"] {
        let event = provider.create().field(missing, Value::Null);
        provider.deliver(&event);
        let answer = provider.answer(&event, crate::support::LIMIT).await;
        let answer = answer.unwrap_or_else(|error| panic!("{}", chain(&error)));
        failed_with(&answer, &[missing]);
        assert!(!answer.text("PhysicalResourceId").is_empty());
    }
}

#[tokio::test]
async fn what_nobody_can_be_told_of_is_not_delivered_again() {
    let scene = empty_scene().await;
    let provider = keeper(&scene).await;
    for payload in ["{}", "[]", "7", r#"{"ResponseURL":"ftp://x"}"#] {
        provider.lambda.deliver(payload);
    }
    provider.lambda.quiet(crate::support::LIMIT).await.unwrap();
    // Four events, four invocations: a second try would see the same.
    assert_eq!(
        provider.lambda.runs().len(),
        4,
        "{:?}",
        provider.lambda.runs()
    );
}

#[tokio::test]
async fn an_error_of_100_kb_is_cut_and_keeps_the_log_link() {
    let scene = scene().await;
    let fails = "#!/bin/bash\nhead -c 102400 /dev/zero | tr '\\0' 'x' > long\nprintf '{\"outcome\":\"failed\",\
                 \"error\":\"first words %s\"}' \"$(<long)\"\nexit 1\n";
    scene.account.replace_builder(fails.as_bytes()).unwrap();
    let provider = keeper(&scene).await;
    let event = provider.create();
    let answer = ask(&provider, &event).await;
    failed_with(
        &answer,
        &[
            "first words xxx",
            "https://console.aws.amazon.com/cloudwatch/",
        ],
    );
    assert!(
        answer.text("Reason").starts_with("first words"),
        "{}",
        answer.text("Reason")
    );
    assert!(
        answer.body.len() > 2_000,
        "cut to {} bytes",
        answer.body.len()
    );
    // The link is whole.
    let id = builds_of(&scene, &event)[0].id().to_owned();
    let stream = id.rsplit(':').next().unwrap();
    assert!(
        answer
            .text("Reason")
            .contains(&format!("/log-events/{stream}")),
        "{}",
        answer.text("Reason")
    );
}

#[tokio::test]
async fn an_error_with_odd_characters_is_still_one_answer() {
    let scene = scene().await;
    let fails = "#!/bin/bash\nprintf '%s' '{\"outcome\":\"failed\",\"error\":\"tab\\there \\\"quoted\\\" \\u0000 \\u001b[31m grün 💥\"}'\nexit 1\n";
    scene.account.replace_builder(fails.as_bytes()).unwrap();
    let provider = keeper(&scene).await;
    failed_with(
        &ask(&provider, &provider.create()).await,
        &["\"quoted\"", "grün 💥"],
    );
}

#[tokio::test]
async fn the_builders_own_words_come_first() {
    let scene = scene().await;
    let provider = keeper(&scene).await;
    let event = provider.create().with("Platforms", texts(&["linux/s390x"]));
    let answer = ask(&provider, &event).await;
    failed_with(&answer, &["linux/s390x"]);
    assert_eq!(
        answer.text("PhysicalResourceId"),
        format!("not-created/{}", event.request_id())
    );
}

#[tokio::test]
async fn an_immutable_tag_of_another_image_is_refused_in_words() {
    let scene = scene().await;
    let immutable = local_cloud::account::Repository {
        immutable_tags: true,
    };
    scene.account.add_repository(REPOSITORY, immutable);
    let provider = scene.provider("Keep", Options::default()).await.unwrap();
    let first = ask(&provider, &provider.create()).await;
    succeeded(&first);
    // The same again is done already, also where nothing can be put.
    succeeded(&ask(&provider, &provider.create()).await);
    let event = provider.create().with("SpanSize", "8192");
    failed_with(
        &ask(&provider, &event).await,
        &[event.property("OutputImageTag")],
    );
}
