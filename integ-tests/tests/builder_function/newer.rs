//! A newer request of the resource ends the run for an older one, and what it put stays.

use std::time::Duration;

use local_cloud::{
    faults::{Fault, Gate, Point},
    stage::{Event, Provider, REPOSITORY, Scene},
};

use crate::{
    function,
    support::{failed_with, image, scene, settle, succeeded},
};

/// A Create of a while ago whose run stands still while it pushes a ztoc.
async fn older(scene: &Scene, provider: &Provider) -> (Event, Gate) {
    let gate = Gate::closed();
    scene
        .cloud
        .faults()
        .next(Point::registry("StartUpload"), Fault::Held(gate.clone()));
    let event = provider.create_sent(Duration::from_secs(10));
    provider.deliver(&event);
    gate.reached().await;
    (event, gate)
}

#[tokio::test]
async fn an_update() {
    let scene = scene().await;
    image(2).push(&scene.cloud, REPOSITORY, "v2").await.unwrap();
    let provider = function(&scene).await;
    let (older, gate) = older(&scene, &provider).await;
    let id = "app:older@sha256:0000000000000000000000000000000000000000000000000000000000000000";
    let newer = provider
        .update(&older, id)
        .with("InputImageTag", "v2")
        .with("OutputImageTag", "v2-soci");
    provider.deliver(&newer);
    let answer = settle(&provider, &older).await;
    failed_with(&answer, &["a newer request", "UPDATE_IN_PROGRESS"]);
    succeeded(&settle(&provider, &newer).await);
    gate.open();
    let tags = scene.cloud.ecr().tags(REPOSITORY);
    assert_eq!(tags.keys().collect::<Vec<_>>(), ["v1", "v2", "v2-soci"]);
}

#[tokio::test]
async fn a_delete() {
    let scene = scene().await;
    let provider = function(&scene).await;
    let (older, gate) = older(&scene, &provider).await;
    let delete = provider.delete(&older, "Stack-Index-1A2B3C");
    provider.deliver(&delete);
    succeeded(&settle(&provider, &delete).await);
    let answer = settle(&provider, &older).await;
    failed_with(&answer, &["a newer request", "DELETE_IN_PROGRESS"]);
    gate.open();
    assert_eq!(scene.cloud.ecr().tags(REPOSITORY).len(), 1);
}
