//! Whatever goes wrong with the index, the push keeps its result; with `SOCI_DOCKER_STRICT` it fails.

use std::{fs::OpenOptions, process::Command, sync::Arc};

use soci_testing::{
    fake_registry::{FakeRegistry, Fault, Route},
    image::{Image, Layer, REPOSITORY},
    program::{Ended, Program},
};
use tokio::sync::Barrier;

use crate::{Cli, HOST, Said, in_ecr, in_registry, output, push};

fn registry() -> FakeRegistry {
    let registry = FakeRegistry::start();
    Image::of([&Layer::noise(1, 50_000)]).push(&registry, "v1");
    registry
}

/// Runs twice: a warning and the push's own result, and where it is to be strict, a failure.
#[track_caller]
fn warns(registry: &FakeRegistry, with: impl Fn(Program) -> Program, words: &[&str]) {
    for (strict, code) in [("", 0), ("0", 0), ("1", 1)] {
        let (cli, program) = push(registry, "v1");
        let ended = with(program).env("SOCI_DOCKER_STRICT", strict).run();
        let expected = [&["warning: ", "was pushed, but has no index: "], words].concat();
        let _ = ended.exits(code).said(&expected);
        assert!(cli.arguments().is_some());
    }
}

#[test]
fn a_registry_that_refuses() {
    let registry = registry();
    registry
        .fail(Route::PushManifest, Fault::status(403, "DENIED"))
        .always();
    warns(&registry, |program| program, &["403"]);
    assert_eq!(output(&registry), None);
}

#[test]
fn a_tag_that_is_gone() {
    let registry = FakeRegistry::start();
    warns(
        &registry,
        |program| program,
        &["the tag is not in the repository"],
    );
}

#[test]
fn an_image_that_cannot_be_indexed() {
    let registry = FakeRegistry::start();
    Image::of([&Layer::zstd()]).push(&registry, "v1");
    warns(&registry, |program| program, &["no layer can be indexed"]);
    let small = |program: Program| {
        program
            .env("SOCI_MIN_LAYER_SIZE", "1GB")
            .env("SOCI_WHEN_TOO_SMALL", "fail")
    };
    warns(&self::registry(), small, &["every layer is smaller"]);
}

#[test]
fn a_registry_that_is_gone() {
    let gone = FakeRegistry::start();
    let url = gone.url();
    drop(gone);
    let mirror = format!("{HOST}={url}");
    let with = move |program: Program| {
        program
            .env("SOCI_REGISTRY_MIRROR", &mirror)
            .env("SOCI_TIMEOUT", "1s")
    };
    warns(&FakeRegistry::start(), with, &[]);
}

#[test]
fn a_wrong_option_is_named_and_in_strict_mode_nothing_is_pushed() {
    let registry = registry();
    let wrong = |strict: &str| {
        let (cli, program) = push(&registry, "v1");
        let program = program
            .env("SOCI_SPAN_SIZE", "small")
            .env("SOCI_DOCKER_STRICT", strict);
        (cli, program.run())
    };
    let reason = "SOCI_SPAN_SIZE is not valid: invalid value 'small'";
    let (cli, ended) = wrong("");
    let _ = ended
        .exits(0)
        .said(&["was pushed, but has no index", reason]);
    assert!(cli.arguments().is_some());
    let (cli, ended) = wrong("1");
    let _ = ended.exits(1).said(&["not pushed: ", reason]);
    assert_eq!(cli.arguments(), None);
    // Only a push reads the options.
    let cli = Cli::docker("");
    let other = cli.call(["ps"]).env("SOCI_SPAN_SIZE", "small");
    let other = other.env("SOCI_DOCKER_STRICT", "1").run().exits(0);
    assert_eq!(other.stderr, "");
}

#[test]
fn all_tags_are_not_indexed() {
    let registry = registry();
    let cli = Cli::docker("");
    let image = format!("{HOST}/{REPOSITORY}");
    let program = in_registry(cli.call(["push", "--all-tags", &image]), &registry);
    let _ = program
        .run()
        .exits(0)
        .said(&["--all-tags pushes several images"]);
}

#[test]
fn a_failed_push_is_not_indexed() {
    let registry = registry();
    let cli = Cli::docker("exit 1");
    let program = in_registry(cli.call(["push", &in_ecr("v1")]), &registry);
    assert_eq!(program.run().exits(1).stderr, "");
    assert!(registry.requests().is_empty());
}

#[test]
fn a_tag_that_moves_on_gets_no_old_index() {
    let registry = registry();
    let [reading, pushing] = [Route::ReadBlob, Route::FinishUpload].map(|route| {
        let barrier = Arc::new(Barrier::new(2));
        registry.fail(route, Fault::Together(Arc::clone(&barrier)));
        barrier
    });
    let (_cli, program) = push(&registry, "v1");
    let running = program.start();
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(async {
        reading.wait().await;
        Image::of([&Layer::noise(2, 1_000)]).push(&registry, "v1");
        pushing.wait().await;
    });
    let ended = running.wait().exits(0);
    let _ = ended.said(&[
        "was pushed, but has no index",
        "v1 names another image now: sha256:",
    ]);
    assert_eq!(output(&registry), None);
}

#[test]
fn nobody_reads_what_is_said() {
    let full = || OpenOptions::new().write(true).open("/dev/full").unwrap();
    let failing = registry();
    failing
        .fail(Route::PushManifest, Fault::status(403, "DENIED"))
        .always();
    for registry in [registry(), failing] {
        let (_cli, program) = push(&registry, "v1");
        let _: Ended = program.stderr(full()).run().exits(0);
    }
    // Closed, not only full.
    let registry = registry();
    let cli = Cli::docker("");
    let line = format!(
        "'{}' push {} 2>&-",
        cli.path("soci-docker").display(),
        in_ecr("v1")
    );
    let mirror = format!("{HOST}={}", registry.url());
    let status = Command::new("sh")
        .args(["-c", &line])
        .env(
            "PATH",
            format!("{}:/usr/bin:/bin", cli.folder.path().display()),
        )
        .env("SOCI_REGISTRY_MIRROR", mirror)
        .env("SOCI_MIN_LAYER_SIZE", "0")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .status();
    assert_eq!(status.unwrap().code(), Some(0));
    assert!(output(&registry).is_some());
}
