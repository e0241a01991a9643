//! Pushes that succeed: what is indexed, under which tag, and what is said.

use soci_testing::{
    fake_registry::{FakeRegistry, Fault, Route},
    image::{Image, Layer, REPOSITORY},
    program::{Program, indexed},
};

use crate::{Cli, HOST, Said, in_ecr, in_registry, output, push};

fn registry_with(layers: &[&Layer]) -> FakeRegistry {
    let registry = FakeRegistry::start();
    Image::of(layers.iter().copied()).push(&registry, "v1");
    registry
}

#[test]
fn a_push_and_the_same_again() {
    let layer = Layer::noise(1, 50_000);
    let registry = registry_with(&[&layer]);
    let (cli, program) = push(&registry, "v1");
    let ended = program.run().exits(0);
    let name = format!("soci-docker: indexed {REPOSITORY}:v1-soci-b1aec400: ");
    let _ = ended.said(&[&name, "1 layer indexed, 0 reused"]);
    assert_eq!(
        cli.arguments().unwrap(),
        format!("push\0{}\0", in_ecr("v1")).as_bytes()
    );
    // What the builder itself makes.
    let digest = output(&registry).unwrap();
    let image = format!("{}/{REPOSITORY}:v1", registry.host());
    indexed(&image, &["--output-tag", "by-hand"]);
    let by_hand = registry.tagged(REPOSITORY, "by-hand").unwrap();
    assert_eq!(by_hand.0.to_string(), digest);

    let (_cli, program) = push(&registry, "v1");
    let _ = program
        .run()
        .exits(0)
        .said(&["already indexed: team/app:v1-soci-b1aec400"]);
    assert_eq!(output(&registry), Some(digest));
}

#[test]
fn any_cli_any_form() {
    let image = in_ecr("v1");
    for (name, arguments) in [
        (
            "docker",
            vec!["--config", "dir", "image", "push", "--quiet", &image],
        ),
        ("buildah", vec!["push", "--log-level", "local", &image]),
        (
            "podman",
            vec!["push", "local", &format!("docker://{image}")],
        ),
        ("finch", vec!["push", &image, "--platform", "linux/amd64"]),
    ] {
        let registry = registry_with(&[&Layer::noise(1, 50_000)]);
        let cli = Cli::named(name, "echo \"$SOCI_DOCKER pushes\"");
        let program = in_registry(cli.call(arguments), &registry).env("SOCI_DOCKER", name);
        let ended = program.run().exits(0);
        assert_eq!(ended.stdout, format!("{name} pushes\n"));
        assert!(output(&registry).is_some(), "{ended:?}");
    }
}

#[test]
fn latest_is_the_tag_where_there_is_none() {
    let registry = FakeRegistry::start();
    Image::of([&Layer::noise(1, 50_000)]).push(&registry, "latest");
    let cli = Cli::docker("");
    let image = format!("{HOST}/{REPOSITORY}");
    let ended = in_registry(cli.call(["push", &image]), &registry).run();
    let _ = ended.exits(0).said(&["latest-soci-b1aec400"]);
}

#[test]
fn other_registries_are_left_alone() {
    let registry = registry_with(&[&Layer::noise(1, 50_000)]);
    let cli = Cli::docker("");
    for image in [
        &format!("{}/{REPOSITORY}:v1", registry.host()),
        "app",
        "docker.io/library/app:v1",
        "public.ecr.aws/alias/app:v1",
        "oci-archive:/tmp/app.tar",
        &format!("dir:/{HOST}/app"),
    ] {
        let ended = in_registry(cli.call(["push", image]), &registry).run();
        assert_eq!(ended.exits(0).stderr, "", "{image}");
    }
    assert!(registry.requests().is_empty());
}

#[test]
fn options_by_environment() {
    let layers = [Layer::noise(1, 50_000), Layer::noise(2, 20_000)];
    let registry = registry_with(&[&layers[0], &layers[1]]);
    let (_cli, program) = push(&registry, "v1");
    let program = program
        .env("SOCI_MIN_LAYER_SIZE", "30kB")
        .env("SOCI_SPAN_SIZE", "1MiB")
        .env("SOCI_OUTPUT_TAG", "fast");
    let _ = program.run().exits(0).said(&[":fast: ", "1 layer indexed"]);

    let (_cli, program) = push(&registry, "v1");
    let program = program.env("SOCI_INDEX_VERSION", "v1");
    let _ = program.run().exits(0).said(&["indexed team/app:v1: "]);
    assert_eq!(output(&registry), None);
}

#[test]
fn nothing_to_index() {
    let registry = registry_with(&[&Layer::noise(1, 20_000)]);
    let (_cli, program) = push(&registry, "v1");
    // The default of 10 MiB.
    let ended = program.env("SOCI_MIN_LAYER_SIZE", "").run().exits(0);
    let _ = ended.said(&["nothing to index: every layer is smaller", "v1-soci"]);
    let tagged = |tag| registry.tagged(REPOSITORY, tag);
    assert_eq!(tagged("v1-soci"), tagged("v1"));
}

/// As ECR's API lists them.
fn images(tags: &[(&str, u32)]) -> Fault {
    let images = tags.iter().map(
        |(tag, at)| serde_json::json!({"imageTags": [tag], "imagePushedAt": 1_700_000_000 + at}),
    );
    let body = serde_json::json!({"imageDetails": images.collect::<Vec<_>>()});
    Fault::Body {
        bytes: body.to_string().into(),
        announced: true,
    }
}

fn with_aws(program: Program, registry: &FakeRegistry) -> Program {
    program
        .env("AWS_ENDPOINT_URL_ECR", registry.url())
        .env("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "secret-key")
}

#[test]
fn layers_of_an_earlier_index_are_not_read_again() {
    let (large, small) = (Layer::noise(1, 50_000), Layer::noise(2, 20_000));
    let registry = registry_with(&[&large, &small]);
    let index = |tag: &str, layers: &[&Layer]| {
        Image::of(layers.iter().copied()).push(&registry, tag);
        let (_cli, program) = push(&registry, tag);
        let _ = program.run().exits(0).said(&[&format!(":{tag}-soci-")]);
    };
    index("v1", &[&large, &small]);
    index("less", &[&small]);
    index("other", &[&Layer::noise(4, 50_000)]);
    // The tag of an image that has no index.
    Image::of([&large, &small]).push(&registry, "plain-soci-b1aec400");

    Image::of([&large, &small, &Layer::noise(3, 50_000)]).push(&registry, "v2");
    let before = registry.served(&large.digest);
    let listed = [
        ("v1-soci-b1aec400", 1),
        ("less-soci-b1aec400", 2),
        ("gone-soci-b1aec400", 3),
        ("plain-soci-b1aec400", 4),
        ("other-soci-b1aec400", 5),
        ("of-other-options-soci", 6),
        ("v2", 7),
    ];
    registry.fail(Route::EcrApi, images(&listed));
    let (_cli, program) = push(&registry, "v2");
    let ended = with_aws(program, &registry).run().exits(0);
    let _ = ended.said(&["v2-soci-b1aec400", "1 layer indexed, 2 reused"]);
    assert_eq!(registry.served(&large.digest), before);
    let asked = registry.requests_to(Route::EcrApi);
    assert_eq!(asked.len(), 1);
    let operation = asked[0].header("x-amz-target").unwrap();
    assert!(operation.ends_with(".DescribeImages"), "{operation}");
}

#[test]
fn without_the_right_to_list_all_layers_are_read() {
    let registry = registry_with(&[&Layer::noise(1, 50_000)]);
    let denied = Fault::status(400, "AccessDeniedException");
    registry.fail(Route::EcrApi, denied).always();
    let (_cli, program) = push(&registry, "v1");
    let ended = with_aws(program, &registry).run().exits(0);
    let _ = ended.said(&["1 layer indexed"]);
}
