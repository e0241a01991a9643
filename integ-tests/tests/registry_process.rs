//! The real registry: it answers, keeps what it is given, and is gone when it is dropped.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use local_cloud::{digest::digest, registry::Registry};

#[tokio::test]
async fn it_runs_until_it_is_dropped() {
    let registry = Registry::start().await.unwrap();
    let other = Registry::start().await.unwrap();
    assert_ne!(registry.address(), other.address());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let base = format!("http://{}", registry.address());
    let begun = client
        .post(format!("{base}/v2/app/blobs/uploads/"))
        .send()
        .await
        .unwrap();
    let location = begun.headers()["location"].to_str().unwrap();
    // ECR in front has another name.
    assert!(location.starts_with("/v2/app/"), "{location}");
    let digest = digest(b"blob");
    let put = client
        .put(format!("{base}{location}&digest={digest}"))
        .body("blob");
    assert_eq!(put.send().await.unwrap().status(), 201);
    let blob = format!("/v2/app/blobs/{digest}");
    let part = client
        .get(format!("{base}{blob}"))
        .header("range", "bytes=1-2");
    let part = part.send().await.unwrap();
    assert_eq!(part.status(), 206);
    assert_eq!(part.text().await.unwrap(), "lo");
    let elsewhere = client.get(format!("http://{}{blob}", other.address()));
    assert_eq!(elsewhere.send().await.unwrap().status(), 404);

    drop(registry);
    let gone = client.get(&base).send().await.unwrap_err();
    assert!(gone.is_connect() || gone.is_request(), "{gone:?}");
}
