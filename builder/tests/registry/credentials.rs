//! Credentials from docker's configuration, its helpers, and AWS, up to the registry that wants them.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

use aws_config::SdkConfig;
use aws_sdk_ecr::config::{Credentials, SharedCredentialsProvider, retry::RetryConfig};
use soci_builder::registry::Environment;

use crate::{
    app_for,
    support::fake_registry::{Access, FakeRegistry, Login, Route},
    told,
};

/// AWS, as far as `registry` plays it.
pub(crate) fn aws(registry: &FakeRegistry) -> SdkConfig {
    let keys = Credentials::new("AKIAEXAMPLE", "secret-key", None, None, "test");
    SdkConfig::builder()
        .behavior_version(aws_config::BehaviorVersion::latest())
        .credentials_provider(SharedCredentialsProvider::new(keys))
        .endpoint_url(registry.url())
        .retry_config(RetryConfig::disabled())
        .build()
}

fn docker(directory: &Path, config: &serde_json::Value) -> Environment {
    fs::write(directory.join("config.json"), config.to_string()).unwrap();
    Environment {
        docker_config: Some(directory.to_owned()),
        ..Environment::default()
    }
}

#[tokio::test]
async fn dockers_configuration_opens_the_door() {
    let registry = FakeRegistry::start().guarded(Access::Basic("me", "secret-word"));
    let digest = registry.put_blob("blob");
    let directory = tempfile::tempdir().unwrap();
    let login = |password| {
        let entry = serde_json::json!({"username": "me", "password": password});
        serde_json::json!({"auths": {registry.host(): entry}})
    };
    let environment = docker(directory.path(), &login("secret-word"));
    let size = app_for(&registry, environment).blob_size(&digest).await;
    assert_eq!(size.unwrap(), Some(4));

    let environment = docker(directory.path(), &login("secret-wrong"));
    let error = app_for(&registry, environment).blob_size(&digest).await;
    let error = told(&error.unwrap_err());
    assert!(
        error.contains("refuses the credentials in docker's configuration"),
        "{error}"
    );
}

#[tokio::test]
async fn an_identity_token_is_traded_for_a_token() {
    let registry =
        FakeRegistry::start().guarded(Access::Bearer(Login::Identity("secret-identity")));
    let digest = registry.put_blob("blob");
    let directory = tempfile::tempdir().unwrap();
    let entry = serde_json::json!({"auth": "", "identitytoken": "secret-identity"});
    let config = serde_json::json!({"auths": {registry.host(): entry}});
    let app = app_for(&registry, docker(directory.path(), &config));
    assert_eq!(app.blob_size(&digest).await.unwrap(), Some(4));
    let token = &registry.requests_to(Route::Token)[0];
    assert_eq!((token.method.as_str(), token.query.as_str()), ("POST", ""));
}

/// Helpers are looked for on PATH, so this runs the program, with a PATH of its own.
#[test]
fn helpers_are_asked() {
    let registry = FakeRegistry::start().guarded(Access::Basic("me", "secret-word"));
    let directory = tempfile::tempdir().unwrap();
    for (name, script) in [
        (
            "works",
            r#"echo "{\"Username\":\"me\",\"Secret\":\"secret-word\"}""#,
        ),
        (
            "empty",
            "echo 'credentials not found in native keychain'; exit 1",
        ),
        ("fails", r#"echo "{\"Secret\":\"secret-word\"}"; exit 1"#),
    ] {
        let path = directory.path().join(format!("docker-credential-{name}"));
        fs::write(&path, format!("#!/bin/sh\nread host\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    for (helper, reason) in [
        // Let in, and so told that there is no such image.
        ("works", "there is no manifest"),
        ("empty", "none were found"),
        (
            "fails",
            "docker-credential-fails failed; run `docker-credential-fails get` to see why",
        ),
        ("absent", "Unable to communicate with credential helper"),
    ] {
        let config = serde_json::json!({"credHelpers": {registry.host(): helper}});
        fs::write(directory.path().join("config.json"), config.to_string()).unwrap();
        let run = Command::new(env!("CARGO_BIN_EXE_soci-builder"))
            .args(["info", &format!("{}/app:v1", registry.host())])
            .env("DOCKER_CONFIG", directory.path())
            .env("PATH", directory.path())
            .output()
            .unwrap();
        let log = String::from_utf8_lossy(&run.stderr);
        assert!(log.contains(reason), "{helper}: {log}");
        assert!(!log.contains("secret-word"), "{helper}: {log}");
    }
}
