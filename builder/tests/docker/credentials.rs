//! The credentials that an index is pushed with: those of the container CLI, before those of AWS.

use std::{fs, path::Path};

use base64::{Engine, prelude::BASE64_STANDARD};
use soci_testing::{
    fake_registry::{Access, FakeRegistry, Route},
    image::{Image, Layer},
    program::{Ended, Program},
};

use crate::{Cli, HOST, Said, in_ecr, in_registry, output, write_script};

const RIGHT: &str = "secret-word";

fn registry() -> FakeRegistry {
    let registry = FakeRegistry::start();
    Image::of([&Layer::noise(1, 50_000)]).push(&registry, "v1");
    registry.guarded(Access::Basic("AWS", RIGHT))
}

/// A file of docker or podman.
fn login(path: &Path, password: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let auth = BASE64_STANDARD.encode(format!("AWS:{password}"));
    let file = serde_json::json!({"auths": {HOST: {"auth": auth}}});
    fs::write(path, file.to_string()).unwrap();
}

/// Pushes, with AWS credentials at hand that the registry does not know.
fn run(registry: &FakeRegistry, program: Program) -> Ended {
    let program = in_registry(program, registry)
        .env("AWS_ENDPOINT_URL_ECR", registry.url())
        .env("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "secret-key");
    program.run().exits(0)
}

/// Calls of AWS for a token.
fn tokens(registry: &FakeRegistry) -> usize {
    let asked = registry.requests_to(Route::EcrApi);
    let operations = asked.iter().filter_map(|call| call.header("x-amz-target"));
    operations.filter(|name| name.ends_with("Token")).count()
}

#[test]
fn of_dockers_configuration() {
    let image = in_ecr("v1");
    for arguments in [
        vec!["push", &image],
        vec!["--config", "CONFIG", "push", &image],
    ] {
        let registry = registry();
        let cli = Cli::docker("");
        let (right, wrong) = (cli.path("right"), cli.path("wrong"));
        login(&right.join("config.json"), RIGHT);
        login(&wrong.join("config.json"), "secret-wrong");
        login(&wrong.join("auth.json"), "secret-wrong");
        let named = arguments.contains(&"CONFIG");
        let arguments = arguments.into_iter().map(|argument| match argument {
            "CONFIG" => right.to_str().unwrap(),
            other => other,
        });
        let program = cli
            .call(arguments)
            .env("DOCKER_CONFIG", if named { &wrong } else { &right })
            // Those of podman come later.
            .env("REGISTRY_AUTH_FILE", wrong.join("auth.json"));
        let _ = run(&registry, program).said(&["soci-docker: indexed "]);
        assert_eq!(tokens(&registry), 0);
    }
}

#[test]
fn of_buildah_and_podman() {
    let image = in_ecr("v1");
    for (name, option) in [
        ("podman", None),
        ("buildah", Some("--authfile=FILE")),
        ("buildah", Some("--creds=AWS:secret-word")),
    ] {
        let registry = registry();
        let cli = Cli::named(name, "");
        let (right, wrong) = (cli.path("right.json"), cli.path("wrong/config.json"));
        login(&right, RIGHT);
        login(&wrong, "secret-wrong");
        let option = option.map(|option| option.replace("FILE", right.to_str().unwrap()));
        let file = if option.is_none() { &right } else { &wrong };
        let arguments = ["push"]
            .into_iter()
            .chain(option.as_deref())
            .chain([&*image]);
        let program = cli
            .call(arguments)
            .env("SOCI_DOCKER", name)
            .env("REGISTRY_AUTH_FILE", file)
            .env("DOCKER_CONFIG", wrong.parent().unwrap());
        let _ = run(&registry, program).said(&["soci-docker: indexed "]);
        assert_eq!(tokens(&registry), 0);
    }
}

/// As `cdk` sets them up for registries that are in `cdk-docker-creds.json`.
#[test]
fn of_a_helper_that_reads_the_callers_environment() {
    let registry = registry();
    let cli = Cli::docker("");
    let helper = r#"read host; echo "{\"Username\":\"AWS\",\"Secret\":\"$HELPED\"}""#;
    write_script(&cli.path("docker-credential-cdk-assets"), helper);
    let config = cli.path("cdkDockerConfig");
    fs::create_dir(&config).unwrap();
    let file = serde_json::json!({"credHelpers": {HOST: "cdk-assets"}});
    fs::write(config.join("config.json"), file.to_string()).unwrap();
    let program = cli.call(["--config", config.to_str().unwrap(), "push", &in_ecr("v1")]);
    let _ = run(&registry, program.env("HELPED", RIGHT)).said(&["soci-docker: indexed "]);
}

#[test]
fn of_aws_where_the_cli_has_none() {
    let registry = registry();
    registry.require(Access::Ecr);
    let cli = Cli::docker("");
    let _ = run(&registry, cli.call(["push", &in_ecr("v1")])).said(&["soci-docker: indexed "]);
    assert_eq!(tokens(&registry), 1);
}

#[test]
fn without_any_the_push_stays_and_no_secret_is_shown() {
    let registry = registry();
    let cli = Cli::docker("");
    let program = in_registry(cli.call(["push", &in_ecr("v1")]), &registry);
    let ended = program.run().exits(0);
    let _ = ended.said(&[
        "was pushed, but has no index",
        "cannot get an ECR token from AWS",
    ]);
    assert_eq!(output(&registry), None);
}
