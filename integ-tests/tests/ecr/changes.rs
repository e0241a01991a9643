//! What ECR's API changes: images deleted and put.

use aws_sdk_ecr::types::{ImageFailureCode, ImageIdentifier};
use local_cloud::{
    digest::digest,
    image::{Image, Layer, Types},
};
use serde_json::json;

use crate::api::{by_digest, cloud, code, deployer, image, tag};

#[tokio::test]
async fn deleting_a_tag_deletes_the_image_with_its_last_one() {
    let cloud = cloud().await;
    let client = deployer(&cloud);
    let layers = [Layer::noise(1, 3_000)];
    let index = Image::index(
        Types::Oci,
        &[("linux/amd64", &layers), ("linux/arm64", &layers)],
    );
    for tag in ["v1", "v2"] {
        index.push(&cloud, "app", tag).await.unwrap();
    }
    assert_eq!(cloud.ecr().digests("app").len(), 3);
    let child = cloud.ecr().digests("app");
    let child = child
        .iter()
        .find(|one| **one != index.digest())
        .unwrap()
        .clone();
    let delete = async |id: ImageIdentifier| {
        let ask = client
            .batch_delete_image()
            .repository_name("app")
            .image_ids(id);
        let answer = ask.send().await.unwrap();
        let failure = answer.failures().first();
        (
            answer.image_ids().len(),
            failure.and_then(|one| one.failure_code().cloned()),
        )
    };
    let referenced = Some(ImageFailureCode::ImageReferencedByManifestList);
    assert_eq!(delete(by_digest(&child)).await, (0, referenced));
    assert_eq!(delete(tag("v1")).await, (1, None));
    assert_eq!(cloud.ecr().tags("app").keys().collect::<Vec<_>>(), ["v2"]);
    assert_eq!(cloud.ecr().digests("app").len(), 3);
    assert_eq!(
        delete(tag("v1")).await,
        (0, Some(ImageFailureCode::ImageNotFound))
    );
    assert_eq!(delete(tag("v2")).await, (1, None));
    assert_eq!(cloud.ecr().digests("app").len(), 2);
    assert_eq!(delete(by_digest(&child)).await, (1, None));

    let single = image(5);
    for tag in ["v1", "v2"] {
        single.push(&cloud, "app", tag).await.unwrap();
    }
    assert_eq!(delete(by_digest(single.digest())).await, (2, None));
    assert!(cloud.ecr().tags("app").is_empty());
}

#[tokio::test]
async fn put_image_follows_the_same_rules() {
    let cloud = cloud().await;
    let client = deployer(&cloud);
    let image = image(1);
    image.push(&cloud, "fixed", "v1").await.unwrap();
    let got = client
        .batch_get_image()
        .repository_name("fixed")
        .image_ids(tag("v1"));
    let got = got.send().await.unwrap().images()[0].clone();
    let put = async |name: &str, manifest: &str, tag: Option<&str>| {
        let ask = client
            .put_image()
            .repository_name(name)
            .image_manifest(manifest);
        ask.set_image_tag(tag.map(str::to_owned)).send().await
    };
    let manifest = got.image_manifest().unwrap();
    put("fixed", manifest, Some("v2")).await.unwrap();
    assert_eq!(cloud.ecr().tags("fixed")["v2"], image.digest());
    assert_eq!(
        code(put("fixed", manifest, Some("v2")).await),
        "ImageAlreadyExistsException"
    );
    let other = format!("{manifest} ");
    assert_eq!(
        code(put("fixed", &other, Some("v2")).await),
        "ImageTagAlreadyExistsException"
    );
    assert_eq!(
        code(put("app", manifest, None).await),
        "LayersNotFoundException"
    );
    let index = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [{"digest": digest(b"x"), "size": 1}]});
    let refused = put("app", &index.to_string(), None).await;
    assert_eq!(code(refused), "ReferencedImagesNotFoundException");
    assert_eq!(
        code(put("app", "{}", None).await),
        "InvalidParameterException"
    );
}
