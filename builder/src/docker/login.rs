//! The credentials that the container CLI has just pushed with. In: its command line. Out: where they are, in its order. They come before those
//! of AWS: whoever logged in, `cdk` with its publishing role, may push, and the AWS credentials at hand may be another's.

use std::ffi::OsStr;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::json;
use soci_store::registry::{Environment, Secret, docker_file};

use super::{command_line::Push, engine::Engine};

/// Where the CLI found its credentials for `host`.
pub(super) fn environment(push: &Push, engine: &Engine, host: &str) -> Environment {
    let mut environment = Environment {
        login_before_aws: true,
        ..Environment::of_process()
    };
    if let Some(credentials) = push.credentials.as_deref().and_then(OsStr::to_str) {
        let auth = BASE64_STANDARD.encode(credentials);
        let text = json!({"auths": {host: {"auth": auth}}}).to_string();
        environment.auth_config = Some(("--creds".to_owned(), Secret::new(text)));
    }
    let named = push.auth_file.clone();
    let named = named.or_else(|| Some(push.config.as_ref()?.join("config.json")));
    match named {
        Some(file) => environment.auth_files = vec![file],
        // Old ones of another CLI must not come first.
        None if !engine.is_like_podman() => {
            environment.auth_files.splice(0..0, docker_file());
        }
        None => {}
    }
    environment
}
