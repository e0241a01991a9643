//! A build whose role was made a moment ago: what it is denied before the builder runs is tried once more.

use local_cloud::{
    codebuild::Status,
    iam::Lasts,
    stage::{Options, Provider, Scene},
};

use crate::support::{ask, builds_of, failed_with, scene, succeeded, templates};

/// Two minutes are 12 s: builds are slow where others run beside this test.
async fn provider(scene: &Scene) -> Provider {
    let options = Options {
        pace: 0.1,
        ..Options::default()
    };
    scene.provider("Keep", options).await.unwrap()
}

#[tokio::test]
async fn a_build_that_is_denied_its_log_or_source_is_started_once_more() {
    for action in ["logs:CreateLogStream", "s3:GetObject"] {
        let scene = scene().await;
        let rights = templates().rights("Keep").unwrap();
        // Only builds read their program.
        let builder = rights.iter().find(|right| right.action == "s3:GetObject");
        let role = &builder.unwrap().role;
        scene.cloud.iam().withhold(role, action, Lasts::Times(1));
        let provider = provider(&scene).await;
        let event = provider.create();
        succeeded(&ask(&provider, &event).await);
        let builds = builds_of(&scene, &event);
        let ends: Vec<_> = builds.iter().map(|build| build.status()).collect();
        assert_eq!(
            ends,
            [Some(Status::Failed), Some(Status::Succeeded)],
            "{action}"
        );
    }
}

#[tokio::test]
async fn a_right_that_never_comes_is_tried_twice_and_told() {
    let scene = scene().await;
    let iam = scene.cloud.iam();
    iam.withhold("*", "logs:CreateLogStream", Lasts::UntilLifted);
    let provider = provider(&scene).await;
    let event = provider.create();
    failed_with(
        &ask(&provider, &event).await,
        &[
            "PROVISIONING",
            "logs:CreateLogStream",
            "does not allow AWS CodeBuild",
        ],
    );
    assert_eq!(builds_of(&scene, &event).len(), 2);
}

#[tokio::test]
async fn what_the_builder_is_denied_is_not_tried_again() {
    let scene = scene().await;
    scene
        .cloud
        .iam()
        .withhold("*", "ecr:PutImage", Lasts::UntilLifted);
    let provider = provider(&scene).await;
    let event = provider.create();
    failed_with(&ask(&provider, &event).await, &["BUILD"]);
    assert_eq!(builds_of(&scene, &event).len(), 1);
}
