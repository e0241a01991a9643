//! Delete with the removal policy `destroy`: only what this resource has made, and only while nobody else uses it.

use local_cloud::{
    answers::Answer,
    image::Client,
    stage::{Event, Options, Provider, REPOSITORY, Scene},
};

use crate::support::{ask, image, scene, succeeded};

async fn destroyer(scene: &Scene, stack: &str) -> (Provider, Event, Answer) {
    let provider = scene.provider(stack, Options::default()).await.unwrap();
    let create = provider.create();
    let created = ask(&provider, &create).await;
    succeeded(&created);
    (provider, create, created)
}

async fn destroy(provider: &Provider, create: &Event, created: &Answer) {
    let id = created.text("PhysicalResourceId");
    let answer = ask(provider, &provider.delete(create, id)).await;
    succeeded(&answer);
    assert_eq!(answer.text("PhysicalResourceId"), id);
}

#[tokio::test]
async fn the_index_goes_and_the_image_stays() {
    let scene = scene().await;
    let (provider, create, created) = destroyer(&scene, "Destroy").await;
    destroy(&provider, &create, &created).await;
    let tags = scene.cloud.ecr().tags(REPOSITORY);
    assert_eq!(tags.keys().collect::<Vec<_>>(), ["v1"]);
    let digests = scene.cloud.ecr().digests(REPOSITORY);
    assert!(digests.contains(&image(1).digest()));
    assert!(
        !digests.contains(&created.data("OutputImageDigest").to_owned()),
        "{digests:?}"
    );
    // Deleted again, there is nothing to do.
    destroy(&provider, &create, &created).await;
}

#[tokio::test]
async fn a_tag_that_has_moved_on_stays() {
    let scene = scene().await;
    let (provider, create, created) = destroyer(&scene, "Destroy").await;
    let tag = created.data("OutputImageTag");
    image(2).push(&scene.cloud, REPOSITORY, tag).await.unwrap();
    destroy(&provider, &create, &created).await;
    assert_eq!(scene.cloud.ecr().tags(REPOSITORY)[tag], image(2).digest());
}

#[tokio::test]
async fn what_another_tag_uses_stays() {
    let scene = scene().await;
    let (provider, create, created) = destroyer(&scene, "Destroy").await;
    let client = Client::new(&scene.cloud).unwrap();
    let digest = created.data("OutputImageDigest");
    let path = format!("{REPOSITORY}/manifests/{digest}");
    let read = client
        .request(reqwest::Method::GET, &path)
        .send()
        .await
        .unwrap();
    let kind = read.headers()["content-type"].to_str().unwrap().to_owned();
    let manifest = read.bytes().await.unwrap();
    client
        .put_manifest(REPOSITORY, "release", &kind, &manifest)
        .await
        .unwrap();

    destroy(&provider, &create, &created).await;
    assert_eq!(scene.cloud.ecr().tags(REPOSITORY)["release"], digest);
}

#[tokio::test]
async fn the_original_under_the_output_tag_stays() {
    let scene = scene().await;
    let provider = scene.provider("Destroy", Options::default()).await.unwrap();
    let create = provider.create().without("MinLayerSize");
    let created = ask(&provider, &create).await;
    assert_eq!(created.data("OutputImageDigest"), image(1).digest());
    destroy(&provider, &create, &created).await;
    assert_eq!(scene.cloud.ecr().tags(REPOSITORY)["v1"], image(1).digest());
    assert!(
        scene
            .cloud
            .ecr()
            .digests(REPOSITORY)
            .contains(&image(1).digest())
    );
}

#[tokio::test]
async fn a_version_1_index_goes_by_its_digest() {
    let scene = scene().await;
    let (provider, create, created) = destroyer(&scene, "DestroyV1").await;
    let (_, index) = created.text("PhysicalResourceId").split_once('#').unwrap();
    let index = format!("sha256:{index}");
    assert!(scene.cloud.ecr().digests(REPOSITORY).contains(&index));
    destroy(&provider, &create, &created).await;
    assert_eq!(scene.cloud.ecr().digests(REPOSITORY), [image(1).digest()]);
    assert_eq!(scene.cloud.ecr().tags(REPOSITORY)["v1"], image(1).digest());
}

#[tokio::test]
async fn the_old_index_goes_when_the_new_one_is_there() {
    let scene = scene().await;
    image(2).push(&scene.cloud, REPOSITORY, "v2").await.unwrap();
    let (provider, create, created) = destroyer(&scene, "Destroy").await;
    let update = provider
        .update(&create, created.text("PhysicalResourceId"))
        .with("InputImageTag", "v2")
        .with("OutputImageTag", "v2-soci");
    let updated = ask(&provider, &update).await;
    succeeded(&updated);
    destroy(&provider, &create, &created).await;
    let tags = scene.cloud.ecr().tags(REPOSITORY);
    assert_eq!(tags.keys().collect::<Vec<_>>(), ["v1", "v2", "v2-soci"]);
    assert_eq!(tags["v2-soci"], updated.data("OutputImageDigest"));
}
