//! Small blobs and uploads.

use bytes::Bytes;
use soci_builder::{digest::Digest, oci::Descriptor};

use crate::{
    app, noise,
    support::fake_registry::{FakeRegistry, Fault, Route, Settings},
    told,
};

#[tokio::test]
async fn a_blob_comes_whole_and_checked() {
    let registry = FakeRegistry::start();
    let bytes = noise(100_000);
    let digest = registry.put_blob(bytes.clone());
    let app = app(&registry);
    assert_eq!(app.blob_size(&digest).await.unwrap(), Some(100_000));
    let descriptor = Descriptor::of("", &bytes);
    registry.fail(Route::ReadBlob, Fault::Cut { after: 10_000 });
    assert_eq!(app.blob(&descriptor).await.unwrap(), bytes);

    registry.fail(
        Route::ReadBlob,
        Fault::Body {
            bytes: Bytes::from(vec![0; 100_000]),
            announced: true,
        },
    );
    let error = told(&app.blob(&descriptor).await.unwrap_err());
    assert!(error.contains("the bytes have digest"), "{error}");
}

#[tokio::test]
async fn a_blob_of_another_size_is_refused() {
    let registry = FakeRegistry::start();
    let bytes = noise(1_000);
    registry.put_blob(bytes.clone());
    let app = app(&registry);
    for (length, announced, found) in [
        (999, true, "999"),
        (999, false, "999"),
        (5_000, true, "5000"),
        (5_000, false, "1001"),
    ] {
        let bytes_sent = Bytes::from(vec![0; length]);
        registry.fail(
            Route::ReadBlob,
            Fault::Body {
                bytes: bytes_sent,
                announced,
            },
        );
        let error = told(&app.blob(&Descriptor::of("", &bytes)).await.unwrap_err());
        let expected = format!("{found} bytes came, expected 1000");
        assert!(error.ends_with(&expected), "{error}");
    }
}

#[tokio::test]
async fn an_answer_about_another_blob_is_refused() {
    let registry = FakeRegistry::start();
    let (blob, other) = (registry.put_blob("this"), registry.put_blob("that"));
    let about_other = Fault::Header("docker-content-digest", other.to_string());
    registry.fail(Route::HeadBlob, about_other);
    let error = told(&app(&registry).blob_size(&blob).await.unwrap_err());
    assert!(
        error.ends_with(&format!("answered about the blob {other}")),
        "{error}"
    );
}

#[tokio::test]
async fn a_blob_is_pushed_once() {
    for absolute_locations in [false, true] {
        let registry = FakeRegistry::with(Settings {
            absolute_locations,
            ..Settings::default()
        });
        let app = app(&registry);
        let bytes = Bytes::from(noise(300_000));
        let digest = Digest::of(&bytes);
        app.push_blob(&digest, bytes.clone()).await.unwrap();
        app.push_blob(&digest, bytes.clone()).await.unwrap();
        assert_eq!(registry.blob(&digest), Some(bytes));
        assert_eq!(registry.requests_to(Route::HeadBlob).len(), 2);
        assert_eq!(registry.requests_to(Route::FinishUpload).len(), 1);
    }
}

#[tokio::test]
async fn an_upload_that_breaks_starts_again() {
    let registry = FakeRegistry::start();
    registry.fail(Route::FinishUpload, Fault::status(503, "UNAVAILABLE"));
    registry.fail(Route::StartUpload, Fault::status(500, "UNKNOWN"));
    let bytes = Bytes::from(noise(1_000));
    let digest = Digest::of(&bytes);
    app(&registry)
        .push_blob(&digest, bytes.clone())
        .await
        .unwrap();
    assert_eq!(registry.blob(&digest), Some(bytes));
    assert_eq!(registry.requests_to(Route::StartUpload).len(), 3);
    assert_eq!(registry.requests_to(Route::FinishUpload).len(), 2);
}

#[tokio::test]
async fn an_upload_that_another_client_finished_is_no_failure() {
    let registry = FakeRegistry::start();
    let bytes = Bytes::from(noise(1_000));
    let digest = registry.put_blob(bytes.clone());
    registry.fail(Route::HeadBlob, Fault::status(404, "BLOB_UNKNOWN"));
    registry.fail(
        Route::FinishUpload,
        Fault::status(400, "LayerAlreadyExistsException"),
    );
    app(&registry).push_blob(&digest, bytes).await.unwrap();
}

#[tokio::test]
async fn a_refused_upload_says_so() {
    let registry = FakeRegistry::start();
    registry.fail(Route::StartUpload, Fault::status(403, "DENIED"));
    let error = app(&registry)
        .push_blob(&Digest::of(b"x"), Bytes::from_static(b"x"))
        .await
        .unwrap_err();
    assert!(error.is_denied());
    let host = registry.host();
    assert_eq!(
        told(&error),
        format!("POST {host}/v2/team/app/blobs/uploads/: 403 DENIED: this is DENIED")
    );
}
