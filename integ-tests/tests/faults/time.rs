//! Builds that outlive an invocation, and those that outlive all patience.

use std::time::Duration;

use local_cloud::{
    calls::Moment,
    codebuild::{Phase, Script, Status},
    faults::{Fault, Gate, Point},
    lambda_runtime_api::{InvokeRefusal, Outcome},
    stage::{Event, Options, Provider, Scene},
};

use crate::support::{builds_of, failed_with, keeper, scene, settle, succeeded};

/// A provider whose invocations are short, and an event of it whose build waits at the gate.
async fn held(scene: &Scene, gate: &Gate) -> (Provider, Event) {
    let options = Options {
        timeout: Duration::from_secs(2),
        ..Options::default()
    };
    let provider = scene.provider("Keep", options).await.unwrap();
    scene
        .cloud
        .codebuild()
        .next_build(Script::new().held_in(Phase::Build, gate));
    let event = provider.create();
    provider.deliver(&event);
    (provider, event)
}

async fn handed_over(provider: &Provider, times: usize) {
    for _ in 0..times {
        let mut held = provider
            .calls
            .hold_operation("POST lambda", 0, Moment::After);
        held.arrived().await;
        held.release();
    }
}

#[tokio::test]
async fn a_build_longer_than_an_invocation_is_handed_over() {
    let scene = scene().await;
    let gate = Gate::closed();
    let (provider, event) = held(&scene, &gate).await;
    handed_over(&provider, 1).await;
    gate.open();
    succeeded(&settle(&provider, &event).await);
    assert_eq!(builds_of(&scene, &event).len(), 1);
    assert!(provider.lambda.runs().len() >= 2);
    for run in provider.lambda.runs() {
        assert!(matches!(run.outcome, Some(Outcome::Returned(_))), "{run:?}");
    }
}

#[tokio::test]
async fn a_build_longer_than_three_invocations_is_handed_over_as_often() {
    let scene = scene().await;
    let gate = Gate::closed();
    let (provider, event) = held(&scene, &gate).await;
    handed_over(&provider, 4).await;
    gate.open();
    let answer = settle(&provider, &event).await;
    succeeded(&answer);
    assert_eq!(answer.data("Outcome"), "indexed");
    assert_eq!(scene.cloud.codebuild().builds().len(), 1);
    assert_eq!(provider.answers.all(&event.place).len(), 1);
    assert!(provider.lambda.runs().len() >= 5);
    // Each went on where the last one stopped, and asked for nothing again.
    assert_eq!(
        provider.calls.of("StartBuild").len(),
        1,
        "{}",
        provider.called()
    );
}

#[tokio::test]
async fn a_hand_over_that_is_refused_is_tried_again() {
    let scene = scene().await;
    let gate = Gate::closed();
    let (provider, event) = held(&scene, &gate).await;
    let refusals = [
        InvokeRefusal::Throttled,
        InvokeRefusal::Denied,
        InvokeRefusal::Internal,
    ];
    provider.lambda.refuse_invokes(refusals);
    handed_over(&provider, 4).await;
    gate.open();
    succeeded(&settle(&provider, &event).await);
    assert_eq!(scene.cloud.codebuild().builds().len(), 1);
}

#[tokio::test]
async fn where_no_hand_over_is_possible_the_build_is_stopped_and_told() {
    let scene = scene().await;
    let (provider, event) = held(&scene, &Gate::closed()).await;
    provider
        .lambda
        .refuse_invokes(vec![InvokeRefusal::Denied; 1_000]);
    failed_with(
        &settle(&provider, &event).await,
        &["next one cannot be started", "AccessDenied"],
    );
    let builds = builds_of(&scene, &event);
    assert_eq!(builds[0].finished().await, Some(Status::Stopped));
    // Before Lambda ended it.
    assert_eq!(
        provider.lambda.runs().len(),
        1,
        "{:?}",
        provider.lambda.runs()
    );
}

#[tokio::test]
async fn a_call_that_hangs_costs_no_invocation() {
    let scene = scene().await;
    let gate = Gate::closed();
    let hangs = Fault::Held(gate.clone());
    scene
        .cloud
        .faults()
        .always(Point::ecr("BatchGetImage"), hangs);
    let (provider, event) = held(&scene, &Gate::after(0)).await;
    handed_over(&provider, 2).await;
    gate.open();
    succeeded(&settle(&provider, &event).await);
    for run in provider.lambda.runs() {
        assert!(matches!(run.outcome, Some(Outcome::Returned(_))), "{run:?}");
    }
}

#[tokio::test]
async fn at_the_deadline_the_build_is_stopped_and_told() {
    let scene = scene().await;
    let provider = keeper(&scene).await;
    let gate = Gate::closed();
    scene
        .cloud
        .codebuild()
        .next_build(Script::new().held_in(Phase::Build, &gate));
    // 3,300 s are 33 s here, and 32 of them are gone.
    let event = provider.create_sent(Duration::from_secs(32));
    provider.deliver(&event);
    let answer = settle(&provider, &event).await;
    failed_with(
        &answer,
        &["waiting for the index", builds_of(&scene, &event)[0].id()],
    );
    assert_eq!(
        builds_of(&scene, &event)[0].finished().await,
        Some(Status::Stopped)
    );
    assert!(provider.calls.of("POST lambda").is_empty());
}

#[tokio::test]
async fn the_deadline_holds_across_invocations() {
    let scene = scene().await;
    let options = Options {
        // 3,300 s are 3.3 s, three invocations.
        pace: 0.001,
        timeout: Duration::from_secs(2),
        ..Options::default()
    };
    let provider = scene.provider("Keep", options).await.unwrap();
    scene
        .cloud
        .codebuild()
        .next_build(Script::new().held_in(Phase::Queued, &Gate::closed()));
    let event = provider.create();
    provider.deliver(&event);
    failed_with(&settle(&provider, &event).await, &["waiting for the index"]);
    assert_eq!(
        builds_of(&scene, &event)[0].finished().await,
        Some(Status::Stopped)
    );
    assert!(
        provider.lambda.runs().len() >= 2,
        "{:?}",
        provider.lambda.runs()
    );
}
