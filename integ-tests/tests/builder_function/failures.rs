//! Each way in which the builder function ends without an answer of its own, or with a bad one: one answer, which says what to do.

use std::time::Duration;

use local_cloud::{
    calls::Moment,
    faults::{Fault, Gate, Point},
    iam::Lasts,
    lambda_runtime_api::Outcome,
    stage::{Event, Provider, REPOSITORY, Scene},
};

use crate::{
    builder, function, function_at,
    support::{ask, failed_with, scene, settle, succeeded},
};

/// A Create whose run stands still while it pushes a ztoc.
async fn held(scene: &Scene, provider: &Provider) -> (Event, Gate) {
    let gate = Gate::closed();
    scene
        .cloud
        .faults()
        .next(Point::registry("StartUpload"), Fault::Held(gate.clone()));
    let event = provider.create();
    provider.deliver(&event);
    gate.reached().await;
    (event, gate)
}

fn has_index(scene: &Scene, event: &Event) -> bool {
    let tags = scene.cloud.ecr().tags(REPOSITORY);
    tags.contains_key(event.property("OutputImageTag"))
}

#[tokio::test]
async fn killed() {
    let scene = scene().await;
    let provider = function(&scene).await;
    let (event, gate) = held(&scene, &provider).await;
    builder(&provider).kill().await;
    gate.open();
    let answer = settle(&provider, &event).await;
    failed_with(
        &answer,
        &[
            "Runtime.ExitError",
            "signal: killed",
            "raise memorySize",
            "CODE_BUILD",
        ],
    );
    assert_eq!(provider.answers.all(&event.place).len(), 1);
    assert!(!has_index(&scene, &event));
    assert_eq!(builder(&provider).runs().len(), 1, "it was tried again");
}

#[tokio::test]
async fn out_of_memory() {
    let scene = scene().await;
    let provider = function(&scene).await;
    // Less than the program itself takes.
    builder(&provider).set_memory(4);
    let answer = ask(&provider, &provider.create()).await;
    failed_with(&answer, &["most likely out of memory", "raise memorySize"]);
}

#[tokio::test]
async fn timed_out() {
    let scene = scene().await;
    let provider = function(&scene).await;
    builder(&provider).set_timeout(Duration::from_millis(1));
    let answer = ask(&provider, &provider.create()).await;
    failed_with(
        &answer,
        &[
            "timed out",
            "Task timed out after 0.00 seconds",
            "raise timeout",
        ],
    );
}

#[tokio::test]
async fn short_of_time_it_answers_itself() {
    let scene = scene().await;
    let provider = function(&scene).await;
    builder(&provider).set_timeout(Duration::from_secs(6));
    let (event, gate) = held(&scene, &provider).await;
    let answer = settle(&provider, &event).await;
    gate.open();
    failed_with(
        &answer,
        &["timed out indexing", " of 2 layers, ", "raise timeout"],
    );
    let runs = builder(&provider).runs();
    assert!(
        matches!(runs[0].outcome, Some(Outcome::Returned(_))),
        "{runs:?}"
    );
    assert!(!has_index(&scene, &event));
}

#[tokio::test]
async fn throttled_until_the_event_is_too_old() {
    let scene = scene().await;
    let provider = function(&scene).await;
    builder(&provider).throttle(true);
    builder(&provider).set_event_age_max(Duration::from_millis(100));
    let answer = ask(&provider, &provider.create()).await;
    failed_with(&answer, &["was not started in time", "CODE_BUILD"]);
    assert!(builder(&provider).runs().is_empty());

    builder(&provider).set_event_age_max(Duration::from_secs(1_800));
    let event = provider.create();
    provider.deliver(&event);
    let mut handed_on = provider
        .calls
        .hold_operation("POST lambda", 0, Moment::After);
    handed_on.arrived().await;
    handed_on.release();
    builder(&provider).throttle(false);
    succeeded(&settle(&provider, &event).await);
}

#[tokio::test]
async fn killed_before_and_after_its_answer() {
    for moment in [Moment::Before, Moment::After] {
        let scene = scene().await;
        let provider = function(&scene).await;
        let mut held = provider.calls.hold_operation("PUT answer", 0, moment);
        let event = provider.create();
        provider.deliver(&event);
        held.arrived().await;
        builder(&provider).kill().await;
        drop(held);
        let answer = settle(&provider, &event).await;
        succeeded(&answer);
        assert!(has_index(&scene, &event));
        let answers = provider.answers.all(&event.place).len();
        assert_eq!(answers, if moment == Moment::Before { 1 } else { 2 });
        assert_eq!(builder(&provider).runs().len(), 1);
    }
}

#[tokio::test]
async fn an_image_that_is_missing() {
    let scene = scene().await;
    let provider = function(&scene).await;
    let answer = ask(
        &provider,
        &provider.create().with("InputImageTag", "absent"),
    )
    .await;
    failed_with(&answer, &["cannot read the image", "app:absent"]);
    assert!(builder(&provider).runs().is_empty());
}

#[tokio::test]
async fn rights_that_come_late_and_never() {
    let actions = [
        "ecr:GetAuthorizationToken",
        "ecr:BatchGetImage",
        "ecr:PutImage",
    ];
    // The index itself is not made faster: where it is to succeed, the two minutes for retries are 12 s.
    for (lasts, pace, is_enough) in [
        (Lasts::Times(1), 0.1, true),
        (Lasts::UntilLifted, 0.01, false),
    ] {
        for action in actions {
            let scene = scene().await;
            let provider = function_at(&scene, pace).await;
            let role = &provider.resource.builder.as_ref().unwrap().role;
            scene.cloud.iam().withhold(role, action, lasts);
            let answer = ask(&provider, &provider.create()).await;
            match is_enough {
                true => succeeded(&answer),
                false => failed_with(&answer, &["cannot index", action]),
            }
        }
    }
}
