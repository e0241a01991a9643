//! Uploads of blobs that come in pieces, and blobs that are taken over from other repositories.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Response, body::Incoming};
use soci_format::oci::Descriptor;
use soci_store::registry::{Client, Environment, Options, RetryPolicy};
use soci_testing::{
    fake_registry::{Access, FakeRegistry, Fault, Login, Route, Settings},
    http::{Server, free_port, serve},
};

use crate::{app, impatient, noise, told};

/// What no pipe between two programs holds.
const MUCH: usize = 32 << 20;

#[tokio::test]
async fn pieces_become_a_blob_when_it_is_committed() {
    for absolute_locations in [false, true] {
        let registry = FakeRegistry::with(Settings {
            absolute_locations,
            ..Settings::default()
        });
        let bytes = Bytes::from(noise(100_000));
        let blob = Descriptor::of("", &bytes);
        let app = app(&registry);
        let upload = app.begin_streamed(&blob, None).await.unwrap().unwrap();
        let (pieces, sending) = upload.start();
        for piece in bytes.chunks(30_000) {
            assert!(pieces.give(Bytes::copy_from_slice(piece)).await);
        }
        pieces.finish();
        assert_eq!(registry.requests_to(Route::FinishUpload).len(), 0);
        sending.commit(&blob.digest).await.unwrap();
        assert_eq!(registry.blob(&blob.digest), Some(bytes));
    }
}

#[tokio::test]
async fn an_upload_that_is_cut_off_never_becomes_a_blob() {
    let registry = FakeRegistry::start();
    let bytes = Bytes::from(noise(100_000));
    let blob = Descriptor::of("", &bytes);
    let app = app(&registry);
    for (given, finished) in [(50_000, true), (50_000, false), (0, false)] {
        let upload = app.begin_streamed(&blob, None).await.unwrap().unwrap();
        let (pieces, sending) = upload.start();
        if given > 0 {
            assert!(pieces.give(bytes.slice(..given)).await);
        }
        match finished {
            true => pieces.finish(),
            false => drop(pieces),
        }
        let _ = sending.commit(&blob.digest).await.unwrap_err();
        assert_eq!(registry.blob(&blob.digest), None);
    }
    // Longer than it was to be.
    let upload = app.begin_streamed(&blob, None).await.unwrap().unwrap();
    let (pieces, sending) = upload.start();
    while pieces.give(bytes.clone()).await {}
    told(&sending.failure().await);
    assert_eq!(registry.requests_to(Route::FinishUpload).len(), 0);
}

#[tokio::test]
async fn a_refusal_of_the_bytes_is_told() {
    let registry = FakeRegistry::start();
    registry.fail(Route::PatchUpload, Fault::status(413, "SIZE_INVALID"));
    let bytes = Bytes::from(noise(1_000));
    let blob = Descriptor::of("", &bytes);
    let upload = app(&registry).begin_streamed(&blob, None).await;
    let (pieces, sending) = upload.unwrap().unwrap().start();
    assert!(pieces.give(bytes).await);
    pieces.finish();
    let error = told(&sending.commit(&blob.digest).await.unwrap_err());
    assert!(error.contains("413 SIZE_INVALID"), "{error}");
    assert!(!error.contains("_state"), "{error}");
}

/// A registry that begins uploads, and then takes nothing.
#[tokio::test]
async fn a_registry_that_takes_nothing_is_not_waited_for() {
    let answer = |request: hyper::Request<Incoming>| async move {
        if request.method() != hyper::Method::POST {
            return pending().await;
        }
        let response = Response::builder()
            .status(202)
            .header("location", "/upload");
        Some(response.body(Full::<Bytes>::default()).unwrap())
    };
    let listener = free_port().unwrap();
    let server = Server::connections(listener, move |stream| serve(stream, answer)).unwrap();
    let options = Options {
        retry: RetryPolicy {
            idle_timeout: Duration::from_millis(200),
            ..impatient().retry
        },
        ..Options::default()
    };
    let client = Client::with_environment(options, Environment::default());
    let host = server.address().to_string();
    let app = client.repository(&host, "team/app").unwrap();
    let bytes = Bytes::from(noise(1 << 20));
    let blob = Descriptor {
        size: MUCH as u64,
        ..Descriptor::of("", &bytes)
    };
    // Neither in the middle of the bytes nor behind the last one.
    let upload = app.begin_streamed(&blob, None).await.unwrap().unwrap();
    let (pieces, sending) = upload.start();
    while pieces.give(bytes.clone()).await {}
    drop(pieces);
    let error = told(&sending.failure().await);
    assert!(error.contains("timed out"), "{error}");
    let blob = Descriptor::of("", &bytes[..1_000]);
    let upload = app.begin_streamed(&blob, None).await.unwrap().unwrap();
    let (pieces, sending) = upload.start();
    assert!(pieces.give(bytes.slice(..1_000)).await);
    pieces.finish();
    let error = told(&sending.commit(&blob.digest).await.unwrap_err());
    assert!(error.contains("timed out"), "{error}");
}

/// A registry that mounts whatever it is asked to, or nothing.
async fn mounting(mounts: bool) -> (Server, Arc<AtomicUsize>) {
    let begun = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&begun);
    let listener = free_port().unwrap();
    let server = Server::connections(listener, move |stream| {
        let counted = Arc::clone(&counted);
        serve(stream, move |request: hyper::Request<Incoming>| {
            let counted = Arc::clone(&counted);
            async move {
                let query = request.uri().query().unwrap_or_default().to_owned();
                let method = request.method().clone();
                let _ = request.into_body().collect().await;
                let status = match method.as_str() {
                    "POST" => {
                        counted.fetch_add(1, Ordering::Relaxed);
                        let asks = query.contains("mount=sha256%3A")
                            && query.ends_with("&from=team%2Fbase");
                        match (asks, mounts) {
                            (true, true) => 201,
                            (true, false) => 202,
                            (false, _) => 500,
                        }
                    }
                    "PATCH" => 202,
                    _ => 201,
                };
                let response = Response::builder().status(status);
                let response = response.header("location", "/upload");
                Some(response.body(Full::<Bytes>::default()).unwrap())
            }
        })
    });
    (server.unwrap(), begun)
}

#[tokio::test]
async fn a_blob_of_another_repository_is_taken_over_or_uploaded_at_once() {
    for mounts in [true, false] {
        let (server, begun) = mounting(mounts).await;
        let client = Client::with_environment(impatient(), Environment::default());
        let host = server.address().to_string();
        let [base, app] =
            ["team/base", "team/app"].map(|name| client.repository(&host, name).unwrap());
        let bytes = Bytes::from(noise(1_000));
        let blob = Descriptor::of("", &bytes);
        let upload = app.begin_streamed(&blob, Some(&base)).await.unwrap();
        assert_eq!(upload.is_none(), mounts);
        if let Some(upload) = upload {
            let (pieces, sending) = upload.start();
            assert!(pieces.give(bytes).await);
            pieces.finish();
            sending.commit(&blob.digest).await.unwrap();
        }
        // The upload that came instead was used.
        assert_eq!(begun.load(Ordering::Relaxed), 1);
    }
}

#[tokio::test]
async fn a_refused_mount_is_only_an_upload() {
    let registry = FakeRegistry::start();
    registry.fail(Route::StartUpload, Fault::status(403, "DENIED"));
    let client = Client::with_environment(impatient(), Environment::default());
    let [base, app] =
        ["team/base", "team/app"].map(|name| client.repository(&registry.host(), name).unwrap());
    let blob = Descriptor::of("", b"x");
    let upload = app.begin_streamed(&blob, Some(&base)).await.unwrap();
    assert!(upload.is_some());
    let begun = registry.requests_to(Route::StartUpload);
    let queries: Vec<_> = begun
        .iter()
        .map(|request| !request.query.is_empty())
        .collect();
    assert_eq!(queries, [true, false]);
}

/// Another registry's blobs, and the repository's own, are no mounts.
#[tokio::test]
async fn only_another_repository_of_the_same_registry_is_asked() {
    let (registry, elsewhere) = (FakeRegistry::start(), FakeRegistry::start());
    let client = Client::with_environment(impatient(), Environment::default());
    let app = client.repository(&registry.host(), "team/app").unwrap();
    let base = client.repository(&elsewhere.host(), "team/base").unwrap();
    let blob = Descriptor::of("", b"x");
    for from in [&base, &app.clone()] {
        let _ = app.begin_streamed(&blob, Some(from)).await.unwrap();
    }
    let begun = registry.requests_to(Route::StartUpload);
    assert!(begun.iter().all(|request| request.query.is_empty()));
}

#[tokio::test]
async fn a_token_for_a_mount_is_for_both_repositories() {
    let registry = FakeRegistry::start().guarded(Access::Bearer(Login::Anonymous));
    let client = Client::with_environment(impatient(), Environment::default());
    let [base, app] =
        ["team/base", "team/app"].map(|name| client.repository(&registry.host(), name).unwrap());
    let blob = Descriptor::of("", b"x");
    let _ = app.begin_streamed(&blob, Some(&base)).await.unwrap();
    let tokens = registry.requests_to(Route::Token);
    assert_eq!(
        tokens[0].query,
        "service=fake&scope=repository%3Ateam%2Fapp%3Apull%2Cpush&scope=repository%3Ateam%2Fbase%3Apull"
    );
}
