//! Layers of any size go through ECR without being held: a program of its own, because it looks at its own memory.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use local_cloud::{
    cloud::{Cloud, Options, given::Given},
    digest::digest,
    image::Client,
};
use reqwest::{Body, Method};
use serde_json::json;
use sha2::{Digest as _, Sha256};

const PIECE_BYTES: usize = 1 << 20;
const PIECES: usize = 256;
/// TLS, pipes and the pieces on their way; a blob that is held takes 256 MiB.
const GROWTH_KIB_MAX: u64 = 48 * 1024;

/// The most memory that this process ever had.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let number = line.unwrap().split_whitespace().nth(1).unwrap();
    number.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_blob_goes_through_in_pieces() {
    let given = Given::new().repository("app", false);
    let cloud = Cloud::start(Arc::new(given), Options::default())
        .await
        .unwrap();
    let client = Client::new(&cloud).unwrap();
    let mut piece = vec![0; PIECE_BYTES];
    fastrand::Rng::with_seed(1).fill(&mut piece);
    let piece = Bytes::from(piece);
    let mut hash = Sha256::new();
    for _ in 0..PIECES {
        hash.update(&piece);
    }
    let hex: String = hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let blob = format!("sha256:{hex}");
    let before = peak_kib();

    let begun = client
        .request(Method::POST, "app/blobs/uploads/")
        .send()
        .await
        .unwrap();
    let mut location = begun.headers()["location"].to_str().unwrap().to_owned();
    let pieces = stream::iter((0..PIECES).map(move |_| Ok::<_, std::io::Error>(piece.clone())));
    let patch = client
        .request(Method::PATCH, &location)
        .body(Body::wrap_stream(pieces));
    let patched = patch.send().await.unwrap();
    assert_eq!(patched.status(), 201);
    location = patched.headers()["location"].to_str().unwrap().to_owned();
    let put = client.request(Method::PUT, &format!("{location}&digest={blob}"));
    assert_eq!(put.send().await.unwrap().status(), 201);

    let config = Bytes::from_static(b"{}");
    client.put_blob("app", &config).await.unwrap();
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let descriptor = |kind: &str, digest: &str, size: usize| json!({"mediaType": kind, "digest": digest, "size": size});
    let layer = "application/vnd.oci.image.layer.v1.tar";
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": descriptor("application/vnd.oci.image.config.v1+json", &digest(&config), 2),
        "layers": [descriptor(layer, &blob, PIECES * PIECE_BYTES)],
    });
    let manifest = Bytes::from(manifest.to_string());
    client
        .put_manifest("app", "v1", media_type, &manifest)
        .await
        .unwrap();

    let path = format!("app/blobs/{blob}");
    let sent_on = client.request(Method::GET, &path).send().await.unwrap();
    let address = sent_on.headers()["location"].to_str().unwrap();
    let plain = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut body = plain.get(address).send().await.unwrap().bytes_stream();
    let mut hash = Sha256::new();
    while let Some(piece) = body.next().await {
        hash.update(piece.unwrap());
    }
    let found: String = hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(found, hex);
    let growth = peak_kib() - before;
    assert!(growth < GROWTH_KIB_MAX, "{growth} KiB more");
}
