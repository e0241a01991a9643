//! What is tried again, how often, and what is not.

use std::time::{Duration, Instant};

use soci_format::oci::Selector;
use soci_store::registry::{Client, Environment};
use soci_testing::fake_registry::{FakeRegistry, Fault, Route};

use crate::{app, impatient, told};

const TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

fn with_manifest() -> (FakeRegistry, Selector) {
    let registry = FakeRegistry::start();
    let digest = registry.put_manifest("team/app", Some("v1"), TYPE, "{}");
    (registry, Selector::Digest(digest))
}

#[tokio::test]
async fn trouble_that_passes_is_waited_out() {
    for fault in [
        Fault::status(429, "TOOMANYREQUESTS"),
        Fault::status(500, "UNKNOWN"),
        Fault::status(502, ""),
        Fault::status(503, ""),
        Fault::status(504, ""),
        Fault::status(400, "TOOMANYREQUESTS"),
        Fault::status(400, "ThrottlingException"),
        Fault::Cut { after: 1 },
    ] {
        let (registry, selector) = with_manifest();
        registry.fail(Route::ReadManifest, fault.clone()).times(5);
        let found = app(&registry).manifest(&selector).await;
        assert!(found.unwrap().is_some(), "{fault:?}");
        assert_eq!(registry.requests().len(), 6, "{fault:?}");
    }
}

#[tokio::test]
async fn the_last_error_says_how_often_it_was_tried() {
    let (registry, selector) = with_manifest();
    registry
        .fail(Route::ReadManifest, Fault::status(429, "TOOMANYREQUESTS"))
        .always();
    let error = app(&registry).manifest(&selector).await.unwrap_err();
    assert_eq!(
        told(&error),
        format!(
            "failed after 6 attempts: GET {}/v2/team/app/manifests/{selector}: 429 TOOMANYREQUESTS: this is TOOMANYREQUESTS",
            registry.host()
        )
    );
    assert_eq!(registry.requests().len(), 6);
}

#[tokio::test]
async fn a_refusal_is_final() {
    for status in [400, 403, 405, 409, 412, 416, 501] {
        let (registry, selector) = with_manifest();
        registry.fail(Route::ReadManifest, Fault::status(status, "NO"));
        let error = app(&registry).manifest(&selector).await.unwrap_err();
        assert!(told(&error).contains(&format!(": {status} NO: this is NO")));
        assert_eq!(registry.requests_to(Route::ReadManifest).len(), 1);
    }
}

#[tokio::test]
async fn the_registry_may_ask_for_time() {
    let (registry, selector) = with_manifest();
    registry.fail(
        Route::ReadManifest,
        Fault::Status {
            status: 429,
            code: "TOOMANYREQUESTS",
            message: String::new(),
            retry_after: Some(3_600),
        },
    );
    // An hour is asked for; three times our longest pause is given.
    let mut options = impatient();
    options.retry.max_backoff = Duration::from_millis(20);
    let app = Client::with_environment(options, Environment::default())
        .repository(&registry.host(), "team/app")
        .unwrap();
    let start = Instant::now();
    assert!(app.manifest(&selector).await.unwrap().is_some());
    assert!(start.elapsed() >= Duration::from_millis(60));
}

#[tokio::test]
async fn a_registry_that_is_gone_is_named() {
    let (registry, selector) = with_manifest();
    let app = app(&registry);
    let host = registry.host();
    drop(registry);
    let error = told(&app.manifest(&selector).await.unwrap_err());
    let start = format!(
        "failed after 6 attempts: GET {host}/v2/team/app/manifests/{selector}: connection failed: "
    );
    assert!(error.starts_with(&start), "{error}");
}

#[tokio::test]
async fn a_message_is_made_fit_to_print() {
    let (registry, selector) = with_manifest();
    registry.fail(
        Route::ReadManifest,
        Fault::Status {
            status: 400,
            code: "BAD",
            message: format!("\u{1b}[31m\r\n{}", "x".repeat(100_000)),
            retry_after: None,
        },
    );
    let error = told(&app(&registry).manifest(&selector).await.unwrap_err());
    assert!(
        error.len() < 1_000 && !error.contains(char::is_control),
        "{error}"
    );
}
