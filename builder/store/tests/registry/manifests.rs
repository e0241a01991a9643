//! Manifests, read and pushed.

use bytes::Bytes;
use soci_format::{
    digest::Digest,
    limits::Limits,
    oci::{Descriptor, Selector, media_type},
};
use soci_store::registry::{Client, Environment, PushedManifest};
use soci_testing::fake_registry::{FakeRegistry, Fault, Route, Settings};

use crate::{app, impatient, told};

const MANIFEST: &[u8] = br#"{"schemaVersion":2,"layers":[]}"#;

fn tag(text: &str) -> Selector {
    Selector::Tag(text.to_owned())
}

fn with_manifest(settings: Settings) -> (FakeRegistry, Digest) {
    let registry = FakeRegistry::with(settings);
    let digest = registry.put_manifest("team/app", Some("v1"), media_type::OCI_MANIFEST, MANIFEST);
    (registry, digest)
}

#[tokio::test]
async fn a_manifest_is_found_by_tag_and_by_digest() {
    let (registry, digest) = with_manifest(Settings::default());
    let app = app(&registry);
    for selector in [tag("v1"), Selector::Digest(digest)] {
        let fetched = app.manifest(&selector).await.unwrap().unwrap();
        assert_eq!(fetched.bytes, MANIFEST);
        assert_eq!(
            fetched.descriptor,
            Descriptor::of(media_type::OCI_MANIFEST, MANIFEST)
        );
    }
    let accept = registry.requests()[0].header("accept").unwrap().to_owned();
    assert!(media_type::MANIFESTS.iter().all(|one| accept.contains(one)));
}

#[tokio::test]
async fn what_is_not_there_is_no_error() {
    let registry = FakeRegistry::start();
    let app = app(&registry);
    assert_eq!(app.resolve("v1").await.unwrap(), None);
    assert_eq!(app.manifest(&tag("v1")).await.unwrap(), None);
    assert_eq!(app.blob_size(&Digest::of(b"")).await.unwrap(), None);
    // HEAD of a tag and of a blob is tried as GET, and nothing is tried again.
    for (route, times) in [
        (Route::ReadManifest, 3),
        (Route::HeadBlob, 1),
        (Route::ReadBlob, 1),
    ] {
        assert_eq!(registry.requests_to(route).len(), times, "{route:?}");
    }
}

#[tokio::test]
async fn a_tag_is_resolved_with_and_without_the_header() {
    for content_digest in [true, false] {
        let (registry, digest) = with_manifest(Settings {
            content_digest,
            ..Settings::default()
        });
        assert_eq!(app(&registry).resolve("v1").await.unwrap(), Some(digest));
        let requests = registry.requests().len();
        // Without it, the manifest is read, and looked for by the digest that its bytes have.
        assert_eq!(requests, if content_digest { 1 } else { 3 });
    }
}

#[tokio::test]
async fn what_a_tag_names_is_checked_with_and_without_the_header() {
    for (content_digest, words) in [
        (true, "digest mismatch"),
        (false, "which the registry does not have"),
    ] {
        let (registry, _) = with_manifest(Settings {
            content_digest,
            ..Settings::default()
        });
        let damaged = Fault::Body {
            bytes: r#"{"schemaVersion":3}"#.into(),
            announced: true,
        };
        registry.fail(Route::ReadManifest, damaged);
        let error = app(&registry).manifest(&tag("v1")).await.unwrap_err();
        assert!(told(&error).contains(words), "{}", told(&error));
        assert!(app(&registry).manifest(&tag("v1")).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_web_page_is_no_manifest() {
    let (registry, _) = with_manifest(Settings::default());
    registry.fail(Route::ReadManifest, Fault::Html);
    let error = app(&registry).manifest(&tag("v1")).await.unwrap_err();
    let host = registry.host();
    assert_eq!(
        told(&error),
        format!(
            "GET {host}/v2/team/app/manifests/v1: expected a manifest, got media type text/html"
        )
    );
}

#[tokio::test]
async fn a_vague_media_type_is_made_good_by_the_manifest_itself() {
    let registry = FakeRegistry::start();
    let own = format!(r#"{{"mediaType":"{}"}}"#, media_type::DOCKER_MANIFEST);
    registry.put_manifest("team/app", Some("v1"), "application/json", own);
    registry.put_manifest("team/app", Some("v2"), "application/json", "{}");
    let app = app(&registry);
    let fetched = app.manifest(&tag("v1")).await.unwrap().unwrap();
    assert_eq!(fetched.descriptor.media_type, media_type::DOCKER_MANIFEST);
    let error = told(&app.manifest(&tag("v2")).await.unwrap_err());
    assert!(
        error.contains("expected a manifest, got media type application/json"),
        "{error}"
    );
}

#[tokio::test]
async fn a_huge_manifest_is_not_read() {
    for announced in [true, false] {
        let (registry, _) = with_manifest(Settings::default());
        let bytes = Bytes::from(vec![b' '; 10 << 20]);
        registry.fail(Route::ReadManifest, Fault::Body { bytes, announced });
        let error = told(&app(&registry).manifest(&tag("v1")).await.unwrap_err());
        assert!(error.contains("longer than 4194304 bytes"), "{error}");
    }
}

#[tokio::test]
async fn bytes_of_another_digest_are_refused() {
    let (registry, digest) = with_manifest(Settings::default());
    let app = app(&registry);
    for selector in [tag("v1"), Selector::Digest(digest)] {
        let bytes = Bytes::from_static(br#"{"schemaVersion":3,"layers":[]}"#);
        let other = Digest::of(&bytes);
        registry.fail(
            Route::ReadManifest,
            Fault::Body {
                bytes,
                announced: true,
            },
        );
        let error = told(&app.manifest(&selector).await.unwrap_err());
        let expected = format!("digest mismatch: expected {digest}, got {other}");
        assert!(error.ends_with(&expected), "{error}");
    }
}

#[tokio::test]
async fn a_manifest_is_pushed_by_tag_and_by_digest() {
    let registry = FakeRegistry::start();
    let app = app(&registry);
    let bytes = Bytes::from_static(MANIFEST);
    let digest = Digest::of(MANIFEST);
    for selector in [Selector::Digest(digest), tag("v1")] {
        let pushed = app
            .push_manifest(&selector, media_type::OCI_MANIFEST, bytes.clone())
            .await
            .unwrap();
        assert_eq!(pushed, PushedManifest { subject: None });
    }
    assert_eq!(registry.tagged("team/app", "v1"), Some((digest, bytes)));
    let sent = &registry.requests_to(Route::PushManifest)[0];
    assert_eq!(sent.header("content-type"), Some(media_type::OCI_MANIFEST));
}

#[tokio::test]
async fn a_registry_that_takes_other_bytes_is_caught() {
    let damaged = Bytes::from_static(b"{}");
    let digest = Digest::of(MANIFEST);
    for times in [5, 6] {
        let registry = FakeRegistry::start();
        let fault = Fault::Damaged(damaged.clone());
        registry.fail(Route::PushManifest, fault).times(times);
        let bytes = Bytes::from_static(MANIFEST);
        let pushed = app(&registry)
            .push_manifest(&tag("v1"), media_type::OCI_MANIFEST, bytes.clone())
            .await;
        let tagged = registry.tagged("team/app", "v1");
        if times == 5 {
            pushed.unwrap();
            assert_eq!(tagged, Some((digest, bytes)));
        } else {
            let error = told(&pushed.unwrap_err());
            let words = format!(
                "failed after 6 attempts: PUT {}/v2/team/app/manifests/v1: digest mismatch: pushed {digest}, but the registry stored {}",
                registry.host(),
                Digest::of(&damaged)
            );
            assert!(error.contains(&words), "{error}");
        }
    }
}

#[tokio::test]
async fn a_manifest_that_no_registry_takes_is_not_sent() {
    let registry = FakeRegistry::start();
    let bytes = Bytes::from(vec![
        b' ';
        usize::try_from(Limits::MANIFEST_BYTES).unwrap() + 1
    ]);
    let error = app(&registry)
        .push_manifest(&tag("v1"), media_type::OCI_MANIFEST, bytes)
        .await
        .unwrap_err();
    assert!(told(&error).contains("has 4194305 bytes"));
    assert!(registry.requests().is_empty());
}

#[tokio::test]
async fn an_immutable_tag_is_recognized() {
    let (registry, _) = with_manifest(Settings {
        immutable_tags: true,
        ..Settings::default()
    });
    let error = app(&registry)
        .push_manifest(
            &tag("v1"),
            media_type::OCI_MANIFEST,
            Bytes::from_static(b"{}"),
        )
        .await
        .unwrap_err();
    assert!(error.is_immutable_tag() && !error.is_denied() && !error.is_not_found());
    assert!(told(&error).contains(": 400 TAG_INVALID: The image tag 'v1' already exists"));
}

#[tokio::test]
async fn a_mirror_takes_the_requests_of_its_host() {
    let (registry, digest) = with_manifest(Settings::default());
    let mut options = impatient();
    let mirror = format!("registry.example={}", registry.url());
    options.mirrors.push(mirror.parse().unwrap());
    let app = Client::with_environment(options, Environment::default())
        .repository("registry.example", "team/app")
        .unwrap();
    assert_eq!(app.resolve("v1").await.unwrap(), Some(digest));
}

/// Nexus, and proxies that let GET through only.
#[tokio::test]
async fn a_manifest_is_had_without_head() {
    for refused_head in [400, 403, 404, 405, 501].map(Some) {
        for content_digest in [true, false] {
            let registry = FakeRegistry::with(Settings {
                refused_head,
                content_digest,
                ..Settings::default()
            });
            let app = app(&registry);
            let bytes = r#"{"schemaVersion":2,"layers":[]}"#;
            let digest =
                registry.put_manifest("team/app", Some("v1"), media_type::OCI_MANIFEST, bytes);
            assert_eq!(app.resolve("v1").await.unwrap(), Some(digest));
            assert_eq!(app.resolve("v2").await.unwrap(), None);
            for selector in [Selector::Tag("v1".to_owned()), Selector::Digest(digest)] {
                let fetched = app.manifest(&selector).await.unwrap().unwrap();
                assert_eq!(fetched.descriptor.digest, digest);
            }
        }
    }
}
