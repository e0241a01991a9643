//! The registry host, asked by a plain client: tokens, redirects, what is checked at a push, referrers, faults.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use local_cloud::{
    account::{ACCOUNT_ID, repository_arn},
    cloud::{
        Cloud, Options,
        given::{Given, allow, role_arn},
    },
    digest::digest,
    ecr,
    faults::{Fault, Moment, Point},
    iam::Caller,
    image::{Client, Image, Layer, Types},
};
use reqwest::{Method, Response};
use serde_json::{Value, json};

pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";

pub(crate) async fn cloud() -> Cloud {
    let given = Given::new()
        .repository("app", false)
        .repository("team/fixed", true)
        .role(
            &role_arn("reader"),
            json!([allow(&["ecr:BatchGetImage"], &repository_arn("app"))]),
        );
    Cloud::start(Arc::new(given), Options::default())
        .await
        .unwrap()
}

pub(crate) fn image() -> Image {
    Image::of(Types::Oci, &[Layer::noise(1, 5_000)])
}

pub(crate) async fn get(client: &Client, path: &str) -> Response {
    client.request(Method::GET, path).send().await.unwrap()
}

pub(crate) async fn json_of(answer: Response) -> Value {
    serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
}

/// Status and error code.
pub(crate) async fn refusal(answer: Response) -> (u16, String) {
    let status = answer.status().as_u16();
    let json = json_of(answer).await;
    (
        status,
        json["errors"][0]["code"].as_str().unwrap().to_owned(),
    )
}

#[tokio::test]
async fn tokens_expire() {
    let cloud = cloud().await;
    let good = Client::new(&cloud).unwrap();
    assert_eq!(get(&good, "").await.status(), 200);
    for wrong in ["", "invented"] {
        let answer = get(&Client::with_token(&cloud, wrong).unwrap(), "").await;
        let challenge = answer.headers()["www-authenticate"].to_str().unwrap();
        assert!(challenge.starts_with("Basic realm="), "{challenge}");
        assert_eq!(refusal(answer).await.0, 401);
    }
    let later = Point::registry("ListTags");
    cloud.faults().next(later, Fault::Expired);
    assert_eq!(refusal(get(&good, "app/tags/list").await).await.0, 401);
    assert_eq!(get(&good, "").await.status(), 401);
    let other = Client::new(&cloud).unwrap();
    assert_eq!(get(&other, "app/tags/list").await.status(), 200);
    cloud.ecr().expire_tokens();
    assert_eq!(get(&other, "app/tags/list").await.status(), 401);
}

#[tokio::test]
async fn short_lives_are_a_choice() {
    let options = Options {
        ecr: ecr::Options {
            token_lifetime: Duration::ZERO,
            expired_status: 403,
            ..Default::default()
        },
        ..Default::default()
    };
    let cloud = Cloud::start(Arc::new(Given::new()), options).await.unwrap();
    let answer = get(&Client::new(&cloud).unwrap(), "").await;
    assert_eq!(refusal(answer).await, (403, "DENIED".to_owned()));
}

#[tokio::test]
async fn blobs_are_read_at_a_signed_address() {
    let cloud = cloud().await;
    let layer = Layer::noise(7, 20_000);
    let image = Image::of(Types::Oci, std::slice::from_ref(&layer));
    image.push(&cloud, "app", "v1").await.unwrap();
    let client = Client::new(&cloud).unwrap();
    let blob = format!("app/blobs/{}", layer.digest);
    let head = client.request(Method::HEAD, &blob).send().await.unwrap();
    assert_eq!(head.headers()["content-length"], layer.size.to_string());

    let sent_on = get(&client, &blob).await;
    assert_eq!(sent_on.status(), 307);
    let address = sent_on.headers()["location"].to_str().unwrap().to_owned();
    let plain = reqwest::Client::builder().no_proxy().build().unwrap();
    let read = async |range: Option<&str>, authorization: Option<&str>| {
        let mut request = plain.get(&address);
        if let Some(range) = range {
            request = request.header("range", range);
        }
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        request.send().await.unwrap()
    };
    let whole = read(None, None).await.bytes().await.unwrap();
    assert_eq!(digest(&whole), layer.digest.to_string());
    let part = read(Some("bytes=100-199"), None).await;
    assert_eq!(part.status(), 206);
    let range = format!("bytes 100-199/{}", whole.len());
    assert_eq!(part.headers()["content-range"], range);
    assert_eq!(part.bytes().await.unwrap(), whole[100..200]);
    // As S3: two authorizations are one too many.
    assert_eq!(read(None, Some("Basic x")).await.status(), 400);
    let other = address.replace(&layer.digest.to_string(), &image.digest());
    assert_eq!(plain.get(other).send().await.unwrap().status(), 403);
    let head = plain.head(&address).send().await.unwrap();
    assert_eq!(head.status(), 403);

    cloud
        .faults()
        .next(Point::storage(), Fault::CutAfter(1_000));
    assert!(read(None, None).await.bytes().await.is_err());
    cloud.faults().next(Point::storage(), Fault::Expired);
    let expired = read(None, None).await;
    assert_eq!(expired.status(), 403);
    assert!(
        expired
            .text()
            .await
            .unwrap()
            .contains("Request has expired")
    );
    assert_eq!(read(None, None).await.status(), 403);
    assert_eq!(get(&client, &blob).await.status(), 307);
    assert!(
        cloud
            .ecr()
            .secrets()
            .iter()
            .any(|secret| address.contains(secret))
    );
}

#[tokio::test]
async fn a_blob_that_nothing_needs_cannot_be_read() {
    let cloud = cloud().await;
    let client = Client::new(&cloud).unwrap();
    let blob = Bytes::from_static(b"alone");
    client.put_blob("app", &blob).await.unwrap();
    let path = format!("app/blobs/{}", digest(&blob));
    let head = client.request(Method::HEAD, &path).send().await.unwrap();
    assert_eq!(head.status(), 200);
    assert_eq!(refusal(get(&client, &path).await).await.0, 404);
    let absent = format!("app/blobs/{}", digest(b"absent"));
    let head = client.request(Method::HEAD, &absent).send().await.unwrap();
    assert_eq!(head.status(), 404);
}

#[tokio::test]
async fn uploads_in_pieces_work_as_at_ecr() {
    let cloud = cloud().await;
    let client = Client::new(&cloud).unwrap();
    let begun = client.request(Method::POST, "app/blobs/uploads/?mount=sha256:x&from=other");
    let begun = begun.send().await.unwrap();
    assert_eq!(begun.status(), 202);
    let mut location = begun.headers()["location"].to_str().unwrap().to_owned();
    for piece in ["first ", "second"] {
        let patch = client.request(Method::PATCH, &location).body(piece);
        let patched = patch.send().await.unwrap();
        assert_eq!(patched.status(), 201);
        assert_eq!(patched.headers()["range"], "0-0");
        location = patched.headers()["location"].to_str().unwrap().to_owned();
    }
    let finish = async |digest: String| {
        let put = client.request(Method::PUT, &format!("{location}&digest={digest}"));
        put.send().await.unwrap()
    };
    assert_eq!(
        refusal(finish(digest(b"other")).await).await.1,
        "DIGEST_INVALID"
    );
    assert_eq!(finish(digest(b"first second")).await.status(), 201);
}

#[tokio::test]
async fn rights_are_checked() {
    let cloud = cloud().await;
    let image = image();
    image.push(&cloud, "app", "v1").await.unwrap();
    let token = cloud
        .ecr()
        .token(Caller::role(&role_arn("reader"), "build"));
    let reader = Client::with_token(&cloud, &token).unwrap();
    assert_eq!(get(&reader, "app/manifests/v1").await.status(), 200);
    for (method, path, action) in [
        (
            Method::GET,
            "app/blobs/sha256:x",
            "ecr:GetDownloadUrlForLayer",
        ),
        (
            Method::HEAD,
            "app/blobs/sha256:x",
            "ecr:BatchCheckLayerAvailability",
        ),
        (
            Method::POST,
            "app/blobs/uploads/",
            "ecr:InitiateLayerUpload",
        ),
        (Method::PATCH, "app/blobs/uploads/1", "ecr:UploadLayerPart"),
        (Method::PUT, "app/blobs/uploads/1", "ecr:UploadLayerPart"),
        (Method::PUT, "app/manifests/v2", "ecr:PutImage"),
        (Method::GET, "app/tags/list", "ecr:ListImages"),
        (Method::GET, "team/fixed/manifests/v1", "ecr:BatchGetImage"),
    ] {
        let answer = reader.request(method.clone(), path).send().await.unwrap();
        assert_eq!(answer.status(), 403, "{path}");
        let last = cloud.denials().pop().unwrap();
        assert_eq!(last.action, action);
        if method != Method::HEAD {
            let words = answer.text().await.unwrap();
            let who = format!("arn:aws:sts::{ACCOUNT_ID}:assumed-role/reader/build");
            assert!(words.contains("DENIED") && words.contains(&who), "{words}");
        }
    }
}

#[tokio::test]
async fn faults_come_when_they_are_told() {
    let cloud = cloud().await;
    let client = Client::new(&cloud).unwrap();
    let point = Point::registry("ListTags");
    cloud.faults().times(2, point.clone(), Fault::Throttled);
    cloud.faults().next(point.clone(), Fault::Cut);
    let ask = async || client.request(Method::GET, "app/tags/list").send().await;
    for _ in 0..2 {
        let answer = ask().await.unwrap();
        assert_eq!(refusal(answer).await, (429, "TOOMANYREQUESTS".to_owned()));
    }
    assert!(ask().await.is_err());
    assert_eq!(ask().await.unwrap().status(), 200);
    assert_eq!(cloud.faults().count(&point), 4);

    // An answer that is lost, of something that was done.
    cloud
        .faults()
        .next(Point::registry("PutManifest"), Fault::AnswerLost);
    assert!(image().push(&cloud, "app", "v1").await.is_err());
    assert_eq!(cloud.ecr().tags("app").len(), 1);

    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let noted = seen.clone();
    cloud.faults().on_call(move |call, moment| {
        noted.lock().unwrap().push((call.action.clone(), moment));
    });
    ask().await.unwrap();
    let expected = [Moment::Received, Moment::Done].map(|moment| ("ListTags".to_owned(), moment));
    assert_eq!(*seen.lock().unwrap(), expected);
}
