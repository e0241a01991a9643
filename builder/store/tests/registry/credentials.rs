//! Credentials from docker's configuration, its helpers, and AWS, up to the registry that wants them.

use std::{fs, path::Path};

use aws_config::SdkConfig;
use aws_sdk_ecr::config::{Credentials, SharedCredentialsProvider, retry::RetryConfig};
use soci_store::registry::Environment;
use soci_testing::fake_registry::{Access, FakeRegistry, Login, Route};

use crate::{app_for, told};

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
    let file = directory.join("config.json");
    fs::write(&file, config.to_string()).unwrap();
    Environment {
        auth_files: vec![file],
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
    assert!(error.contains("/config.json; run `docker login"), "{error}");
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
