//! ECR's API, asked by the SDK that the provider uses.

use std::{collections::BTreeMap, sync::Arc};

use aws_sdk_ecr::{
    Client,
    config::{AppName, BehaviorVersion, Credentials, Region},
    error::ProvideErrorMetadata,
    types::{ImageFailureCode, ImageIdentifier, LayerAvailability, SubjectIdentifier},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use local_cloud::{
    account::{ACCOUNT_ID, REGION, registry_host, repository_arn},
    cloud::{
        Cloud, Options,
        given::{Given, allow, role_arn},
    },
    digest::digest,
    faults::{Fault, Point},
    image::{self, Image, Layer, Types},
};
use serde_json::json;

pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

pub(crate) async fn cloud() -> Cloud {
    let given = Given::new()
        .repository("app", false)
        .repository("fixed", true)
        .function("Reader", &role_arn("reader"))
        .role(
            &role_arn("reader"),
            json!([allow(&["ecr:BatchGetImage"], &repository_arn("app"))]),
        );
    Cloud::start(Arc::new(given), Options::default())
        .await
        .unwrap()
}

/// A client with this access key, in this function.
pub(crate) fn client(cloud: &Cloud, key: &str, function: &'static str) -> Client {
    let config = aws_sdk_ecr::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .endpoint_url(cloud.ecr_endpoint())
        .credentials_provider(Credentials::new(key, "secret", None, None, "test"))
        .app_name(AppName::new(function).unwrap())
        .retry_config(aws_sdk_ecr::config::retry::RetryConfig::disabled())
        .build();
    Client::from_conf(config)
}

pub(crate) fn deployer(cloud: &Cloud) -> Client {
    client(cloud, "AKIADEPLOYER", "cdk")
}

pub(crate) fn tag(tag: &str) -> ImageIdentifier {
    ImageIdentifier::builder().image_tag(tag).build()
}

pub(crate) fn by_digest(digest: impl Into<String>) -> ImageIdentifier {
    ImageIdentifier::builder().image_digest(digest).build()
}

pub(crate) fn image(seed: u64) -> Image {
    Image::of(Types::Docker, &[Layer::noise(seed, 3_000)])
}

/// The code of a refusal.
pub(crate) fn code<T: std::fmt::Debug, E: ProvideErrorMetadata>(result: Result<T, E>) -> String {
    result.unwrap_err().code().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_token_opens_the_registry() {
    let cloud = cloud().await;
    let answer = deployer(&cloud)
        .get_authorization_token()
        .send()
        .await
        .unwrap();
    let data = &answer.authorization_data()[0];
    assert_eq!(
        data.proxy_endpoint().unwrap(),
        format!("https://{}", registry_host())
    );
    let token = BASE64_STANDARD
        .decode(data.authorization_token().unwrap())
        .unwrap();
    let token = String::from_utf8(token).unwrap();
    let token = token.strip_prefix("AWS:").unwrap();
    let opened = image::Client::with_token(&cloud, token).unwrap();
    let ping = opened
        .request(reqwest::Method::GET, "")
        .send()
        .await
        .unwrap();
    assert_eq!(ping.status(), 200);
}

#[tokio::test]
async fn cdk_finds_what_is_there_and_only_that() {
    let cloud = cloud().await;
    let client = deployer(&cloud);
    let found = client
        .describe_repositories()
        .repository_names("fixed")
        .send()
        .await
        .unwrap();
    let uri = format!("{}/fixed", registry_host());
    assert_eq!(found.repositories()[0].repository_uri().unwrap(), uri);
    assert_eq!(
        found.repositories()[0]
            .image_tag_mutability()
            .unwrap()
            .as_str(),
        "IMMUTABLE"
    );
    let absent = client
        .describe_repositories()
        .repository_names("absent")
        .send()
        .await;
    assert_eq!(code(absent), "RepositoryNotFoundException");

    // All of them, page by page; the caller needs the right to each.
    let page = client.describe_repositories().max_results(1);
    let first = page.clone().send().await.unwrap();
    let token = first.next_token().unwrap();
    let second = page.next_token(token).send().await.unwrap();
    let names = [first, second.clone()].map(|page| {
        let names = page.repositories().iter();
        names
            .map(|one| one.repository_name().unwrap().to_owned())
            .collect::<Vec<_>>()
    });
    assert_eq!(
        (names.concat(), second.next_token()),
        (vec!["app".to_owned(), "fixed".to_owned()], None)
    );
    let reader = self::client(&cloud, ACCOUNT_ID, "Reader");
    let refused = reader.describe_repositories().send().await;
    assert_eq!(code(refused), "AccessDeniedException");

    let describe = async |id| {
        let ask = client
            .describe_images()
            .repository_name("app")
            .image_ids(id);
        ask.send().await
    };
    let absent = describe(tag("v1")).await;
    let raw = absent
        .as_ref()
        .unwrap_err()
        .raw_response()
        .unwrap()
        .status()
        .as_u16();
    assert_eq!(
        (raw, code(absent).as_str()),
        (400, "ImageNotFoundException")
    );
    let image = image(1);
    for tag in ["v1", "v2"] {
        image.push(&cloud, "app", tag).await.unwrap();
    }
    let found = describe(tag("v1")).await.unwrap();
    let [detail] = found.image_details() else {
        panic!("{found:?}")
    };
    assert_eq!(detail.image_digest().unwrap(), image.digest());
    assert_eq!(detail.image_tags(), ["v1", "v2"]);
    assert!(detail.image_size_in_bytes().unwrap() > 3_000);
    assert!(detail.image_pushed_at().is_some());
}

#[tokio::test]
async fn images_come_by_tag_and_by_digest() {
    let cloud = cloud().await;
    let client = deployer(&cloud);
    let image = image(1);
    image.push(&cloud, "app", "v1").await.unwrap();
    let get = async |ids: Vec<ImageIdentifier>, accepted: Option<&str>| {
        let mut ask = client
            .batch_get_image()
            .repository_name("app")
            .set_image_ids(Some(ids));
        if let Some(accepted) = accepted {
            ask = ask.accepted_media_types(accepted);
        }
        ask.send().await.unwrap()
    };
    let answer = get(vec![tag("v1"), by_digest(image.digest())], None).await;
    for (found, tag) in answer.images().iter().zip([Some("v1"), None]) {
        assert_eq!(
            digest(found.image_manifest().unwrap().as_bytes()),
            image.digest()
        );
        let id = found.image_id().unwrap();
        assert_eq!(
            (id.image_digest(), id.image_tag()),
            (Some(image.digest().as_str()), tag)
        );
    }
    assert_eq!(answer.images().len(), 2);
    let docker = "application/vnd.docker.distribution.manifest.v2+json";
    assert_eq!(answer.images()[0].image_manifest_media_type(), Some(docker));
    assert_eq!(get(vec![tag("v1")], Some(docker)).await.images().len(), 1);
    let mixed = ImageIdentifier::builder()
        .image_tag("v1")
        .image_digest(digest(b"other"))
        .build();
    for (id, accepted, expected) in [
        (tag("v2"), None, ImageFailureCode::ImageNotFound),
        (
            by_digest(digest(b"other")),
            None,
            ImageFailureCode::ImageNotFound,
        ),
        (
            by_digest("sha256:x"),
            None,
            ImageFailureCode::InvalidImageDigest,
        ),
        (mixed, None, ImageFailureCode::ImageTagDoesNotMatchDigest),
        (
            tag("v1"),
            Some(OCI_MANIFEST),
            ImageFailureCode::ImageNotFound,
        ),
    ] {
        let answer = get(vec![id], accepted).await;
        assert!(answer.images().is_empty());
        assert_eq!(answer.failures()[0].failure_code(), Some(&expected));
    }
    let absent = client
        .batch_get_image()
        .repository_name("no")
        .image_ids(tag("v1"));
    assert_eq!(code(absent.send().await), "RepositoryNotFoundException");
}

#[tokio::test]
async fn layers_are_checked_and_read() {
    let cloud = cloud().await;
    let client = deployer(&cloud);
    let layer = Layer::noise(1, 3_000);
    let image = Image::of(Types::Docker, std::slice::from_ref(&layer));
    image.push(&cloud, "app", "v1").await.unwrap();
    let there = client
        .batch_check_layer_availability()
        .repository_name("app")
        .layer_digests(layer.digest.to_string())
        .layer_digests(digest(b"absent"))
        .layer_digests("wrong")
        .send()
        .await
        .unwrap();
    let states: Vec<_> = there
        .layers()
        .iter()
        .map(|one| one.layer_availability().unwrap())
        .collect();
    assert_eq!(
        states,
        [
            &LayerAvailability::Available,
            &LayerAvailability::Unavailable
        ]
    );
    assert_eq!(
        there.layers()[0].layer_size(),
        i64::try_from(layer.size).ok()
    );
    assert_eq!(there.failures().len(), 1);

    let address = async |digest: String| {
        let ask = client.get_download_url_for_layer().repository_name("app");
        ask.layer_digest(digest).send().await
    };
    let found = address(layer.digest.to_string()).await.unwrap();
    let read = reqwest::get(found.download_url().unwrap()).await.unwrap();
    assert_eq!(
        digest(&read.bytes().await.unwrap()),
        layer.digest.to_string()
    );
    cloud.ecr().expire_addresses();
    let read = reqwest::get(found.download_url().unwrap()).await.unwrap();
    assert_eq!(read.status(), 403);
    assert_eq!(
        code(address(digest(b"absent")).await),
        "LayersNotFoundException"
    );
    let alone = bytes::Bytes::from_static(b"alone");
    image::Client::new(&cloud)
        .unwrap()
        .put_blob("app", &alone)
        .await
        .unwrap();
    assert_eq!(
        code(address(digest(&alone)).await),
        "LayerInaccessibleException"
    );
}

#[tokio::test]
async fn lists_have_pages() {
    let cloud = cloud().await;
    let client = deployer(&cloud);
    let image = image(1);
    let subject = by_digest(image.digest()).image_digest().unwrap().to_owned();
    for tag in ["a", "b", "c"] {
        image.push(&cloud, "app", tag).await.unwrap();
    }
    let pages = client.list_images().repository_name("app").max_results(2);
    let mut pages = pages.into_paginator().send();
    let mut tags = Vec::new();
    let mut sizes = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.unwrap();
        sizes.push(page.image_ids().len());
        tags.extend(
            page.image_ids()
                .iter()
                .map(|id| id.image_tag().unwrap().to_owned()),
        );
    }
    assert_eq!((sizes, tags.join("")), (vec![2, 1], "abc".to_owned()));

    let plain = image::Client::new(&cloud).unwrap();
    let config = bytes::Bytes::from_static(b"{}");
    plain.put_blob("app", &config).await.unwrap();
    let mut artifacts = BTreeMap::new();
    for number in 0..3 {
        let manifest = json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": [],
            "config": {"mediaType": "application/vnd.test", "digest": digest(b"{}"), "size": 2},
            "annotations": {"number": number.to_string()},
            "subject": {"mediaType": OCI_MANIFEST, "digest": subject, "size": 1}});
        let bytes = bytes::Bytes::from(manifest.to_string());
        let digest = digest(&bytes);
        let put = plain.put_manifest("app", &digest, OCI_MANIFEST, &bytes);
        put.await.unwrap();
        artifacts.insert(digest, number.to_string());
    }
    let subject = SubjectIdentifier::builder()
        .image_digest(subject)
        .build()
        .unwrap();
    let mut found = BTreeMap::new();
    let mut next = None;
    loop {
        let ask = client
            .list_image_referrers()
            .repository_name("app")
            .subject_id(subject.clone());
        let page = ask
            .max_results(2)
            .set_next_token(next)
            .send()
            .await
            .unwrap();
        for one in page.referrers() {
            assert_eq!(one.artifact_type(), Some("application/vnd.test"));
            let number = one.annotations().unwrap()["number"].clone();
            found.insert(one.digest().to_owned(), number);
        }
        next = page.next_token().map(str::to_owned);
        if next.is_none() {
            break;
        }
    }
    assert_eq!(found, artifacts);
}

#[tokio::test]
async fn rights_are_checked_and_faults_come() {
    let cloud = cloud().await;
    image(1).push(&cloud, "app", "v1").await.unwrap();
    let reader = client(&cloud, ACCOUNT_ID, "Reader");
    let get = async || {
        let ask = reader
            .batch_get_image()
            .repository_name("app")
            .image_ids(tag("v1"));
        ask.send().await
    };
    assert_eq!(get().await.unwrap().images().len(), 1);
    let denied = reader.get_authorization_token().send().await;
    let error = denied.as_ref().unwrap_err();
    let who = format!("arn:aws:sts::{ACCOUNT_ID}:assumed-role/reader/Reader");
    assert!(error.message().unwrap().contains(&who), "{error:?}");
    assert_eq!(code(denied), "AccessDeniedException");
    let delete = reader
        .batch_delete_image()
        .repository_name("app")
        .image_ids(tag("v1"));
    assert_eq!(code(delete.send().await), "AccessDeniedException");
    assert_eq!(cloud.ecr().tags("app").len(), 1);
    let stranger = client(&cloud, ACCOUNT_ID, "Stranger");
    let ask = stranger
        .batch_get_image()
        .repository_name("app")
        .image_ids(tag("v1"));
    assert_eq!(code(ask.send().await), "AccessDeniedException");

    let point = Point::ecr("BatchGetImage");
    cloud.faults().next(point.clone(), Fault::Throttled);
    assert_eq!(code(get().await), "ThrottlingException");
    cloud.faults().next(point.clone(), Fault::Cut);
    assert!(get().await.is_err());
    assert_eq!(get().await.unwrap().images().len(), 1);
    // The record tells who asked for what.
    let last = cloud.calls().pop().unwrap();
    assert_eq!(
        (last.action.as_str(), last.caller.as_str()),
        ("BatchGetImage", who.as_str())
    );
    assert_eq!(last.body["imageIds"][0]["imageTag"], "v1");
    let unplayed = deployer(&cloud).describe_registry().send().await;
    assert_eq!(code(unplayed), "UnknownOperationException");
}
