//! A build that is hard to start: rights that come late, limits, busy services, images that are not there.

use std::time::Duration;

use local_cloud::{
    calls::Moment,
    faults::{Fault, Point},
    iam::Lasts,
    stage::{Options, Provider},
};
use tokio::time::Instant;

use crate::support::{
    LIMIT, ask, builds_of, empty_scene, failed_with, image, keeper, scene, settle, succeeded,
};

/// As long as rights need at most, to be known everywhere.
const MINUTE: Duration = Duration::from_millis(600);
/// Two minutes of patience, and what a slow machine adds.
const PATIENCE: Duration = Duration::from_millis(1_200 + 3_000);

/// Comes back when the provider has asked so often, and been refused.
async fn refused_times(provider: &Provider, operation: &str, times: usize) {
    let mut held = provider
        .calls
        .hold_operation(operation, times, Moment::Before);
    held.arrived().await;
    held.release();
}

#[tokio::test]
async fn rights_that_come_late_are_waited_for() {
    for action in [
        "codebuild:StartBuild",
        "codebuild:ListBuildsForProject",
        "ecr:BatchGetImage",
    ] {
        let scene = scene().await;
        let provider = keeper(&scene).await;
        let iam = scene.cloud.iam();
        iam.withhold("*", action, Lasts::UntilLifted);
        let event = provider.create();
        let begun = Instant::now();
        provider.deliver(&event);
        let (_, operation) = action.split_once(':').unwrap();
        refused_times(&provider, operation, 3).await;
        while begun.elapsed() < MINUTE {
            refused_times(&provider, operation, 0).await;
        }
        iam.lift(action);
        succeeded(&settle(&provider, &event).await);
        assert_eq!(builds_of(&scene, &event).len(), 1, "{action}");
    }
}

#[tokio::test]
async fn rights_that_never_come_are_told() {
    for action in [
        "codebuild:StartBuild",
        "codebuild:BatchGetBuilds",
        "ecr:BatchGetImage",
    ] {
        let scene = scene().await;
        let provider = keeper(&scene).await;
        scene
            .cloud
            .iam()
            .withhold(&provider.resource.function_role, action, Lasts::UntilLifted);
        let event = provider.create();
        let begun = Instant::now();
        let answer = ask(&provider, &event).await;
        failed_with(&answer, &["not authorized", action]);
        assert!(
            begun.elapsed() < PATIENCE,
            "{action}: {:?}",
            begun.elapsed()
        );
        for build in builds_of(&scene, &event) {
            // Nobody watches it.
            build.finished().await;
        }
    }
}

#[tokio::test]
async fn the_account_limit_is_waited_for() {
    let scene = scene().await;
    scene.cloud.codebuild().limit(Some(0));
    let provider = keeper(&scene).await;
    let event = provider.create();
    provider.deliver(&event);
    refused_times(&provider, "StartBuild", 4).await;
    scene.cloud.codebuild().limit(None);
    succeeded(&settle(&provider, &event).await);
    assert_eq!(builds_of(&scene, &event).len(), 1);
}

#[tokio::test]
async fn an_account_limit_for_ever_names_the_quota() {
    let scene = scene().await;
    scene.cloud.codebuild().limit(Some(0));
    let provider = keeper(&scene).await;
    let begun = Instant::now();
    let answer = ask(&provider, &provider.create()).await;
    failed_with(
        &answer,
        &["quota", "Service Quotas", "Cannot have more than 0 builds"],
    );
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn throttling_passes() {
    let scene = scene().await;
    let provider = keeper(&scene).await;
    let points = [
        Point::ecr("BatchGetImage"),
        Point::codebuild("ListBuildsForProject"),
        Point::codebuild("StartBuild"),
        Point::codebuild("BatchGetBuilds"),
    ];
    for point in points {
        scene.cloud.faults().times(5, point, Fault::Throttled);
    }
    let event = provider.create();
    succeeded(&ask(&provider, &event).await);
    assert_eq!(builds_of(&scene, &event).len(), 1);
}

#[tokio::test]
async fn throttling_without_end_is_told() {
    let scene = scene().await;
    let provider = keeper(&scene).await;
    scene
        .cloud
        .faults()
        .always(Point::ecr("BatchGetImage"), Fault::Throttled);
    let begun = Instant::now();
    let answer = ask(&provider, &provider.create()).await;
    failed_with(&answer, &["app:v1", "ThrottlingException"]);
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    assert!(scene.cloud.codebuild().builds().is_empty());
}

#[tokio::test]
async fn a_start_whose_answer_is_lost_starts_one_build() {
    let scene = scene().await;
    let provider = keeper(&scene).await;
    scene
        .cloud
        .faults()
        .times(2, Point::codebuild("StartBuild"), Fault::AnswerLost);
    let event = provider.create();
    succeeded(&ask(&provider, &event).await);
    assert_eq!(scene.cloud.codebuild().builds().len(), 1);
}

#[tokio::test]
async fn cut_connections_are_made_again() {
    let scene = scene().await;
    let provider = keeper(&scene).await;
    let points = [
        Point::ecr("BatchGetImage"),
        Point::codebuild("StartBuild"),
        Point::codebuild("BatchGetBuilds"),
    ];
    for point in points {
        scene.cloud.faults().times(2, point, Fault::Cut);
    }
    succeeded(&ask(&provider, &provider.create()).await);
    assert_eq!(scene.cloud.codebuild().builds().len(), 1);
}

#[tokio::test]
async fn an_image_that_is_not_there_is_told_at_once() {
    let scene = empty_scene().await;
    image(1).push(&scene.cloud, "app", "other").await.unwrap();
    let provider = keeper(&scene).await;
    let begun = Instant::now();
    failed_with(&ask(&provider, &provider.create()).await, &["app:v1"]);
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "{:?}",
        begun.elapsed()
    );
    let missing = provider.create().with(
        "RepositoryUri",
        "000000000000.dkr.ecr.us-east-1.amazonaws.com/gone",
    );
    provider.deliver(&missing);
    let answer = provider.answer(&missing, LIMIT).await.unwrap();
    failed_with(&answer, &["gone"]);
    assert!(scene.cloud.codebuild().builds().is_empty());
}

#[tokio::test]
async fn a_project_that_is_not_there_is_told() {
    let scene = scene().await;
    let provider = scene.provider("Keep", Options::default()).await.unwrap();
    let event = provider.create().with("ProjectName", "Keep-gone");
    failed_with(&ask(&provider, &event).await, &["Keep-gone"]);
}

#[tokio::test]
async fn a_delete_ends_well_whatever_is_in_its_way() {
    let scene = scene().await;
    let provider = scene.provider("Destroy", Options::default()).await.unwrap();
    let create = provider.create();
    let created = ask(&provider, &create).await;
    let id = created.text("PhysicalResourceId");
    let iam = scene.cloud.iam();
    for action in [
        "codebuild:ListBuildsForProject",
        "ecr:BatchGetImage",
        "ecr:BatchDeleteImage",
    ] {
        iam.withhold("*", action, Lasts::UntilLifted);
        let begun = Instant::now();
        succeeded(&ask(&provider, &provider.delete(&create, id)).await);
        assert!(
            begun.elapsed() < PATIENCE,
            "{action}: {:?}",
            begun.elapsed()
        );
        iam.lift(action);
    }
}
