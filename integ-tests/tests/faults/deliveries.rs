//! Events that come more than once: at once, one after the other, and long after they were answered.

use std::time::Duration;

use local_cloud::{
    codebuild::{Phase, Script},
    faults::Gate,
};

use crate::support::{builds_of, held_in, image, keeper, scene, settle, succeeded};

#[tokio::test]
async fn an_event_twice_and_three_times_at_once_is_one_build() {
    for times in [2, 3] {
        let scene = scene().await;
        let provider = keeper(&scene).await;
        let event = provider.create();
        for _ in 0..times {
            provider.deliver(&event);
        }
        let answer = settle(&provider, &event).await;
        succeeded(&answer);
        assert_eq!(provider.lambda.started().len(), times);
        assert_eq!(provider.answers.all(&event.place).len(), times);
        assert_eq!(builds_of(&scene, &event).len(), 1);
        assert!(
            provider.calls.of("StopBuild").is_empty(),
            "{}",
            provider.called()
        );
    }
}

#[tokio::test]
async fn an_event_again_while_its_build_runs_watches_the_same_build() {
    let scene = scene().await;
    let provider = keeper(&scene).await;
    let gate = Gate::closed();
    let event = held_in(Phase::Build, &scene, &provider, &gate).await;
    // Later than CodeBuild remembers the token.
    scene.cloud.codebuild().forget_tokens();
    let mut looking =
        provider
            .calls
            .hold_operation("BatchGetBuilds", 4, local_cloud::calls::Moment::After);
    provider.deliver(&event);
    looking.arrived().await;
    looking.release();
    gate.open();
    succeeded(&settle(&provider, &event).await);
    assert_eq!(scene.cloud.codebuild().builds().len(), 1);
    assert_eq!(provider.answers.all(&event.place).len(), 2);
}

#[tokio::test]
async fn an_event_again_after_ten_minutes_says_the_same() {
    let scene = scene().await;
    let provider = keeper(&scene).await;
    // Ten minutes are 6 s here.
    let event = provider.create_sent(Duration::from_secs(6));
    for times in 1..=3 {
        provider.deliver(&event);
        // Checks that all answers so far are the same.
        succeeded(&settle(&provider, &event).await);
        assert_eq!(provider.answers.all(&event.place).len(), times);
        scene.cloud.codebuild().forget_tokens();
    }
    assert_eq!(scene.cloud.codebuild().builds().len(), 1);
}

#[tokio::test]
async fn a_failed_event_again_after_ten_minutes_fails_the_same_way() {
    let scene = scene().await;
    let provider = keeper(&scene).await;
    let dies = Script::new().dies_in(
        Phase::Provisioning,
        local_cloud::codebuild::Status::Fault,
        "CODE",
        "no machine",
    );
    scene.cloud.codebuild().next_build(dies);
    let event = provider.create_sent(Duration::from_secs(6));
    for _ in 0..3 {
        provider.deliver(&event);
        settle(&provider, &event).await;
        scene.cloud.codebuild().forget_tokens();
    }
    // A second build could have made what the answer says is not there.
    assert_eq!(scene.cloud.codebuild().builds().len(), 1);
    let reasons: Vec<_> = provider
        .answers
        .all(&event.place)
        .iter()
        .map(|one| one.text("Reason").to_owned())
        .collect();
    assert!(
        reasons.iter().all(|reason| reason.contains("no machine")),
        "{reasons:?}"
    );
}

#[tokio::test]
async fn a_delete_twice_and_an_update_twice_are_one_each() {
    let scene = scene().await;
    image(2).push(&scene.cloud, "app", "v2").await.unwrap();
    let provider = scene
        .provider("Destroy", local_cloud::stage::Options::default())
        .await
        .unwrap();
    let create = provider.create();
    provider.deliver(&create);
    let created = settle(&provider, &create).await;
    let update = provider
        .update(&create, created.text("PhysicalResourceId"))
        .with("InputImageTag", "v2")
        .with("OutputImageTag", "v2-soci");
    provider.deliver(&update);
    provider.deliver(&update);
    succeeded(&settle(&provider, &update).await);
    assert_eq!(builds_of(&scene, &update).len(), 1);
    let delete = provider.delete(&create, created.text("PhysicalResourceId"));
    provider.deliver(&delete);
    provider.deliver(&delete);
    succeeded(&settle(&provider, &delete).await);
    assert_eq!(
        scene.cloud.ecr().tags("app").keys().collect::<Vec<_>>(),
        ["v1", "v2", "v2-soci"]
    );
}
