//! Manifests on the registry host: what is checked at a push, tags that stay, referrers.

use bytes::Bytes;
use local_cloud::{
    digest::digest,
    image::{Client, Error, Image, Layer, Types},
};
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::host::{OCI_INDEX, OCI_MANIFEST, cloud, get, image, json_of, refusal};

fn refused<T: std::fmt::Debug>(pushed: Result<T, Error>, with: u16, words: &str) {
    match pushed {
        Err(Error::Refused {
            status,
            words: said,
            ..
        }) => {
            assert_eq!(status, with, "{said}");
            assert!(said.contains(words), "{said}");
        }
        other => panic!("{other:?}"),
    }
}

/// An empty image with a subject or with more, as `extra` says.
async fn artifact(client: &Client, name: &str, extra: &Value) -> (Bytes, Response) {
    let config = Bytes::from_static(b"{}");
    client.put_blob(name, &config).await.unwrap();
    let mut manifest = json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": "application/vnd.test.config", "digest": digest(&config), "size": 2},
        "layers": [],
    });
    for (field, value) in extra.as_object().unwrap() {
        manifest[field] = value.clone();
    }
    let bytes = Bytes::from(manifest.to_string());
    let answer = client
        .put_manifest(name, &digest(&bytes), OCI_MANIFEST, &bytes)
        .await;
    (bytes, answer.unwrap())
}

#[tokio::test]
async fn manifests_come_after_what_they_need() {
    let cloud = cloud().await;
    let client = Client::new(&cloud).unwrap();
    let absent = json!({"mediaType": OCI_MANIFEST, "digest": digest(b"absent"), "size": 6});
    let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [absent]});
    let index = Bytes::from(index.to_string());
    let pushed = client.put_manifest("app", "v1", OCI_INDEX, &index).await;
    refused(pushed, 404, "Images with digests");
    let image =
        json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": absent, "layers": []});
    let image = Bytes::from(image.to_string());
    let pushed = client.put_manifest("app", "v1", OCI_MANIFEST, &image).await;
    refused(pushed, 404, "Layers with digests");
    let pushed = client.put_manifest("app", "v1", OCI_INDEX, &image).await;
    refused(pushed, 400, "MANIFEST_INVALID");
    let pushed = client
        .put_manifest("app", "v1", OCI_MANIFEST, &Bytes::from_static(b"["))
        .await;
    refused(pushed, 400, "MANIFEST_INVALID");
    let other = digest(b"other");
    let (bytes, _) = artifact(&client, "app", &json!({})).await;
    let pushed = client
        .put_manifest("app", &other, OCI_MANIFEST, &bytes)
        .await;
    refused(pushed, 400, "DIGEST_INVALID");
    let pushed = client
        .put_manifest("nothing", "v1", OCI_MANIFEST, &bytes)
        .await;
    refused(pushed, 404, "NAME_UNKNOWN");

    let spaces = 4_194_304 - bytes.len();
    let full = Bytes::from([&bytes[..], &b" ".repeat(spaces)].concat());
    client
        .put_manifest("app", "full", OCI_MANIFEST, &full)
        .await
        .unwrap();
    let over = Bytes::from([&full[..], b" "].concat());
    let pushed = client
        .put_manifest("app", "over", OCI_MANIFEST, &over)
        .await;
    refused(pushed, 400, "MANIFEST_INVALID");
    assert_eq!(cloud.ecr().tags("app").keys().collect::<Vec<_>>(), ["full"]);
}

#[tokio::test]
async fn manifests_are_found_by_tag_and_digest() {
    let cloud = cloud().await;
    let image = image();
    image.push(&cloud, "app", "v1").await.unwrap();
    let client = Client::new(&cloud).unwrap();
    for reference in ["v1", &image.digest()] {
        let path = format!("app/manifests/{reference}");
        let found = get(&client, &path).await;
        assert_eq!(found.headers()["docker-content-digest"], image.digest());
        assert_eq!(found.headers()["content-type"], OCI_MANIFEST);
        let bytes = found.bytes().await.unwrap();
        assert_eq!(digest(&bytes), image.digest());
        let head = client.request(Method::HEAD, &path).send().await.unwrap();
        assert_eq!(head.headers()["content-length"], bytes.len().to_string());
        let other = client
            .request(Method::GET, &path)
            .header("accept", OCI_INDEX);
        assert_eq!(other.send().await.unwrap().status(), 404);
    }
    let absent = refusal(get(&client, "app/manifests/v2").await).await;
    assert_eq!(absent, (404, "MANIFEST_UNKNOWN".to_owned()));
    let delete = client.request(Method::DELETE, "app/manifests/v1").send();
    assert_eq!(
        refusal(delete.await.unwrap()).await,
        (405, "UNSUPPORTED".to_owned())
    );
}

#[tokio::test]
async fn immutable_tags_stay() {
    let cloud = cloud().await;
    let (one, other) = (image(), Image::of(Types::Oci, &[Layer::noise(2, 5_000)]));
    one.push(&cloud, "team/fixed", "v1").await.unwrap();
    for image in [&one, &other] {
        let again = image.push(&cloud, "team/fixed", "v1").await;
        refused(again, 400, "TAG_INVALID");
    }
    assert_eq!(cloud.ecr().tags("team/fixed")["v1"], one.digest());
    one.push(&cloud, "team/fixed", "v2").await.unwrap();
    // By digest as often as one likes; where tags may move, they do.
    one.push(&cloud, "team/fixed", &one.digest()).await.unwrap();
    one.push(&cloud, "app", "v1").await.unwrap();
    other.push(&cloud, "app", "v1").await.unwrap();
    assert_eq!(cloud.ecr().tags("app")["v1"], other.digest());
}

#[tokio::test]
async fn referrers_are_listed() {
    let cloud = cloud().await;
    let client = Client::new(&cloud).unwrap();
    let image = image();
    image.push(&cloud, "app", "v1").await.unwrap();
    let subject = json!({"mediaType": OCI_MANIFEST, "digest": image.digest(), "size": 1});
    let extra = json!({"subject": subject, "annotations": {"a": "b"}});
    let (first, answer) = artifact(&client, "app", &extra).await;
    assert_eq!(answer.headers()["oci-subject"], image.digest());
    let extra = json!({"subject": subject, "artifactType": "application/vnd.test.other"});
    let (second, _) = artifact(&client, "app", &extra).await;
    let (_, answer) = artifact(&client, "app", &json!({})).await;
    assert!(!answer.headers().contains_key("oci-subject"));

    let list = async |query: &str| {
        let path = format!("app/referrers/{}{query}", image.digest());
        let answer = get(&client, &path).await;
        let filtered = answer.headers().contains_key("oci-filters-applied");
        let json = json_of(answer).await;
        (filtered, json["manifests"].as_array().unwrap().clone())
    };
    let (filtered, all) = list("").await;
    assert_eq!((filtered, all.len()), (false, 2));
    let (filtered, some) = list("?artifactType=application%2Fvnd.test.config").await;
    assert!(filtered);
    let expected = json!([{
        "mediaType": OCI_MANIFEST,
        "digest": digest(&first),
        "size": first.len(),
        "artifactType": "application/vnd.test.config",
        "annotations": {"a": "b"},
    }]);
    assert_eq!(Value::from(some), expected);
    let (_, some) = list("?artifactType=application/vnd.test.other").await;
    assert_eq!(some[0]["digest"], digest(&second));
    let none = format!("app/referrers/{}", digest(b"nothing"));
    let none = json_of(get(&client, &none).await).await;
    assert_eq!(none["manifests"], json!([]));
}
