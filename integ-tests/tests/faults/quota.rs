//! An account's quota of builds: one, which AWS has set for many accounts, and none.

use local_cloud::{
    codebuild::{Phase, Script, Status},
    faults::Gate,
    stage::{Event, Options, Provider, REPOSITORY, Scene},
};
use tokio::time::{Duration, Instant};

use crate::support::{builds_of, failed_with, image, keeper, scene, settle, succeeded};

/// Creates of so many indexes of one stack, sent at once, each of an image of its own.
async fn creates(scene: &Scene, provider: &Provider, count: u64) -> Vec<Event> {
    let mut events = Vec::new();
    for number in 1..=count {
        let tag = format!("v{number}");
        let own = image(number * 10);
        own.push(&scene.cloud, REPOSITORY, &tag).await.unwrap();
        let event = provider
            .create()
            .field("LogicalResourceId", format!("Index{number}"))
            .with("InputImageTag", tag.clone())
            .with("OutputImageTag", format!("{tag}-soci"));
        provider.deliver(&event);
        events.push(event);
    }
    events
}

#[tokio::test]
async fn five_images_of_a_stack_are_indexed_one_after_the_other() {
    let scene = scene().await;
    scene.cloud.codebuild().limit(Some(1));
    let provider = keeper(&scene).await;
    let events = creates(&scene, &provider, 5).await;
    for event in &events {
        succeeded(&settle(&provider, event).await);
        assert_eq!(builds_of(&scene, event).len(), 1);
    }
    assert_eq!(scene.cloud.ecr().tags(REPOSITORY).len(), 10);
}

/// One runs and five wait; one more is refused, longer than a refusal is waited for where nothing of ours runs.
#[tokio::test]
async fn more_than_codebuild_queues_are_waited_for_across_invocations() {
    let scene = scene().await;
    let codebuild = scene.cloud.codebuild();
    codebuild.limit(Some(1));
    let gate = Gate::closed();
    codebuild.next_build(Script::new().held_in(Phase::Build, &gate));
    let options = Options {
        // Seven builds in a row take their time: the deadline is 66 s.
        pace: 0.02,
        timeout: Duration::from_secs(3),
        ..Options::default()
    };
    let provider = scene.provider("Keep", options).await.unwrap();
    let begun = Instant::now();
    let events = creates(&scene, &provider, 7).await;
    gate.reached().await;
    // Three minutes are 3.6 s here.
    while begun.elapsed() < Duration::from_secs(6) {
        let mut asked =
            provider
                .calls
                .hold_operation("StartBuild", 0, local_cloud::calls::Moment::After);
        asked.arrived().await;
        asked.release();
    }
    assert_eq!(codebuild.builds().len(), 6);
    gate.open();
    for event in &events {
        succeeded(&settle(&provider, event).await);
        assert_eq!(builds_of(&scene, event).len(), 1);
    }
    assert!(!provider.calls.of("POST lambda").is_empty());
    let printed = provider.lambda.printed();
    let told = printed
        .matches("retrying until CodeBuild accepts the build")
        .count();
    // Once in each invocation, not with each refusal.
    assert!(told >= 1, "{printed}");
}

#[tokio::test]
async fn a_quota_of_none_fails_within_minutes_and_says_what_to_do() {
    let scene = scene().await;
    scene.cloud.codebuild().limit(Some(0));
    let provider = keeper(&scene).await;
    let begun = Instant::now();
    let events = creates(&scene, &provider, 2).await;
    for event in &events {
        let words = ["quota", "Service Quotas", "Cannot have more than 0 builds"];
        failed_with(&settle(&provider, event).await, &words);
    }
    // Three minutes, and what a slow machine adds.
    assert!(
        begun.elapsed() < Duration::from_secs(6),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn a_build_that_waits_for_its_turn_too_long_is_told() {
    let scene = scene().await;
    let codebuild = scene.cloud.codebuild();
    codebuild.limit(Some(1));
    let gate = Gate::closed();
    codebuild.next_build(Script::new().held_in(Phase::Build, &gate));
    codebuild.next_build(Script::new().dies_in(
        Phase::Queued,
        Status::TimedOut,
        "BUILD_TIMED_OUT",
        "Build has timed out.",
    ));
    let provider = keeper(&scene).await;
    let events = creates(&scene, &provider, 2).await;
    let mut answers = Vec::new();
    let (first, second) = tokio::join!(
        async {
            gate.reached().await;
            gate.open();
            settle(&provider, &events[0]).await
        },
        settle(&provider, &events[1])
    );
    answers.extend([first, second]);
    let failed: Vec<_> = answers
        .iter()
        .filter(|answer| !answer.succeeded())
        .collect();
    assert_eq!(failed.len(), 1);
    failed_with(failed[0], &["timed out", "QUEUED"]);
}
