//! Challenges, tokens and their renewal.

use bytes::Bytes;
use soci_format::{digest::Digest, oci::Descriptor};
use soci_store::registry::{Client, Environment, Repository, Secret};
use soci_testing::fake_registry::{Access, FakeRegistry, Fault, Login, Recorded, Route, Settings};

use crate::{app, app_for, impatient, told};

fn guarded(access: Access) -> (FakeRegistry, Digest) {
    let registry = FakeRegistry::start().guarded(access);
    let digest = registry.put_blob("blob");
    (registry, digest)
}

fn me(password: &str) -> Environment {
    Environment {
        username: Some("me".to_owned()),
        password: Some(Secret::new(password)),
        ..Environment::default()
    }
}

#[tokio::test]
async fn a_token_is_fetched_once_per_scope() {
    let (registry, digest) = guarded(Access::Bearer(Login::Anonymous));
    let app = app(&registry);
    for _ in 0..3 {
        assert_eq!(app.blob_size(&digest).await.unwrap(), Some(4));
    }
    app.push_blob(&Digest::of(b"new"), "new".into())
        .await
        .unwrap();
    let tokens = registry.requests_to(Route::Token);
    let queries: Vec<_> = tokens.iter().map(|token| token.query.as_str()).collect();
    assert_eq!(
        queries,
        [
            "service=fake&scope=repository%3Aignored%3Apull",
            "service=fake&scope=repository%3Ateam%2Fapp%3Apull%2Cpush",
        ]
    );
    assert!(tokens[0].header("authorization").is_none());
}

#[tokio::test]
async fn credentials_are_shown_to_the_token_service() {
    let (registry, digest) = guarded(Access::Bearer(Login::Password("me", "secret-word")));
    let app = app_for(&registry, me("secret-word"));
    assert_eq!(app.blob_size(&digest).await.unwrap(), Some(4));
    let sizes = registry.requests_to(Route::HeadBlob);
    assert_eq!(
        sizes[1].header("authorization"),
        Some("Bearer secret-token-1")
    );
}

#[tokio::test]
async fn basic_is_enough_for_the_whole_registry() {
    let (registry, digest) = guarded(Access::Basic("me", "secret-word"));
    let app = app_for(&registry, me("secret-word"));
    app.blob_size(&digest).await.unwrap();
    app.push_blob(&Digest::of(b"new"), "new".into())
        .await
        .unwrap();
    let refused = registry
        .requests()
        .iter()
        .filter(|request| request.header("authorization").is_none())
        .count();
    assert_eq!(refused, 1);
}

#[tokio::test]
async fn a_refusal_says_what_to_do() {
    for access in [
        Access::Basic("me", "secret-word"),
        Access::Bearer(Login::Password("me", "secret-word")),
    ] {
        let (registry, digest) = guarded(access);
        let host = registry.host();
        let error = app(&registry).blob_size(&digest).await.unwrap_err();
        assert!(error.is_denied());
        let error = told(&error);
        let expected = format!(
            ": {host} requires credentials, but none were found; run `docker login {host}`"
        );
        assert!(error.contains(&expected), "{error}");

        let wrong = app_for(&registry, me("secret-wrong"));
        let error = wrong.blob_size(&digest).await.unwrap_err();
        assert!(error.is_denied());
        let error = told(&error);
        let expected = format!("{host} rejected the credentials in SOCI_REGISTRY_USERNAME");
        assert!(error.contains(&expected), "{error}");
    }
}

#[tokio::test]
async fn a_token_that_ended_is_fetched_by_one_for_all() {
    let (registry, digest) = guarded(Access::Bearer(Login::Anonymous));
    let app = app(&registry);
    app.blob_size(&digest).await.unwrap();
    registry.expire_tokens();
    let asked: Vec<_> = (0..20)
        .map(|_| {
            let app: Repository = app.clone();
            tokio::spawn(async move { app.blob_size(&digest).await })
        })
        .collect();
    for size in asked {
        assert_eq!(size.await.unwrap().unwrap(), Some(4));
    }
    assert_eq!(registry.requests_to(Route::Token).len(), 2);
}

#[tokio::test]
async fn trouble_at_the_token_service_is_waited_out() {
    let (registry, digest) = guarded(Access::Bearer(Login::Anonymous));
    registry
        .fail(Route::Token, Fault::status(503, "UNAVAILABLE"))
        .times(2);
    assert_eq!(app(&registry).blob_size(&digest).await.unwrap(), Some(4));
}

#[tokio::test]
async fn an_answer_without_a_token_shows_nothing_of_it() {
    let (registry, digest) = guarded(Access::Bearer(Login::Anonymous));
    registry.fail(
        Route::Token,
        Fault::Body {
            bytes: r#"{"token":{"secret-token":1}}"#.into(),
            announced: true,
        },
    );
    let error = told(&app(&registry).blob_size(&digest).await.unwrap_err());
    assert!(
        error.ends_with("/token: the response contains no token"),
        "{error}"
    );
}

#[tokio::test]
async fn credentials_do_not_travel_in_the_open() {
    let realm = "http://token.example/token".to_owned();
    let (registry, digest) = guarded(Access::BearerFrom(realm));
    let app = app_for(&registry, me("secret-word"));
    let error = told(&app.blob_size(&digest).await.unwrap_err());
    let expected = "the registry's token service at token.example does not use HTTPS; --plain-http allows that";
    assert!(error.ends_with(expected), "{error}");
}

#[tokio::test]
async fn a_mirror_is_shown_the_credentials_of_its_host() {
    let (registry, digest) = guarded(Access::Ecr);
    let host = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
    let mut options = impatient();
    let mirror = format!("{host}={}", registry.url());
    options.mirrors.push(mirror.parse().unwrap());
    let environment = Environment {
        aws: Some(crate::credentials::aws(&registry)),
        ..Environment::default()
    };
    let app = Client::with_environment(options, environment)
        .repository(host, "team/app")
        .unwrap();
    for _ in 0..2 {
        assert_eq!(app.blob_size(&digest).await.unwrap(), Some(4));
    }
    assert_eq!(registry.requests_to(Route::EcrApi).len(), 1);
    registry.expire_tokens();
    assert_eq!(app.blob_size(&digest).await.unwrap(), Some(4));
    let asked = registry.requests_to(Route::EcrApi);
    assert_eq!(asked.len(), 2);
    let signature = asked[0].header("authorization").unwrap();
    assert!(
        signature.contains("/eu-west-1/ecr/aws4_request"),
        "{signature}"
    );

    registry
        .fail(Route::EcrApi, Fault::status(400, "AccessDeniedException"))
        .always();
    registry.expire_tokens();
    let error = told(&app.blob_size(&digest).await.unwrap_err());
    assert!(
        error.starts_with(&format!("cannot get the credentials for {host}: ")),
        "{error}"
    );
}

#[tokio::test]
async fn the_challenge_may_stand_at_the_door_only() {
    for status in [401, 403, 404] {
        for access in [
            Access::Basic("me", "secret-word"),
            Access::Bearer(Login::Password("me", "secret-word")),
        ] {
            let registry = FakeRegistry::with(Settings {
                silent_doors: Some(status),
                ..Settings::default()
            })
            .guarded(access);
            let digest = registry.put_blob("blob");
            let app = app_for(&registry, me("secret-word"));
            for _ in 0..2 {
                assert_eq!(app.blob_size(&digest).await.unwrap(), Some(4));
            }
            let at_the_door = |request: &&Recorded| request.path == "/v2/";
            assert_eq!(registry.requests().iter().filter(at_the_door).count(), 1);

            let stranger = crate::app(&registry).blob_size(&digest).await;
            match status {
                404 => assert_eq!(stranger.unwrap(), None),
                _ => assert!(stranger.unwrap_err().is_denied()),
            }
        }
    }
}

#[tokio::test]
async fn a_registry_that_asks_for_nothing_and_refuses_is_told_apart() {
    let (registry, digest) = guarded(Access::Open);
    let refused = Fault::status(401, "UNAUTHORIZED");
    registry.fail(Route::HeadBlob, refused.clone()).always();
    registry.fail(Route::ReadBlob, refused).always();
    let error = app_for(&registry, me("secret-word"))
        .blob_size(&digest)
        .await;
    let error = error.unwrap_err();
    assert!(error.is_denied());
    let error = told(&error);
    assert!(
        error.contains("no WWW-Authenticate header says how to log in"),
        "{error}"
    );
}

/// ECR's own words, with the status that it answers with.
#[tokio::test]
async fn a_token_that_ran_out_is_renewed_once_where_the_answer_is_403() {
    let expired = || Fault::Status {
        status: 403,
        code: "DENIED",
        message: "Your authorization token has expired. Reauthenticate and try again.".to_owned(),
        retry_after: None,
    };
    let (registry, _) = guarded(Access::Ecr);
    let host = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
    let mut options = impatient();
    let mirror = format!("{host}={}", registry.url());
    options.mirrors.push(mirror.parse().unwrap());
    let environment = Environment {
        aws: Some(crate::credentials::aws(&registry)),
        // Not for ECR, whatever happens there.
        ..me("secret-word")
    };
    let app = Client::with_environment(options, environment)
        .repository(host, "team/app")
        .unwrap();
    let bytes = Bytes::from_static(b"new");
    app.push_blob(&Digest::of(&bytes), bytes).await.unwrap();
    assert_eq!(registry.requests_to(Route::EcrApi).len(), 1);
    for route in [Route::StartUpload, Route::FinishUpload, Route::ReadBlob] {
        let before = registry.requests_to(Route::EcrApi).len();
        registry.fail(route, expired());
        let bytes = Bytes::from(format!("{route:?}"));
        let digest = Digest::of(&bytes);
        app.push_blob(&digest, bytes.clone()).await.unwrap();
        let descriptor = Descriptor::of("", &bytes);
        assert_eq!(app.blob(&descriptor).await.unwrap(), bytes);
        assert_eq!(registry.requests_to(Route::EcrApi).len(), before + 1);
    }

    registry.fail(Route::StartUpload, expired()).always();
    let pushed = app
        .push_blob(&Digest::of(b"x"), Bytes::from_static(b"x"))
        .await;
    let error = told(&pushed.unwrap_err());
    assert!(
        error.contains("403 DENIED: Your authorization token"),
        "{error}"
    );
    let refused = Fault::status(403, "DENIED");
    let before = registry.requests_to(Route::EcrApi).len();
    registry.fail(Route::ReadBlob, refused);
    assert!(app.blob(&Descriptor::of("", b"new")).await.is_err());
    assert_eq!(registry.requests_to(Route::EcrApi).len(), before);
    let shown = registry.requests();
    let mut shown = shown
        .iter()
        .filter_map(|request| request.header("authorization"));
    assert!(
        shown.all(|shown| !shown.contains("bWU6")),
        "the user's own password"
    );
}

#[tokio::test]
async fn aws_says_itself_why_there_is_no_token() {
    let host = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
    let registry = FakeRegistry::start().guarded(Access::Ecr);
    registry
        .fail(Route::EcrApi, Fault::status(400, "AccessDeniedException"))
        .always();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.json");
    let entry = serde_json::json!({"auths": {host: {"username": "AWS", "password": "secret-old"}}});
    std::fs::write(&file, entry.to_string()).unwrap();
    for (auth_files, reason) in [
        (Vec::new(), "cannot get the credentials"),
        (vec![file], "rejected the credentials in"),
    ] {
        let mut options = impatient();
        let mirror = format!("{host}={}", registry.url());
        options.mirrors.push(mirror.parse().unwrap());
        let environment = Environment {
            aws: Some(crate::credentials::aws(&registry)),
            auth_files,
            ..me("secret-word")
        };
        let app = Client::with_environment(options, environment)
            .repository(host, "team/app")
            .unwrap();
        let error = told(&app.resolve("v1").await.unwrap_err());
        assert!(error.contains(reason), "{error}");
        let aws = "cannot get an ECR token from AWS in eu-west-1: AccessDeniedException: this is AccessDeniedException";
        assert!(error.contains(aws), "{error}");
    }
}
