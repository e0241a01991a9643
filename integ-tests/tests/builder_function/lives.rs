//! Create, Update, Delete; an index that is there; who does not wait; version 1.

use local_cloud::{
    image::{Image, Layer, Types},
    stage::{Options, REPOSITORY},
};

use crate::{
    builder, function,
    support::{ATTRIBUTES, ask, attributes, scene, succeeded},
};

#[tokio::test]
async fn a_life_needs_no_build_and_reads_each_layer_once() {
    let scene = scene().await;
    // The first layer is that of `v1`.
    let layers = [Layer::noise(1, 20_000), Layer::noise(7, 30_000)];
    let image = Image::of(Types::Docker, &layers);
    image.push(&scene.cloud, REPOSITORY, "v2").await.unwrap();
    let provider = function(&scene).await;

    let create = provider.create();
    let created = ask(&provider, &create).await;
    succeeded(&created);
    assert_eq!(attributes(&created), ATTRIBUTES);
    assert_eq!(created.data("Outcome"), "indexed");
    let name = provider.resource.builder.as_ref().unwrap().name.clone();
    let run = &builder(&provider).runs()[0];
    assert_eq!(
        created.data("BuildId"),
        format!("{name}/{}", run.request_id)
    );
    assert_eq!(created.data("LayersIndexed"), "2");

    let update = provider
        .update(&create, created.text("PhysicalResourceId"))
        .with("InputImageTag", "v2")
        .with("OutputImageTag", "v2-soci");
    let updated = ask(&provider, &update).await;
    succeeded(&updated);
    assert_eq!(updated.data("LayersIndexed"), "1");
    assert_eq!(updated.data("LayersReused"), "1");
    // Noise does not shrink.
    let read: usize = updated.data("BytesRead").parse().unwrap();
    assert!((30_000..40_000).contains(&read), "{read}");

    let delete = provider.delete(&create, created.text("PhysicalResourceId"));
    succeeded(&ask(&provider, &delete).await);
    let tags = scene.cloud.ecr().tags(REPOSITORY);
    assert_eq!(tags.keys().collect::<Vec<_>>(), ["v1", "v2", "v2-soci"]);
    assert!(scene.cloud.codebuild().builds().is_empty());
    assert!(
        scene.cloud.denials().is_empty(),
        "{:?}",
        scene.cloud.denials()
    );

    let printed = provider.printed();
    assert!(printed.contains("layer 1 of 2: sha256:"), "{printed}");
    for event in [&create, &update, &delete] {
        let body = event.place.url.split_once('?').unwrap().0;
        for secret in [&event.place.signature, body] {
            assert!(!printed.contains(secret), "{printed}");
        }
    }
    for secret in scene.cloud.secrets() {
        assert!(!printed.contains(&secret), "{printed}");
    }
}

#[tokio::test]
async fn an_index_that_is_there_runs_no_builder() {
    let scene = scene().await;
    let provider = function(&scene).await;
    let first = ask(&provider, &provider.create()).await;
    let again = ask(&provider, &provider.create()).await;
    succeeded(&again);
    assert_eq!(again.data("Outcome"), "already-there");
    assert_eq!(
        again.text("PhysicalResourceId"),
        first.text("PhysicalResourceId")
    );
    assert_eq!(builder(&provider).runs().len(), 1);
}

#[tokio::test]
async fn who_does_not_wait_is_told_which_invocation_builds() {
    let scene = scene().await;
    let provider = function(&scene).await;
    let event = provider.create().with("WaitForIndex", "false");
    let event = event.with("RemovalPolicy", "retain");
    let answer = ask(&provider, &event).await;
    assert_eq!(answer.data("Outcome"), "started", "{}", answer.json);
    let run = &builder(&provider).runs()[0];
    assert!(answer.data("BuildId").ends_with(&run.request_id));
    assert_eq!(provider.answers.all(&event.place).len(), 1);
    let tags = scene.cloud.ecr().tags(REPOSITORY);
    assert!(tags.contains_key(event.property("OutputImageTag")));
}

#[tokio::test]
async fn version_1_is_built_there_too() {
    let scene = scene().await;
    let options = Options::default();
    let provider = scene.provider("FunctionV1", options).await.unwrap();
    let answer = ask(&provider, &provider.create()).await;
    succeeded(&answer);
    assert_eq!(answer.data("LayersIndexed"), "2");
}
