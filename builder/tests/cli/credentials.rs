//! Where the program finds credentials: helpers on PATH, and the files of docker and podman.

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use base64::{Engine, prelude::BASE64_STANDARD};
use soci_testing::fake_registry::{Access, FakeRegistry};

/// Helpers are looked for on PATH, so this runs the program, with a PATH of its own.
#[test]
fn helpers_are_asked() {
    let registry = FakeRegistry::start().guarded(Access::Basic("me", "secret-word"));
    let directory = tempfile::tempdir().unwrap();
    let prints_them = r#"echo "{\"Username\":\"me\",\"Secret\":\"secret-word\"}""#;
    for (name, script) in [
        ("works", prints_them.to_owned()),
        (
            "by-url",
            format!(
                "case $key in https://*) {prints_them};; *) echo 'Credentials not found'; exit 1;; esac"
            ),
        ),
        (
            "empty",
            "echo 'credentials not found in native keychain'; exit 1".to_owned(),
        ),
        (
            "nobody",
            r#"echo '{"ServerURL":"","Username":"","Secret":""}'"#.to_owned(),
        ),
        (
            "fails",
            format!("{prints_them}; echo secret-word >&2; exit 3"),
        ),
        ("talks", "echo secret-word".to_owned()),
        ("babbles", "while :; do echo secret-word; done".to_owned()),
    ] {
        let path = directory.path().join(format!("docker-credential-{name}"));
        fs::write(&path, format!("#!/bin/sh\nread key\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let config = directory.path().join("config.json");
    let said = |settings: &serde_json::Value| {
        fs::write(&config, settings.to_string()).unwrap();
        let run = Command::new(env!("CARGO_BIN_EXE_soci-builder"))
            .args(["--debug", "info", &format!("{}/app:v1", registry.host())])
            .env_clear()
            .env("DOCKER_CONFIG", directory.path())
            .env("PATH", directory.path())
            .output()
            .unwrap();
        let log = String::from_utf8_lossy(&run.stderr).into_owned();
        assert!(!log.contains("secret-word"), "{log}");
        log
    };
    // Let in, and so told that there is no such image.
    let let_in = "app:v1 not found";
    let host = registry.host();
    let needed = format!("; needed by {}", config.display());
    for (helper, reason) in [
        ("works", let_in.to_owned()),
        ("by-url", let_in.to_owned()),
        ("empty", "none were found".to_owned()),
        ("nobody", "none were found".to_owned()),
        ("", "none were found".to_owned()),
        (
            "fails",
            format!(
                "docker-credential-fails failed with exit status: 3; run `echo {host} | docker-credential-fails get` to see why{needed}"
            ),
        ),
        (
            "talks",
            "docker-credential-talks did not return credentials as JSON".to_owned(),
        ),
        (
            "babbles",
            "docker-credential-babbles returned more than 1048576 bytes".to_owned(),
        ),
        (
            "absent",
            format!("docker-credential-absent not found in PATH{needed}"),
        ),
    ] {
        for settings in [
            serde_json::json!({"credHelpers": {&host: helper}}),
            serde_json::json!({"credHelpers": {format!("https://{host}"): helper}, "credsStore": "fails"}),
            serde_json::json!({"auths": {&host: {}}, "credsStore": helper}),
        ] {
            let log = said(&settings);
            assert!(log.contains(&reason), "{settings}: {log}");
        }
        // What stands in the file itself is better than nothing.
        let entry = serde_json::json!({"username": "me", "password": "secret-word"});
        let log = said(&serde_json::json!({"auths": {&host: entry}, "credsStore": helper}));
        assert!(log.contains(let_in), "{helper}: {log}");
    }
}

/// Podman's files come before docker's, and one that is named alone is the only one.
#[test]
fn podmans_files_are_read_too() {
    let registry = FakeRegistry::start().guarded(Access::Basic("me", "secret-word"));
    let login = |password: &str| {
        let auth = BASE64_STANDARD.encode(format!("me:{password}"));
        serde_json::json!({"auths": {format!("{}/team", registry.host()): {"auth": auth}}})
            .to_string()
    };
    let directory = tempfile::tempdir().unwrap();
    for (name, password) in [
        ("runtime/containers/auth.json", "secret-word"),
        ("config/containers/auth.json", "secret-word"),
        ("home/.config/containers/auth.json", "secret-word"),
        ("home/.docker/config.json", "secret-stale"),
        ("docker/config.json", "secret-word"),
        ("chosen.json", "secret-word"),
        ("wrong.json", "secret-wrong"),
    ] {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, login(password)).unwrap();
    }
    for (variables, let_in) in [
        (vec![("REGISTRY_AUTH_FILE", "chosen.json")], true),
        (vec![("XDG_RUNTIME_DIR", "runtime")], true),
        (
            vec![("XDG_RUNTIME_DIR", "absent"), ("XDG_CONFIG_HOME", "config")],
            true,
        ),
        (vec![("HOME", "home")], true),
        (vec![("DOCKER_CONFIG", "docker")], true),
        (vec![("HOME", "home"), ("XDG_CONFIG_HOME", "absent")], false),
        (
            vec![
                ("REGISTRY_AUTH_FILE", "wrong.json"),
                ("DOCKER_CONFIG", "docker"),
            ],
            false,
        ),
        (
            vec![
                ("REGISTRY_AUTH_FILE", "absent.json"),
                ("DOCKER_CONFIG", "docker"),
            ],
            false,
        ),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_soci-builder"));
        command
            .args(["info", &format!("{}/team/app:v1", registry.host())])
            .env_clear()
            .env("HOME", directory.path().join("nowhere"));
        for (name, value) in &variables {
            command.env(name, directory.path().join(value));
        }
        let run = command.output().unwrap();
        let log = String::from_utf8_lossy(&run.stderr);
        assert_eq!(
            log.contains("team/app:v1 not found"),
            let_in,
            "{variables:?}: {log}"
        );
    }
}
