//! Several requests of one resource: the newest counts, and a build that nobody waits for is stopped.

use std::time::Duration;

use local_cloud::{
    codebuild::{Phase, Script, Status},
    faults::Gate,
    stage::REPOSITORY,
};

use crate::support::{
    LIMIT, ask, builds_of, failed_with, held_in, image, keeper, scene, settle, succeeded,
};

#[tokio::test]
async fn a_delete_stops_a_build_that_still_runs() {
    let scene = scene().await;
    let provider = keeper(&scene).await;
    let gate = Gate::closed();
    let create = held_in(Phase::Build, &scene, &provider, &gate).await;

    let delete = provider.delete(&create, "Stack-Index-1A2B3C");
    provider.deliver(&delete);
    succeeded(&settle(&provider, &delete).await);
    failed_with(&settle(&provider, &create).await, &["was stopped"]);
    let builds = builds_of(&scene, &create);
    assert_eq!(builds[0].finished().await, Some(Status::Stopped));
    assert_eq!(scene.cloud.ecr().tags(REPOSITORY).len(), 1);
}

#[tokio::test]
async fn a_newer_update_stops_the_older_build() {
    let scene = scene().await;
    image(2).push(&scene.cloud, REPOSITORY, "v2").await.unwrap();
    let provider = keeper(&scene).await;
    let gate = Gate::closed();
    let older = held_in(Phase::Queued, &scene, &provider, &gate).await;

    let newer = provider
        .update(
            &older,
            "app:older@sha256:0000000000000000000000000000000000000000000000000000000000000000",
        )
        .with("InputImageTag", "v2")
        .with("OutputImageTag", "v2-soci");
    provider.deliver(&newer);
    succeeded(&settle(&provider, &newer).await);
    failed_with(&settle(&provider, &older).await, &["was stopped"]);
    assert_eq!(
        builds_of(&scene, &older)[0].finished().await,
        Some(Status::Stopped)
    );
    assert_eq!(
        builds_of(&scene, &newer)[0].status(),
        Some(Status::Succeeded)
    );
}

#[tokio::test]
async fn a_late_duplicate_does_not_stop_a_newer_build() {
    let scene = scene().await;
    image(2).push(&scene.cloud, REPOSITORY, "v2").await.unwrap();
    let provider = keeper(&scene).await;
    let older = provider.create_sent(Duration::from_secs(10));
    let created = ask(&provider, &older).await;
    succeeded(&created);

    let gate = Gate::closed();
    scene
        .cloud
        .codebuild()
        .next_build(Script::new().held_in(Phase::Build, &gate));
    let newer = provider
        .update(&older, created.text("PhysicalResourceId"))
        .with("InputImageTag", "v2")
        .with("OutputImageTag", "v2-soci");
    provider.deliver(&newer);
    gate.reached().await;

    let before = provider.answers.all(&older.place).len();
    provider.deliver(&older);
    while provider.answers.all(&older.place).len() == before {
        assert!(
            provider.calls.of("StopBuild").is_empty(),
            "{}",
            provider.called()
        );
        let mut held =
            provider
                .calls
                .hold_operation("BatchGetBuilds", 0, local_cloud::calls::Moment::After);
        held.arrived().await;
        held.release();
    }
    gate.open();
    succeeded(&settle(&provider, &newer).await);
    succeeded(&settle(&provider, &older).await);
    assert!(provider.calls.of("StopBuild").is_empty());
    assert_eq!(scene.cloud.codebuild().builds().len(), 2);
}

#[tokio::test]
async fn two_resources_do_not_know_of_each_other() {
    let scene = scene().await;
    let provider = keeper(&scene).await;
    let gate = Gate::closed();
    let one = held_in(Phase::Build, &scene, &provider, &gate).await;
    let other = provider
        .create()
        .field("LogicalResourceId", "Other")
        .with("OutputImageTag", "other");
    provider.deliver(&other);
    let answer = provider.answer(&other, LIMIT).await.unwrap();
    succeeded(&answer);
    gate.open();
    succeeded(&settle(&provider, &one).await);
    assert_eq!(scene.cloud.codebuild().builds().len(), 2);
}
