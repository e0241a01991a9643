//! Small blobs and uploads.

use bytes::Bytes;
use soci_format::{digest::Digest, oci::Descriptor};
use soci_testing::fake_registry::{FakeRegistry, Fault, Route, Settings};

use crate::{app, noise, told};

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
    assert!(error.contains("digest mismatch"), "{error}");
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
        let expected = format!("received {found} bytes, expected 1000");
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
        error.ends_with(&format!("responded with blob {other}")),
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

#[tokio::test]
async fn the_size_of_a_blob_is_had_without_head_and_without_the_blob() {
    let refusals = [400, 403, 404, 405, 501].map(|status| Settings {
        refused_head: Some(status),
        ..Settings::default()
    });
    let silent = Settings {
        lengths: false,
        ..Settings::default()
    };
    for settings in refusals.into_iter().chain([silent]) {
        for no_ranges in [false, true] {
            let registry = FakeRegistry::with(settings.clone());
            let app = app(&registry);
            let digest = registry.put_blob(noise(8 << 20));
            if no_ranges {
                registry.fail(Route::ReadBlob, Fault::IgnoreRange).always();
            }
            let size = app.blob_size(&digest).await.unwrap();
            assert_eq!(size, Some(8 << 20), "{settings:?}");
            // Where neither lengths nor ranges are known, its bytes must be counted.
            if settings.lengths || !no_ranges {
                let sent = registry.served(&digest);
                assert!(sent < 6 << 20, "{sent}: {settings:?}");
            }
            assert_eq!(app.blob_size(&Digest::of(b"absent")).await.unwrap(), None);

            let small = Bytes::from_static(b"small");
            app.push_blob(&Digest::of(&small), small.clone())
                .await
                .unwrap();
            assert_eq!(registry.blob(&Digest::of(&small)), Some(small));
        }
    }
}

#[tokio::test]
async fn a_registry_may_take_the_bytes_in_a_patch_only() {
    for refused_put in [400, 404, 405, 411, 415, 500, 501].map(Some) {
        for absolute_locations in [false, true] {
            let registry = FakeRegistry::with(Settings {
                refused_put,
                absolute_locations,
                ..Settings::default()
            });
            let app = app(&registry);
            for number in 0..3 {
                let bytes = Bytes::from(vec![number; 300_000]);
                let digest = Digest::of(&bytes);
                app.push_blob(&digest, bytes.clone()).await.unwrap();
                assert_eq!(registry.blob(&digest), Some(bytes), "{refused_put:?}");
            }
            // It is remembered which way works.
            assert_eq!(registry.requests_to(Route::StartUpload).len(), 4);
            assert_eq!(registry.requests_to(Route::PatchUpload).len(), 3);
        }
    }
}

#[tokio::test]
async fn an_upload_that_the_registry_lost_is_begun_again() {
    for refused_put in [None, Some(405)] {
        let registry = FakeRegistry::with(Settings {
            refused_put,
            ..Settings::default()
        });
        for route in [Route::FinishUpload, Route::PatchUpload] {
            registry
                .fail(route, Fault::status(404, "BLOB_UPLOAD_UNKNOWN"))
                .times(2);
        }
        let bytes = Bytes::from(noise(1_000));
        let digest = Digest::of(&bytes);
        let app = app(&registry);
        app.push_blob(&digest, bytes.clone()).await.unwrap();
        assert_eq!(registry.blob(&digest), Some(bytes));
    }
}

#[tokio::test]
async fn an_upload_that_is_refused_both_ways_says_why() {
    let registry = FakeRegistry::start();
    registry
        .fail(Route::FinishUpload, Fault::status(400, "SIZE_INVALID"))
        .always();
    registry
        .fail(Route::PatchUpload, Fault::status(405, "UNSUPPORTED"))
        .always();
    let pushed = app(&registry)
        .push_blob(&Digest::of(b"x"), Bytes::from_static(b"x"))
        .await;
    let error = told(&pushed.unwrap_err());
    assert!(error.contains("400 SIZE_INVALID"), "{error}");
    assert_eq!(registry.requests_to(Route::StartUpload).len(), 2);
}
