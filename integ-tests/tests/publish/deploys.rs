//! `cdk deploy` with `soci-docker`: the custom resource finds the index, and it is the one that it would have built.

use serde_json::json;

use crate::{
    shared::story,
    support::{LARGE, Place, REPOSITORY, app},
};

/// Deploys without `soci-docker`, takes the image and the index away, and deploys another stack with it; the build of that, if there was one.
async fn the_same(
    place: &Place<'_>,
    name: &str,
    image: &str,
    options: &serde_json::Value,
    variables: &[(&str, &str)],
) -> String {
    let [without, with] = ["Without", "With"].map(|how| format!("{name}{how}"));
    let plain = app(&without, image, options);
    let run = place.deploy(&without, &plain, None).await;
    assert!(!run.output.contains("soci-docker"), "{}", run.output);
    let built = place.answer(&without);
    assert_eq!(built["Outcome"], "indexed", "{built}");
    let tag = place.output(&without, "ImageTag").await;
    let ecr = place.shared.cloud.cloud().ecr();
    for tag in [&tag, built["OutputImageTag"].as_str().unwrap()] {
        ecr.expire_image(REPOSITORY, tag);
    }

    let app = app(&with, image, options);
    let run = place.deploy(&with, &app, Some(variables)).await;
    assert!(
        run.output.contains("soci-docker: indexed "),
        "{}",
        run.output
    );
    let found = place.answer(&with);
    assert_eq!(found["Outcome"], "already-there", "{found}");
    for name in ["OutputImageTag", "OutputImageDigest", "InputImageDigest"] {
        assert_eq!(found[name], built[name], "{name}");
    }
    found["BuildId"].as_str().unwrap().to_owned()
}

#[test]
fn with_the_default_options() {
    story(async |shared| {
        let place = Place::new(shared);
        let image = place.image("image", 1, LARGE);
        let build = the_same(&place, "Defaults", &image, &json!({}), &[]).await;
        assert_eq!(build, "");
    });
}

#[test]
fn with_options_by_environment() {
    story(async |shared| {
        let place = Place::new(shared);
        let image = place.image("image", 2, 200_000);
        let platforms = ["linux/amd64"];
        let options = json!({"minLayerSize": 100_000, "spanSize": 1 << 20, "platforms": platforms});
        let variables = [
            ("SOCI_MIN_LAYER_SIZE", "100000"),
            ("SOCI_SPAN_SIZE", "1MiB"),
            ("SOCI_PLATFORM", "linux/amd64"),
        ];
        let build = the_same(&place, "Options", &image, &options, &variables).await;
        assert_eq!(build, "");
    });
}

/// Which files an index prefetches is not in its manifests, so that only a build can tell whether it is the one.
#[test]
fn with_files_to_prefetch_a_build_confirms_the_index() {
    story(async |shared| {
        let place = Place::new(shared);
        let image = place.image("image", 8, LARGE);
        let options = json!({"prefetchFiles": ["/layer", "/absent"]});
        let variables = [("SOCI_PREFETCH_FILE", "/layer\n/absent")];
        let build = the_same(&place, "Prefetch", &image, &options, &variables).await;
        assert_ne!(build, "");
    });
}

#[test]
fn an_index_that_fails_is_built_by_the_deployment() {
    story(async |shared| {
        let place = Place::new(shared);
        let image = place.image("image", 3, LARGE);
        // What it would push is larger than this registry ever answers for.
        let app = app("Failing", &image, &json!({}));
        let variables = [(
            "SOCI_REGISTRY_MIRROR",
            "000000000000.dkr.ecr.us-east-1.amazonaws.com=http://127.0.0.1:9",
        )];
        let run = place
            .deploy(
                "Failing",
                &app,
                Some(&[variables[0], ("SOCI_TIMEOUT", "1s")]),
            )
            .await;
        assert!(
            run.output.contains("was pushed, but has no index"),
            "{}",
            run.output
        );
        assert_eq!(place.answer("Failing")["Outcome"], "indexed");
    });
}

#[test]
fn lambda_functions_keep_their_image() {
    story(async |shared| {
        let place = Place::new(shared);
        let images = [
            place.image("image", 4, LARGE),
            place.image("function", 5, LARGE),
        ];
        let app = app("Functions", &images[0], &json!({})).with("functionImage", &images[1]);
        place.deploy("Functions", &app, Some(&[])).await;
        assert_eq!(place.answer("Functions")["Outcome"], "already-there");

        let assets = place.output("Functions", "FunctionImage").await;
        let (_, tag) = assets.rsplit_once(':').unwrap();
        let events = shared.cloud.cloud().ecr().events();
        let pushes = events
            .iter()
            .filter(|event| event.detail["image-tag"] == tag);
        assert_eq!(pushes.count(), 1);
        let digests = [tag, &format!("{tag}-soci")].map(|tag| place.digest_of(tag).unwrap());
        assert_ne!(digests[0], digests[1]);
    });
}
