//! Failures where secrets are in play. That none is shown is checked after every run of the program.

use soci_testing::{
    fake_registry::{Access, FakeRegistry, Fault, Login, QUERY_SECRET, Route, Settings},
    image::{Image, Layer, REPOSITORY},
    program::Ended,
};

use crate::{listed, output_tag, program};

fn run_as(reference: &str, password: &str) -> Ended {
    program(reference)
        .env("SOCI_REGISTRY_USERNAME", "user")
        .env("SOCI_REGISTRY_PASSWORD", password)
        .run()
}

#[test]
fn credentials_that_are_refused() {
    let image = listed(&Layer::noise(1, 9_000));
    for access in [
        Access::Basic("user", "secret-word"),
        Access::Bearer(Login::Password("user", "secret-word")),
    ] {
        let registry = FakeRegistry::start().guarded(access);
        let reference = image.push(&registry, "v1");
        run_as(&reference, "secret-but-wrong")
            .fails_with(&["rejected the credentials in SOCI_REGISTRY_USERNAME"]);
        program(&reference)
            .run()
            .fails_with(&["SOCI_REGISTRY_PASSWORD"]);
        assert_eq!(output_tag(&registry), None);

        registry.fail(Route::PushManifest, Fault::status(400, "MANIFEST_INVALID"));
        run_as(&reference, "secret-word").fails_with(&["400 MANIFEST_INVALID"]);
        assert_eq!(output_tag(&registry), None);
        let shown = registry.requests();
        assert!(
            shown
                .iter()
                .any(|request| request.header("authorization").is_some())
        );

        run_as(&reference, "secret-word").exits(0).json();
        assert!(output_tag(&registry).is_some());
    }
}

#[test]
fn storage_that_refuses() {
    let registry = FakeRegistry::with(Settings {
        redirect_blobs: true,
        ..Settings::default()
    });
    let reference = listed(&Layer::noise(1, 9_000)).push(&registry, "v1");
    let fault = Fault::Status {
        status: 403,
        code: "",
        message: format!("no right to https://storage/?{QUERY_SECRET}"),
        retry_after: None,
    };
    registry.fail(Route::Storage, fault).always();
    let ended = program(&reference).run().exits(1);
    assert!(ended.stderr.contains("layer 1 of 1"), "{ended:?}");
    assert_eq!(output_tag(&registry), None);
    let asked = registry.requests_to(Route::Storage);
    assert!(
        asked
            .iter()
            .all(|request| request.query.contains(QUERY_SECRET))
    );
}

/// Challenges, tokens, redirects with signed queries, retries, uploads: all of it is told, and nothing secret of it.
#[test]
fn the_log_of_every_request() {
    let registry = FakeRegistry::with(Settings {
        redirect_blobs: true,
        ..Settings::default()
    })
    .guarded(Access::Bearer(Login::Password("user", "secret-word")));
    let image = Image::of([&Layer::noise(1, 9_000)]);
    let reference = image.push(&registry, "v1");
    let fault = Fault::Status {
        status: 503,
        code: "UNAVAILABLE",
        message: "later".to_owned(),
        retry_after: None,
    };
    registry.fail(Route::PushManifest, fault);
    let ended = program(&reference)
        .argument("--debug")
        .env("SOCI_REGISTRY_USERNAME", "user")
        .env("SOCI_REGISTRY_PASSWORD", "secret-word")
        .run()
        .exits(0);
    assert!(ended.json()["output_digest"].is_string());
    let (host, storage) = (registry.host(), registry.storage());
    let of_repository = format!("{host}/v2/{REPOSITORY}");
    for line in [
        format!("debug: GET {of_repository}/manifests/v1: 401, "),
        format!("debug: GET {host}/token: 200, "),
        format!("debug: GET {of_repository}/manifests/v1: 200, "),
        format!("debug: POST {of_repository}/blobs/uploads/: 202, "),
        format!(", sent on to {storage}: 200, 9"),
        "debug: retry 2 of 6 in 0.".to_owned(),
        "503 UNAVAILABLE: later".to_owned(),
    ] {
        assert!(
            ended.stderr.contains(&line),
            "no {line:?} in {}",
            ended.stderr
        );
    }
    let quiet = run_as(&reference, "secret-word").exits(0);
    assert!(!quiet.stderr.contains("debug: "), "{quiet:?}");
}
